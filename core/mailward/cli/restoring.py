"""`mailward restore`: the way back from a snapshot, into the place of what is there or beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.accounts import opened_store
from mailward.app.backup.beside import SnapshotSource, mail_of
from mailward.app.backup.choice import of_account, of_everything
from mailward.app.backup.restore import Restored, restore
from mailward.app.backup.snapshot import Snapshot
from mailward.app.config import Config
from mailward.app.config_file import find_config, load_config
from mailward.app.moving.into import Brought, Move
from mailward.app.serving import is_served, serving_lock
from mailward.cli.changes import number_of
from mailward.cli.moving_bar import moving_bar
from mailward.cli.noting import note_change
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    account_of,
    cannot_write,
    config_of,
    made_for_server,
    opened_directory,
    parsed_address,
    whoever,
)
from mailward.cli.output import NO_INPUT, NOT_ALL, SOFTWARE, TRY_AGAIN, USAGE, fail, show, table, warn
from mailward.cli.snapshots import FolderArgument, data_of, refusals_told
from mailward.directory import Account
from mailward.formats.text import one_line
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.mending import Mended
from mailward.store.ops import CreateMailbox, Subscribe
from mailward.store.refusals import NoSuchMailbox, StoreRefusal


@dataclass(frozen=True, slots=True)
class _Wish:
    """Whose mail is to come back, and where to: the options of their names."""

    account: str
    of: str | None
    into: str | None
    missing: bool
    mailboxes: tuple[str, ...]
    to_account: str | None

    @property
    def is_beside(self) -> bool:
        """Does it come beside what is there?"""
        return self.into is not None or self.missing

    @property
    def problem(self) -> str:
        """What of it does not go together, "" where all does."""
        if self.mailboxes and not self.is_beside:
            return "--mailbox goes with --into or --missing"
        if self.to_account is not None and self.into is None:
            return "--to-account goes with --into"
        if self.missing and (self.to_account is not None or self.of is not None):
            return "--missing compares with the mail of the same account: leave out --to-account and --of"
        return ""


def restore_command(
    folder: FolderArgument,
    snapshot: Annotated[
        str | None,
        typer.Option("--snapshot", help="Its name, as in mailward backup list; else the last that holds what is to be put back."),
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="Only the mail of this account, which must exist.")] = None,
    of: Annotated[
        str | None,
        typer.Option("--of", help="The id in the snapshot of an earlier account of that address, whose mail it is to be."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Set aside what is there; without it nothing may be.")] = False,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="MAILBOX", help="Bring its mailboxes below this one, beside the mail that is there; made if missing."
        ),
    ] = None,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing", help="Bring only messages that the account does not have any more, and make damaged ones whole."
        ),
    ] = False,
    mailbox: Annotated[
        list[str] | None,
        typer.Option("--mailbox", help="With --into or --missing: only this mailbox and those below it; may be given often."),
    ] = None,
    to_account: Annotated[
        str | None, typer.Option("--to-account", help="With --into: whose mailbox that is, when it is another account's.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put back a snapshot: everything, or the mail of one account.

    With --into or --missing mail of an account comes beside what is there, under new UIDs, while the server runs. Without them
    it takes the place of what is there, and the server must be stopped. With --missing a message that is there and damaged
    (mailward store check) gets its octets back, too, and keeps its UID and flags.

    What was there is set aside in the data folder and named in the answer. Mailboxes that may have changed since the snapshot
    get a new UIDVALIDITY: mail programs download them anew. The configuration is not touched; its files are in the snapshot's
    folder config. An account that was removed is made anew first (account add); its mail is in the snapshot under the id it had.

    Examples:

      mailward restore /srv/backup --account alice@example.org --missing

      mailward restore /srv/backup --account alice@example.org --into Restored --mailbox Projects

      mailward restore /srv/backup --account alice@example.org --replace
    """
    if account is None and (missing or mailbox or any(one is not None for one in (of, into, to_account))):
        fail("--of, --into, --missing, --mailbox and --to-account go with --account", USAGE)
    if replace and (into is not None or missing):
        fail("--into and --missing replace nothing: leave out --replace", USAGE)
    wish = _Wish(account, of, into, missing, tuple(mailbox or ()), to_account) if account is not None else None
    if wish is not None and wish.problem:
        fail(wish.problem, USAGE)
    made_for_server(load_config(find_config(config)).data, config)
    by, settings = whoever(), config_of(config)
    found = _chosen(settings, folder, snapshot, wish)
    try:
        if wish is not None and wish.is_beside:
            _beside(settings, found, wish, by, as_json=as_json)
        else:
            _in_place(settings, found, wish, replace=replace, as_json=as_json)
    except OSError as error:
        fail(cannot_write(error, settings.data), SOFTWARE)


