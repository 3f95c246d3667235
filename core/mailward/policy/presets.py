"""Where shipped presets are: `mailward/inbound` is inbound.yaml in the package's data, or in `policies/` of a source tree."""

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

import mailward

PREFIX = "mailward/"


def folder() -> Traversable:
    """The folder of the presets."""
    packaged = importlib.resources.files("mailward") / "_policies"
    return packaged if packaged.is_dir() else Path(mailward.__file__).parents[2] / "policies"


def names() -> list[str]:
    """All presets, as `extends:` names them."""
    return sorted(PREFIX + file.name.removesuffix(".yaml") for file in folder().iterdir() if file.name.endswith(".yaml"))


def read(name: str) -> bytes | None:
    """The octets of a preset, None when there is none of this name."""
    if name not in names():
        return None
    return (folder() / f"{name.removeprefix(PREFIX)}.yaml").read_bytes()
