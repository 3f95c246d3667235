"""`mailward try ports` and `try commands`, which `make run` uses: whether a demo can listen, and what to type beside it."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.daemon import bind
from mailward.app.quickstart import PORTS, password_file_of
from mailward.cli.options import ConfigOption, config_of, first_account
from mailward.cli.output import CONFIGURATION, fail, show
from mailward.model.errors import ConfigError


def ports_command(
    offset: Annotated[int, typer.Argument(min=0, max=60000, help="Added to every standard port.")],
) -> None:
    """Exit 78 when another server holds one of a new demo's ports (used by `make run`)."""
    _check_free(("127.0.0.1", port + offset) for port in PORTS.values())


def commands_command(
    config: ConfigOption = None,
    command: Annotated[str, typer.Option(help="How the command is called here.")] = "mailward",
) -> None:
    """Print account, password, ports and what to type next, for a server about to start (used by `make run`).

    Says nothing of it and exits 78 when another server holds one of the ports.
    """
    settings = config_of(config, quiet=True)
    _check_free((listener.address, listener.port) for listener in settings.listeners if listener.unix is None)
    login = first_account(settings)
    kept = password_file_of(settings.folder, login)
    password = kept.read_text(encoding="utf-8").strip() if os.access(kept, os.R_OK) else "(the one you set)"
    found_anyway = {Path(name).resolve() for name in ("mailward.yaml", "run/mailward.yaml")}
    commands = ("try send", "try read", f"try send --from {login}", "try send --eicar", "explain last")
    option = "" if settings.path in found_anyway else f" -c {config or settings.path}"
    text = (
        f"\n  account      {login}\n  password     {password}\n"
        + "".join(f"  {item.name:<12} {item.protocol} on {item}, tls {item.tls}\n" for item in settings.listeners)
        + "\nIn a second terminal, in this folder:\n\n"
        + "".join(f"  {command} {rest}{option}\n" for rest in commands)
        + "\nCtrl-C stops the server.\n"
    )
    show(text, None, as_json=False)


def _check_free(ports: Iterable[tuple[str, int]]) -> None:
    for address, port in ports:
        try:
            bind(address, port).close()
        except ConfigError as error:
            cause = error.__cause__
            why = cause.strerror if isinstance(cause, OSError) else error
            fail(
                f"cannot listen on {address} port {port}: {why}\n"
                "  Stop the server that holds it, or run a demo on other ports beside it: make run OFFSET=3000",
                CONFIGURATION,
            )
