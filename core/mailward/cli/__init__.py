"""The `mailward` command: one file a subcommand, wired together here."""

import sys
from typing import Annotated, cast

import typer

from mailward import __version__
from mailward.app.logs import configure_logs
from mailward.cli import (
    account,
    domain,
    explain,
    message,
    plugins,
    policy,
    quarantine,
    queue,
    quickstart,
    reload,
    scan,
    serve,
    trace,
    train,
    tryout,
)
from mailward.cli.output import CONFIGURATION, SOFTWARE, USAGE, show, warn
from mailward.model.errors import ConfigError, MailwardError

app = typer.Typer(
    name="mailward",
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
) -> None:
    configure_logs(serving=False)


app.command("quickstart")(quickstart.quickstart_command)
app.command("serve")(serve.serve_command)
app.command("reload")(reload.reload_command)
app.command("scan")(scan.scan_command)
app.add_typer(message.app, name="message")
app.command("explain")(explain.explain_command)
app.add_typer(tryout.app, name="try")
app.add_typer(policy.app, name="policy")
app.add_typer(plugins.app, name="plugins")
app.add_typer(queue.app, name="queue")
app.add_typer(account.app, name="account")
app.add_typer(domain.app, name="domain")
app.add_typer(quarantine.app, name="quarantine")
app.command("trace")(trace.trace_command)
app.command("train")(train.train_command)


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
