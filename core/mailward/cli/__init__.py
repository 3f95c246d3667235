"""The `mailward` command: one file a subcommand, wired together here."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperGroup

from mailward import __version__
from mailward.app.logs import configure_logs
from mailward.cli.output import CONFIGURATION, SOFTWARE, USAGE, show, warn
from mailward.model.errors import ConfigError, MailwardError

COMMANDS = {
    "quickstart": "quickstart:quickstart_command",
    "serve": "serve:serve_command",
    "reload": "reload:reload_command",
    "scan": "scan:scan_command",
    "message": "message:app",
    "metrics": "metrics:metrics_command",
    "explain": "explain:explain_command",
    "record": "record:record_command",
    "try": "tryout:app",
    "policy": "policy:app",
    "plugins": "plugins:app",
    "queue": "queue:app",
    "account": "account:app",
    "alias": "alias:app",
    "export": "exporting:app",
    "group": "group:app",
    "import": "importing:app",
    "list": "lists:app",
    "domain": "domain:app",
    "store": "store:app",
    "backup": "backup:app",
    "restore": "restoring:restore_command",
    "quarantine": "quarantine:app",
    "retro": "retro:app",
    "sieve": "sieve:app",
    "tls": "tls:app",
    "trace": "trace:trace_command",
    "train": "train:train_command",
    "undelete": "undelete:undelete_command",
    "who": "who:who_command",
    "kick": "who:kick_command",
}
"""Name of a subcommand -> the module here and the function or group in it."""


class Commands(TyperGroup):
    """Imports a subcommand when it is asked for: what a command does not use need not be waited for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands[cmd_name]


def _load(name: str) -> Any:
    module, _, member_name = COMMANDS[name].partition(":")
    member = getattr(import_module(f"mailward.cli.{module}"), member_name)
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.callback()(lambda: None)  # without it, typer makes a group of one command into that command
    if isinstance(member, typer.Typer):
        holder.add_typer(member, name=name)
    else:
        holder.command(name)(member)
    return cast("TyperGroup", typer.main.get_command(holder)).commands[name]


app = typer.Typer(
    name="mailward",
    cls=Commands,
    help="A mail server whose every verdict is made by plugins under a policy, and explained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        show(f"mailward {__version__}", None, as_json=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="mailward.yaml, unless the command itself is given another.")
    ] = None,
) -> None:
    configure_logs(serving=False)
    if config is not None:  # whether there is such a file, the command asks that needs one
        os.environ["MAILWARD_CONFIG"] = str(config)


_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])
"""Every complaint about the command line itself; typer exports only its children."""


def main() -> None:
    """Run the command line; our own errors become one plain text and an exit code (docs/reference/cli.md)."""
    try:
        sys.exit(app(standalone_mode=False))
    except _UsageError as error:
        error.show()
        sys.exit(USAGE)
    except typer.Abort:
        sys.exit(SOFTWARE)
    except ConfigError as error:
        warn(str(error))
        sys.exit(CONFIGURATION)
    except (MailwardError, OSError) as error:
        warn(str(error))
        sys.exit(SOFTWARE)
