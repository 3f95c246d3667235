"""`mailward import`: mail moves in, with all by which its mail programs know it again."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import typer

from mailward.app.accounts import opened_store
from mailward.app.moving.apart import Apart
from mailward.app.moving.into import Brought, Move
from mailward.app.moving.maildir import MaildirSource
from mailward.app.moving.mbox import MboxSource
from mailward.app.moving.source import Source, SourceError
from mailward.app.moving.uidl_format import UidlFormat, UidlFormatError
from mailward.cli.moving_bar import moving_bar
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    PasswordFile,
    PasswordStdin,
    account_of,
    ask_password,
    config_of,
    password_from,
)
from mailward.cli.output import NO_INPUT, NOT_ALL, SOFTWARE, USAGE, fail, show, table
from mailward.formats.text import one_line
from mailward.store.refusals import StoreRefusal

_HELP = """Mail moves in, with all its mail programs know it by.

Examples:

  mailward import maildir /var/mail/alice/Maildir --account alice@example.org

  mailward import imap mail.example.net --user alice --password-file password --account alice@example.org
"""
app = typer.Typer(help=_HELP, no_args_is_help=True)

AccountOption = Annotated[str, typer.Option("--account", help="Whose mail it is to be: an address of the account.")]
WithoutOption = Annotated[
    list[str] | None, typer.Option("--without", help="A folder to leave out, by the name it has there; may be given often.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be brought.")]

UidlFormatOption = Annotated[
    str | None,
    typer.Option(
        "--pop3-uidl-format",
        metavar="FORMAT",
        help="How its POP3 server makes unique-ids, as Dovecot's pop3_uidl_format has it: of %u (UID), %v (UIDVALIDITY) and, "
        "from a Maildir, %f (file name). Needed where it is not %08Xu%08Xv of a Dovecot or %v.%u of a Cyrus.",
    ),
]

_MOST_PROBLEMS = 1000
_FROM_ENVIRONMENT = "MAILWARD_IMPORT_PASSWORD"


class Quoting(Enum):
    MBOXRD = "mboxrd"
    MBOXO = "mboxo"


class ImapTls(Enum):
    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


@app.command("maildir")
def maildir_command(
    path: Annotated[Path, typer.Argument(help="The Maildir of one account, with its folders in it.")],
    account: AccountOption,
    pop3_uidl_format: UidlFormatOption = None,
    without: WithoutOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the mail of a Maildir. Folders, flags, keywords and dates come along, UIDs and POP3 unique-ids as Dovecot kept
    them or makes them of the UIDs.

    UIDs are kept where the mailbox here is empty. Run it again after an interruption, or to bring what is new: nothing comes
    twice. What could not be read is listed, and the exit code is 2 then.

    Example: mailward import maildir /var/mail/alice/Maildir --account alice@example.org
    """
    uidl_format = _uidl_format(pop3_uidl_format)
    _bring(lambda: Apart(MaildirSource(path, uidl_format)), account, without, dry_run, config, as_json)


