"""`mailward export`: mail moves out, into files that other programs and servers read."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.accounts import opened_store
from mailward.app.moving.out import ExportRefused, Progress, Written
from mailward.app.moving.out_maildir import export_maildir
from mailward.app.moving.out_mbox import export_mbox
from mailward.cli.moving_bar import moving_bar
from mailward.cli.options import ConfigOption, JsonOption, account_of, cannot_write, config_of, made_for_server
from mailward.cli.output import NOT_ALL, SOFTWARE, USAGE, fail, show, table
from mailward.formats.text import one_line
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore

_HELP = """Mail moves out, into files that other servers read.

Example: mailward export maildir /srv/out/alice --account alice@example.org
"""
app = typer.Typer(help=_HELP, no_args_is_help=True)

AccountOption = Annotated[str, typer.Option("--account", help="Whose mail: an address of the account.")]
PathArgument = Annotated[Path, typer.Argument(help="The folder to write into; made for the server's user when it is missing.")]

_Export = Callable[[AccountStore, Path, Progress], Iterator[Written]]


@app.command("maildir")
def maildir_command(path: PathArgument, account: AccountOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Write all mail of an account as a Maildir. Flags, keywords, dates and UIDs are as Dovecot keeps them.

    Run it again after an interruption, or to add what is new; it deletes nothing there. Where mail of another account is there
    nothing is written. What could not be written is listed, and the exit code is 2 then.

    Example: mailward export maildir /srv/out/alice --account alice@example.org
    """
    _write(lambda owner: partial(export_maildir, account=owner), path, account, config, as_json, again="the same command goes on")


@app.command("mbox")
def mbox_command(
    path: PathArgument,
    account: AccountOption,
    replace: Annotated[bool, typer.Option("--replace", help="Write files anew that are there already.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all mail of an account as mbox files, one a mailbox. They are mboxrd, with flags, keywords, dates and UIDs in
    fields.

    Where one of the files is there already nothing is written, unless you say --replace. What could not be written is listed,
    and the exit code is 2 then.

    Example: mailward export mbox /srv/out/alice --account alice@example.org
    """
    again = "the same command with --replace begins anew"
    _write(lambda _: partial(export_mbox, replace=replace), path, account, config, as_json, again=again)


def _write(
    made: Callable[[AccountId], _Export],
    path: Path,
    account: str,
    config: Path | None,
    as_json: bool,
    *,
    again: str,
) -> None:
    made_for_server(path, config)
    settings = config_of(config)
    owner = account_of(settings, account)
    try:
        with opened_store(settings) as store, moving_bar() as progress:
            done = list(made(owner.id)(store.open(owner.id), path, progress))
    except ExportRefused as refused:
        fail(str(refused), USAGE)
    except OSError as error:
        fail(cannot_write(error, path, again), SOFTWARE)
    problems = [problem for one in done for problem in one.problems]
    rows = [("MAILBOX", "WRITTEN"), *((one_line(one.name), f"{one.messages:,}") for one in done)]
    total = sum(one.messages for one in done)
    lines = [table(rows), f"{total:,} messages of {owner.address} written to {path}", *(f"  {one_line(one)}" for one in problems)]
    data = {
        "account": str(owner.address),
        "path": str(path),
        "mailboxes": [{"name": one.name, "messages": one.messages} for one in done],
        "problems": problems,
    }
    show("\n".join(lines), data, as_json=as_json)
    if problems:
        raise typer.Exit(NOT_ALL)