def _chosen(settings: Config, folder: Path, name: str | None, wish: _Wish | None) -> Snapshot:
    """Says where later ones are passed over. Ends the command where there is none."""
    with refusals_told():
        if wish is None:
            choice, lack = of_everything(folder, name), ("is not of everything", "are not of everything")
        else:
            address = parsed_address(wish.account)
            with opened_directory(settings) as directory:
                now = directory.account(address)
            choice = of_account(folder, name, wish.of or (now.id if now is not None else None), str(address))
            lack = (f"has no mail of {address}", f"have no mail of {address}")
    if later := len(choice.passed_over):
        warn(f"{choice.snapshot.path.name} is taken: {number_of('later snapshot', later)} {lack[later > 1]}")
    return choice.snapshot


def _in_place(settings: Config, snapshot: Snapshot, wish: _Wish | None, *, replace: bool, as_json: bool) -> None:
    if is_served(settings):
        fail(
            "the server is running; stop it first, so that nothing is delivered into what is replaced. "
            "While it runs, --into and --missing bring mail beside what is there",
            TRY_AGAIN,
        )
    whose = owner = None
    if wish is not None:
        whose = _whose(settings, snapshot, wish)
        owner = _owner(settings, snapshot, wish, whose).id
    with serving_lock(settings):
        restored = restore(settings, snapshot, owner, replace=replace, of=whose if whose != owner else None)
    _tell(snapshot, restored, as_json=as_json)


def _tell(snapshot: Snapshot, restored: Restored, *, as_json: bool) -> None:
    lines = [
        f"restored from {snapshot.path}: {number_of('account', restored.accounts)}, "
        f"{number_of('mailbox', restored.mailboxes, 'mailboxes')}, {number_of('message', restored.messages)}"
    ]
    lines += ["what was there is now in:", *(f"  {path}" for path in restored.set_aside)] if restored.set_aside else []
    data = {
        **data_of(snapshot),
        "set_aside": [str(path) for path in restored.set_aside],
        "restored": {"accounts": restored.accounts, "mailboxes": restored.mailboxes, "messages": restored.messages},
    }
    show("\n".join(lines), data, as_json=as_json)


def _beside(settings: Config, snapshot: Snapshot, wish: _Wish, by: str, *, as_json: bool) -> None:
    whose = _whose(settings, snapshot, wish)
    owner = _owner(settings, snapshot, wish, whose)
    found: list[Brought] = []
    stopped, mended = "", Mended(0, ())
    with (
        refusals_told(),
        mail_of(settings, snapshot, whose) as kept,
        opened_store(settings) as stores,
        moving_bar() as progress,
    ):
        store = stores.open(owner.id)
        try:
            below = None if wish.into is None else _made(store, wish.into)
            if wish.missing:
                mended = store.mend_from(kept)
            source = SnapshotSource(kept, whose, wish.mailboxes, below, store if wish.missing else None)
            for one in Move(source, store, progress).run():
                found.append(one)
        except StoreRefusal as refusal:
            stopped = str(refusal)
    for one in found:
        if one.brought:
            note_change(settings, "messages put back", owner, by, mailbox=one.name, messages=one.brought)
    _tell_beside(snapshot, owner, found, mended, stopped, as_json=as_json)


