"""`mailward restore`: the way back from a snapshot, into the place of what is there or beside it."""

from collections.abc import Sequence
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
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    account_of,
    cannot_write,
    config_of,
    made_for_server,
    opened_directory,
    parsed_address,
)
from mailward.cli.output import NO_INPUT, SOFTWARE, TRY_AGAIN, USAGE, fail, show, table, warn
from mailward.cli.snapshots import NOT_ALL, FolderArgument, data_of, refusals_told
from mailward.directory import Account
from mailward.formats.text import one_line
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.ops import CreateMailbox, Subscribe
from mailward.store.refusals import NoSuchMailbox, StoreRefusal


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
        bool, typer.Option("--missing", help="Bring only messages that the account does not have any more, in no mailbox.")
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
    it takes the place of what is there, and the server must be stopped.

    What was there is set aside in the data folder and named in the answer. Mailboxes that may have changed since the snapshot
    get a new UIDVALIDITY: mail programs download them anew. The configuration is not touched; its files are in the snapshot's
    folder config. An account that was removed is made anew first (account add); its mail is in the snapshot under the id it had.

    Examples:

      mailward restore /srv/backup --account alice@example.org --missing

      mailward restore /srv/backup --account alice@example.org --into Restored --mailbox Projects

      mailward restore /srv/backup --account alice@example.org --replace
    """
    is_beside = into is not None or missing
    _check_options(account, of, to_account, mailbox, into=into, missing=missing, replace=replace)
    made_for_server(load_config(find_config(config)).data, config)
    settings = config_of(config)
    found = _chosen(settings, folder, snapshot, account, of)
    try:
        if is_beside and account is not None:
            _beside(settings, found, account, of, to_account, mailbox or (), into=into, missing=missing, as_json=as_json)
            return
        if is_served(settings):
            fail(
                "the server is running; stop it first, so that nothing is delivered into what is replaced. "
                "While it runs, --into and --missing bring mail beside what is there",
                TRY_AGAIN,
            )
        owner = _owner(settings, found, account, of) if account is not None else None
        with serving_lock(settings):
            restored = restore(settings, found, owner, replace=replace, of=AccountId(of) if of is not None else None)
    except OSError as error:
        fail(cannot_write(error, settings.data), SOFTWARE)
    _tell(found, restored, as_json=as_json)


def _chosen(settings: Config, folder: Path, name: str | None, account: str | None, of: str | None) -> Snapshot:
    """Says where later ones are passed over. Ends the command where there is none."""
    with refusals_told():
        if account is None:
            choice, lack = of_everything(folder, name), ("is not of everything", "are not of everything")
        else:
            address = parsed_address(account)
            with opened_directory(settings) as directory:
                now = directory.account(address)
            choice = of_account(folder, name, of or (now.id if now is not None else None), str(address))
            lack = (f"has no mail of {address}", f"have no mail of {address}")
    if later := len(choice.passed_over):
        warn(f"{choice.snapshot.path.name} is taken: {number_of('later snapshot', later)} {lack[later > 1]}")
    return choice.snapshot


def _check_options(
    account: str | None,
    of: str | None,
    to_account: str | None,
    mailboxes: list[str] | None,
    *,
    into: str | None,
    missing: bool,
    replace: bool,
) -> None:
    if account is None and (of is not None or into is not None or missing):
        fail("--of, --into and --missing go with --account", USAGE)
    if replace and (into is not None or missing):
        fail("--into and --missing replace nothing: leave out --replace", USAGE)
    if mailboxes and into is None and not missing:
        fail("--mailbox goes with --into or --missing", USAGE)
    if to_account is not None and into is None:
        fail("--to-account goes with --into", USAGE)
    if missing and (to_account is not None or of is not None):
        fail("--missing compares with the mail of the same account: leave out --to-account and --of", USAGE)


def _tell(snapshot: Snapshot, restored: Restored, *, as_json: bool) -> None:
    lines = [
        f"restored from {snapshot.path}: {restored.accounts:,} accounts, "
        f"{restored.mailboxes:,} mailboxes, {restored.messages:,} messages"
    ]
    lines += ["what was there is now in:", *(f"  {path}" for path in restored.set_aside)] if restored.set_aside else []
    data = {
        **data_of(snapshot),
        "set_aside": [str(path) for path in restored.set_aside],
        "restored": {"accounts": restored.accounts, "mailboxes": restored.mailboxes, "messages": restored.messages},
    }
    show("\n".join(lines), data, as_json=as_json)


def _beside(
    settings: Config,
    snapshot: Snapshot,
    account: str,
    of: str | None,
    to_account: str | None,
    names: Sequence[str],
    *,
    into: str | None,
    missing: bool,
    as_json: bool,
) -> None:
    whose = _in_snapshot(settings, snapshot, account, of)
    target = account_of(settings, to_account or account)
    found: list[Brought] = []
    stopped = ""
    with (
        refusals_told(),
        mail_of(settings, snapshot, whose) as kept,
        opened_store(settings) as stores,
        moving_bar() as progress,
    ):
        store = stores.open(target.id)
        try:
            below = None if into is None else _made(store, into)
            source = SnapshotSource(kept, whose, names, below, store if missing else None)
            for one in Move(source, store, progress).run():
                found.append(one)
        except StoreRefusal as refusal:
            stopped = str(refusal)
    _tell_beside(snapshot, target, found, stopped, as_json=as_json)


def _made(store: AccountStore, name: str) -> MailboxInfo:
    try:
        return store.mailbox(name)
    except NoSuchMailbox:
        store.apply([CreateMailbox(name), Subscribe(name, True)])
        return store.mailbox(name)


def _tell_beside(snapshot: Snapshot, target: Account, found: Sequence[Brought], stopped: str, *, as_json: bool) -> None:
    problems = [problem for one in found for problem in one.problems]
    rows = [("FROM", "TO", "MESSAGES", "KNOWN", "BROUGHT")]
    rows += [(one_line(one.place), one_line(one.name), f"{one.there:,}", f"{one.known:,}", f"{one.brought:,}") for one in found]
    lines = [table(rows)] if found else []
    lines.append(f"{sum(one.brought for one in found):,} messages of {snapshot.path} brought for {target.address}")
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
        "problems": problems,
        "stopped": stopped,
    }
    show("\n".join(lines), data, as_json=as_json)
    if stopped:
        raise typer.Exit(SOFTWARE)
    if problems:
        raise typer.Exit(NOT_ALL)


def _in_snapshot(settings: Config, snapshot: Snapshot, text: str, of: str | None) -> AccountId:
    """Whose mail it is in the snapshot; the account may have been removed since. Ends the command when it is not there."""
    address = parsed_address(text)
    with opened_directory(settings) as directory:
        now = directory.account(address)
    if of is None and now is not None and now.id in snapshot.manifest.accounts:
        return now.id
    earlier = _ids(snapshot, str(address))
    if of in earlier:
        return AccountId(of)
    if of is None and len(earlier) == 1:
        return AccountId(earlier[0])
    has = f"it has {', '.join(earlier)}: say --of ID" if earlier else "it has none of this address"
    fail(f"the snapshot {snapshot.path.name} holds no account {of or address}; {has}", NO_INPUT)


def _ids(snapshot: Snapshot, address: str) -> list[str]:
    """Of the accounts that had this address."""
    return [id for id, own in snapshot.manifest.accounts.items() if own.lower() == address.lower()]


def _owner(settings: Config, snapshot: Snapshot, text: str, of: str | None) -> AccountId:
    """The account that is to have the mail. Ends the command when it is not there, or the snapshot's is an earlier one."""
    address = str(parsed_address(text))
    earlier = _ids(snapshot, address)
    with opened_directory(settings) as directory:
        now = directory.account(parsed_address(text))
    if now is None and earlier:
        fail(
            f"{address} is nobody's mailbox here; nothing was restored. The snapshot {snapshot.path.name} holds mail of an "
            f"account of this address: mailward account add {address}, then this command with --of {earlier[-1]}",
            NO_INPUT,
        )
    found = now or account_of(settings, text)
    if of is not None and of not in earlier:
        has = f"it has {', '.join(earlier)}" if earlier else "it has none"
        fail(f"--of: the snapshot {snapshot.path.name} holds no account {of} of {address}; {has}", NO_INPUT)
    if of is None and earlier and found.id not in snapshot.manifest.accounts:
        fail(
            f"nothing was restored: the snapshot {snapshot.path.name} holds mail of an earlier {address}, which was removed "
            f"since. If it is to be the mail of today's, add --of {earlier[-1]}",
            NO_INPUT,
        )
    return found.id
