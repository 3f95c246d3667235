"""The folder that quickstart writes, made in this process."""

from pathlib import Path

from mailward.app import quickstart
from mailward.model.address import Address


def installation(folder: Path, user: str | None = None) -> Path:
    """Make it and return the configuration file. user: written into the configuration; nothing is given to them."""
    plan = quickstart.Plan(
        folder, "example.test", Address("demo", "example.test"), "secret", 2000, "127.0.0.1", "mx.example.test", None
    )
    made = quickstart.quickstart(plan).config_file
    if user is not None:
        made.write_text(f"user: {user}\n{made.read_text()}")
    return made