@app.command("mbox")
def mbox_command(
    path: Annotated[Path, typer.Argument(help="An mbox file, or a directory of them.")],
    account: AccountOption,
    mailbox: Annotated[
        str, typer.Option(help="What the folder of a single file is to be called; the file's name unless given.")
    ] = "",
    quoting: Annotated[
        Quoting, typer.Option(help="How lines that begin with 'From ' are quoted: mboxrd undoes it all, mboxo one level.")
    ] = Quoting.MBOXRD,
    without: WithoutOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the mail of mbox files, a folder each. Dates come along, and flags and keywords as mail programs keep them in
    fields.

    Those of mutt, Dovecot and others (Status, X-Status, X-Keywords) and of Thunderbird (X-Mozilla-Status, X-Mozilla-Keys) are
    read. What Thunderbird has deleted and not compacted away is left out, and counted.

    Run it again after an interruption, or to bring what is new. What could not be read is listed, and the exit code is 2 then.

    Example: mailward import mbox /var/mail/alice --account alice@example.org --mailbox INBOX
    """
    kind: Literal["mboxrd", "mboxo"] = "mboxo" if quoting is Quoting.MBOXO else "mboxrd"
    _bring(lambda: Apart(MboxSource(path, kind, mailbox)), account, without, dry_run, config, as_json)


@app.command("imap")
def imap_command(
    host: Annotated[str, typer.Argument(help="The IMAP server the mail is on now.")],
    account: AccountOption,
    user: Annotated[
        str | None, typer.Option(help="Who logs in there, the same in each run; the account's address unless given.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="993, or 143 with --tls starttls.", min=1, max=65535)] = None,
    tls: Annotated[
        ImapTls, typer.Option(help="How the connection is encrypted; none is for this machine alone.")
    ] = ImapTls.IMPLICIT,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="Certificates to trust, in PEM; else those of this machine.")
    ] = None,
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    pop3_uidl_format: UidlFormatOption = None,
    without: WithoutOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the mail of another IMAP server. Folders, UIDs, flags, keywords, dates, special uses and subscriptions come along.

    The mail there stays as it is. The password comes from a file, standard input, MAILWARD_IMPORT_PASSWORD, or is asked for.
    UIDs are kept where the mailbox here is empty. Run it again after an interruption, or to bring what is new: nothing comes
    twice. What could not be read is listed, and the exit code is 2 then.

    Example: mailward import imap mail.example.net --user alice --password-file password --account alice@example.org
    """
    from mailward.app.moving.imap import PORTS, ImapSource, Login  # only this command needs the library

    uidl_format = _uidl_format(pop3_uidl_format)
    if uidl_format is not None and uidl_format.has_files:
        fail("--pop3-uidl-format: IMAP tells no names of files; %f is for import maildir", USAGE)
    password = password_from(password_stdin, password_file) or os.environ.get(_FROM_ENVIRONMENT) or ask_password()
    login = Login(host, port or PORTS[tls.value], tls.value, user or account, password, ca_file)
    _bring(lambda: ImapSource(login, uidl_format), account, without, dry_run, config, as_json)


def _uidl_format(text: str | None) -> UidlFormat | None:
    try:
        return None if text is None else UidlFormat(text)
    except UidlFormatError as error:
        fail(f"--pop3-uidl-format: {error}", USAGE)


def _bring(
    made: Callable[[], Source], account: str, without: list[str] | None, dry_run: bool, config: Path | None, as_json: bool
) -> None:
    found: list[Brought] = []
    stopped = ""
    with _opened(made) as source:  # before `config_of` gives up the rights to read it
        settings = config_of(config)
        owner = account_of(settings, account)
        with opened_store(settings) as store, moving_bar() as progress:
            try:
                for one in Move(source, store.open(owner.id), progress, only_look=dry_run).run(without or ()):
                    found.append(one)
            except (SourceError, StoreRefusal) as error:
                stopped = str(error)
    _tell(found, stopped, str(owner.address), dry_run, as_json)


@contextmanager
def _opened(made: Callable[[], Source]) -> Iterator[Source]:
    try:
        source = made()
    except SourceError as error:
        fail(str(error), NO_INPUT)
    with closing(source):
        yield source


def _tell(found: list[Brought], stopped: str, account: str, dry_run: bool, as_json: bool) -> None:
    problems = [problem for one in found for problem in one.problems]
    missing = sum(one.missing for one in found)
    unreadable = sum(one.is_unreadable for one in found)
    rows = [("FOLDER", "THERE", "KNOWN", "WOULD COME" if dry_run else "BROUGHT", "UIDS")]
    rows += [(one_line(one.name), f"{one.there:,}", f"{one.known:,}", f"{one.brought:,}", _uids(one)) for one in found]
    brought = sum(one.brought for one in found)
    lines = [table(rows)] if found else []
    lines.append(
        f"{brought:,} messages {'would be brought' if dry_run else 'brought'} for {account}, {missing:,} could not be read"
        f"{f', nor could {unreadable:,} of the folders' if unreadable else ''}"
    )
    lines += [
        f"  {one_line(one.name)}: {one.expunged:,} more were deleted there and are still in the file: left out"
        for one in found
        if one.expunged
    ]
    lines += [f"  {one_line(note)}" for one in found for note in one.notes]
    lines += [f"  {one_line(problem)}" for problem in problems[:_MOST_PROBLEMS]]
    if stopped:
        lines.append(f"stopped: {one_line(stopped)}")
    data = {
        "account": account,
        "dry_run": dry_run,
        "folders": [
            {
                "place": one.place,
                "name": one.name,
                "there": one.there,
                "known": one.known,
                "brought": one.brought,
                "missing": one.missing,
                "unreadable": one.is_unreadable,
                "expunged": one.expunged,
                "keeps_uids": one.keeps_uids,
                "special_use": one.special_use,
                "notes": one.notes,
            }
            for one in found
        ],
        "problems": problems,
        "stopped": stopped,
    }
    show("\n".join(lines), data, as_json=as_json)
    if stopped:
        raise typer.Exit(SOFTWARE)
    if problems or missing:
        raise typer.Exit(NOT_ALL)


def _uids(one: Brought) -> str:
    return "-" if one.is_unreadable else "kept" if one.keeps_uids else "new"
