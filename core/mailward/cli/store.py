"""`mailward store`: whether the mail of accounts is as it should be, and ready to be searched."""

import time
from contextlib import nullcontext
from typing import Annotated

import typer

from mailward.app.accounts import opened_store
from mailward.app.config import Config
from mailward.app.serving import is_served, serving_lock
from mailward.cli.changes import number_of
from mailward.cli.moving_bar import moving_bar
from mailward.cli.options import ConfigOption, JsonOption, account_of, config_of, opened_directory
from mailward.cli.output import SOFTWARE, TRY_AGAIN, fail, show
from mailward.directory import Account
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.store.marking import mark
from mailward.store.repair import Report, check_account

_HELP = """Whether mail is sound, and ready to be searched.

Examples:

  mailward store check

  mailward store check alice@example.org --repair
"""
app = typer.Typer(help=_HELP, no_args_is_help=True)


@app.command("check")
def check_command(
    address: Annotated[str | None, typer.Argument(help="An address of the account; all accounts without it.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended; the server must be stopped.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every octet of mail and say what is wrong with it. The mail of one account, or of all.

    Database, counters, references and packs (the files that hold the mail) are checked. While an account is read its new
    mail waits. With --repair a database that is lost or damaged is made anew: from its own rows, where all can be read, else
    from the packs, with the mailboxes, flags and dates that messages had when they came; mail programs then fetch everything
    again. Nothing is deleted; a damaged database is kept beside. A message whose record is damaged comes from a backup
    (mailward restore FOLDER --account ADDRESS --missing), while the server runs.

    Ends with code 1 when something is wrong that is not mended.

    Examples:

      mailward store check

      mailward store check alice@example.org --repair
    """
    settings = config_of(config)
    if repair and is_served(settings):
        fail("the server runs, and has databases open that would be replaced; stop it, then repair", TRY_AGAIN)
    accounts = _accounts(settings, address)
    reports: dict[str, Report] = {}
    with serving_lock(settings) if repair else nullcontext():
        for account in accounts:
            try:
                reports[str(account.address)] = check_account(
                    settings.data / "accounts" / account.id, Disk(), int(time.time()), repair=repair
                )
            except StorageError as error:
                fail(str(error), SOFTWARE)
    data = {name: {"problems": one.problems, "done": one.done, "left": one.left} for name, one in reports.items()}
    show("\n".join(_lines(reports)), data, as_json=as_json)
    if any(report.left for report in reports.values()):
        raise typer.Exit(1)


@app.command("index")
def index_command(
    address: Annotated[str | None, typer.Argument(help="An address of the account; all accounts without it.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read all mail that searches for a text would have to read. So the first of them is as fast as the next ones.

    A running server does it by itself for new mail, in the background; this is for mail that was there before, or has just been
    moved in. It may be interrupted and goes on where it was. A message that ended the process that read it is left out by the
    server from then on, and read by searches themselves; here it is tried again, after the others.

    Example: mailward store index alice@example.org
    """
    settings = config_of(config)
    read: dict[str, int] = {}
    left_out: dict[str, list[int]] = {}
    with opened_store(settings) as every, moving_bar() as told:
        for account in _accounts(settings, address):
            if (settings.data / "accounts" / account.id).exists():  # asking for mail would make its folder
                name, store = str(account.address), every.open(account.id)
                messages = [*store.marks.unmarked(), *store.marks.begun()]
                for done in mark(store, account.id, messages):
                    told(name, done, len(messages))
                left_out[name] = [*store.marks.begun()]
                read[name] = len(messages) - len(left_out[name])
    lines = [f"{name}: {number_of('message', count)} read{_without(left_out[name])}" for name, count in read.items()]
    data = {name: {"read": count, "left_out": left_out[name]} for name, count in read.items()}
    show("\n".join(lines) or "no mail", data, as_json=as_json)


def _without(left_out: list[int]) -> str:
    return f", left out: {', '.join(map(str, left_out))}" if left_out else ""


def _accounts(config: Config, address: str | None) -> list[Account]:
    """The one that is meant, or all."""
    if address is not None:
        return [account_of(config, address)]
    with opened_directory(config) as directory:
        return list(directory.accounts())


def _lines(reports: dict[str, Report]) -> list[str]:
    lines = []
    for name, report in reports.items():
        lines.append(f"{name}: {len(report.problems) or 'no'} problem{'' if len(report.problems) == 1 else 's'}")
        lines += [f"  {problem}" for problem in report.problems]
        lines += [f"  mended: {done}" for done in report.done]
        lines += [f"  not mended: {left}" for left in report.left if report.done]
        if report.has_damaged_messages:
            lines.append(
                f"  damaged messages are made whole from a backup by: mailward restore FOLDER --account {name} --missing"
            )
        if report.left and not report.done:
            lines.append(f"  what can be worked out anew, by: mailward store check {name} --repair")
    return lines or ["no accounts"]