def _made(store: AccountStore, name: str) -> MailboxInfo:
    try:
        return store.mailbox(name)
    except NoSuchMailbox:
        store.apply([CreateMailbox(name), Subscribe(name, True)])
        return store.mailbox(name)


def _tell_beside(
    snapshot: Snapshot, target: Account, found: Sequence[Brought], mended: Mended, stopped: str, *, as_json: bool
) -> None:
    problems = [
        f"{place} is damaged, and not sound in this snapshot; an earlier one may have it (--snapshot)" for place in mended.left
    ]
    problems += [problem for one in found for problem in one.problems]
    rows = [("FROM", "TO", "MESSAGES", "KNOWN", "BROUGHT")]
    rows += [(one_line(one.place), one_line(one.name), f"{one.there:,}", f"{one.known:,}", f"{one.brought:,}") for one in found]
    lines = [table(rows)] if found else []
    lines.append(f"{number_of('message', sum(one.brought for one in found))} of {snapshot.path} brought for {target.address}")
    lines += [f"{number_of('damaged message', mended.messages)} made whole in place"] if mended.messages else []
    lines += [f"  {one_line(problem)}" for problem in problems]
    if stopped:
        lines.append(f"stopped: {one_line(stopped)}")
    data = {
        **data_of(snapshot),
        "account": str(target.address),
        "mailboxes": [
            {"from": one.place, "to": one.name, "messages": one.there, "known": one.known, "brought": one.brought}
            for one in found
        ],
        "mended": mended.messages,
        "problems": problems,
        "stopped": stopped,
    }
    show("\n".join(lines), data, as_json=as_json)
    if stopped:
        raise typer.Exit(SOFTWARE)
    if problems:
        raise typer.Exit(NOT_ALL)


def _whose(settings: Config, snapshot: Snapshot, wish: _Wish) -> AccountId:
    """Whose mail it is in the snapshot: today's account of that address, or an earlier one.

    Ends the command where it is not there; and where an earlier one had the address that is another's today, until somebody says
    that it is meant.
    """
    address = parsed_address(wish.account)
    with opened_directory(settings) as directory:
        now = directory.account(address)
    earlier = [id for id, own in snapshot.manifest.accounts.items() if own.lower() == str(address).lower()]
    if wish.of is None and now is not None and now.id in snapshot.manifest.accounts:
        return now.id
    if wish.of in earlier:
        return AccountId(wish.of)
    name = snapshot.path.name
    if wish.of is not None or not earlier:
        has = f"it has {', '.join(earlier)}" if earlier else "it has none of this address"
        fail(f"the snapshot {name} holds no account {wish.of or address}; {has}", NO_INPUT)
    if now is not None:
        fail(
            f"nothing was restored: the snapshot {name} holds mail of an earlier {address}, which was removed since. "
            f"If it is to be the mail of today's: this command {_by_id(wish, earlier[-1])}",
            NO_INPUT,
        )
    if len(earlier) > 1:
        fail(f"the snapshot {name} holds several accounts {address}: say --of {' or --of '.join(earlier)}", NO_INPUT)
    return AccountId(earlier[0])


def _by_id(wish: _Wish, id: str) -> str:
    """How to say that an earlier account's mail is meant, which --missing cannot compare with today's."""
    return f"with --into MAILBOX instead of --missing and with --of {id}" if wish.missing else f"with --of {id}"


def _owner(settings: Config, snapshot: Snapshot, wish: _Wish, whose: AccountId) -> Account:
    """The account that is to have the mail. Ends the command where it is not there."""
    address = parsed_address(wish.to_account or wish.account)
    with opened_directory(settings) as directory:
        found = directory.account(address)
    if found is None and wish.to_account is None:
        fail(
            f"{address} is nobody's mailbox here; nothing was restored. The snapshot {snapshot.path.name} holds mail of an "
            f"account of this address: mailward account add {address}, then this command {_by_id(wish, whose)}",
            NO_INPUT,
        )
    return found or account_of(settings, str(address))
