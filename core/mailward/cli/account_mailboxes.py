"""`mailward account mailboxes`: which mailboxes an account has, what is in them and what they are for, and changes to them."""

from collections.abc import Mapping
from typing import Annotated, NoReturn

import typer

from mailward.access.imap.identifiers import Identifiers
from mailward.app.accounts import opened_store
from mailward.cli.changes import number_of
from mailward.cli.noting import note_change
from mailward.cli.options import (
    AddressArgument,
    ConfigOption,
    JsonOption,
    YesOption,
    account_of,
    config_of,
    opened_directory,
    whoever,
)
from mailward.cli.output import NO_INPUT, USAGE, confirm, fail, show, table
from mailward.directory import Account
from mailward.formats.mailbox_names import SPECIAL_USES
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.ops import CreateMailbox, DeleteMailbox, Op, RenameMailbox, SetSpecialUse, Subscribe
from mailward.store.refusals import NoSuchMailbox, StoreRefusal

USES = {use.removeprefix("\\").lower(): use for use in SPECIAL_USES}
NAMED = 20
"""So many mailboxes a message names; the command shows all."""


def mailboxes_command(
    address: AddressArgument,
    create: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make this mailbox first, and subscribe to it; Team/Plans is below Team.")
    ] = None,
    use: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="USE NAME",
            help=f"Make this mailbox the one for {', '.join(USES)}, and no other; none: for nothing special.",
        ),
    ] = None,
    rename: Annotated[
        tuple[str, str] | None, typer.Option(metavar="NAME NEW", help="Call this mailbox so, and those below it accordingly.")
    ] = None,
    delete: Annotated[
        str | None, typer.Option(metavar="NAME", help="Delete this mailbox and the mail in it; those below it stay.")
    ] = None,
    subscribe: Annotated[
        str | None, typer.Option(metavar="NAME", help="Subscribe to it: many mail programs show nothing else.")
    ] = None,
    unsubscribe: Annotated[str | None, typer.Option(metavar="NAME", help="Take the subscription away.")] = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print an account's mailboxes, or change them. It shows what is in them, and with whom they are shared.

    What a mailbox is for, its special use (RFC 6154), is where mail programs put what they send or delete, and where junk is
    delivered to. The mail of a mailbox that is deleted can be put back for a while: mailward undelete. Mail programs that are
    open hear of all that at once.

    Examples:

      mailward account mailboxes alice@example.org

      mailward account mailboxes alice@example.org --create Team

      mailward account mailboxes alice@example.org --use sent 'Sent Items'

      mailward account mailboxes alice@example.org --rename Team 'Old team'

      mailward account mailboxes alice@example.org --delete 'Old team' --yes
    """
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    with opened_directory(settings) as directory, opened_store(settings) as stores:
        store = stores.open(account.id)
        if create is not None:
            _create(store, create)
            note_change(settings, "mailbox made", account, by, mailbox=create)
        if use is not None:
            _use(account, store, *use)
        if rename is not None:
            _rename(account, store, *rename)
            note_change(settings, "mailbox renamed", account, by, mailbox=rename[0], to=rename[1])
        if delete is not None:
            _delete(account, store, delete, yes=yes)
            note_change(settings, "mailbox deleted", account, by, mailbox=delete)
        if subscribe is not None:
            _apply(account, store, subscribe, Subscribe(_there(account, store, subscribe, is_wanted=True).name, True))
        if unsubscribe is not None:
            _apply(account, store, unsubscribe, Subscribe(unsubscribe, False))
        identifiers = Identifiers(directory)
        shared = {
            mailbox: {identifiers.name(grantee) or "an account that was removed": rights for grantee, rights in granted.items()}
            for mailbox, granted in store.grants().items()
        }
        found = [(info, shared.get(info.id, {})) for info in store.mailboxes()]
    show(
        lambda: table([("MAILBOX", "USE", "MESSAGES", "UNSEEN", "OCTETS", "SHARED WITH"), *(_row(*one) for one in found)]),
        lambda: [_data(*one) for one in found],
        as_json=as_json,
    )


def no_mailbox(account: Account, store: AccountStore, name: str, *, is_wanted: bool = False) -> NoReturn:
    """End a command that was to use a mailbox which is not there: say which are. is_wanted: and how to make it, where that is
    what somebody may have meant."""
    names = [info.name for info in store.mailboxes()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    text = f"{account.address} has no mailbox {name}, but {', '.join(names[:NAMED])}{more}"
    if is_wanted:
        text += f"\n  To make it: mailward account mailboxes {account.address} --create '{name}'"
    fail(text, NO_INPUT)


def _create(store: AccountStore, name: str) -> None:
    """Subscribed to, since many mail programs show nothing else."""
    try:
        store.apply([CreateMailbox(name), Subscribe(name, True)])
    except StoreRefusal as refusal:
        fail(str(refusal), USAGE)


def _there(account: Account, store: AccountStore, name: str, *, is_wanted: bool = False) -> MailboxInfo:
    """The mailbox of this name; ends the command where there is none."""
    try:
        return store.mailbox(name)
    except NoSuchMailbox:
        no_mailbox(account, store, name, is_wanted=is_wanted)
    except StoreRefusal as refusal:  # no mailbox could have that name
        fail(str(refusal), USAGE)


def _apply(account: Account, store: AccountStore, name: str, op: Op) -> None:
    """What concerns a mailbox of this name."""
    try:
        store.apply([op])
    except NoSuchMailbox:
        no_mailbox(account, store, name)
    except StoreRefusal as refusal:
        fail(str(refusal), USAGE)


def _rename(account: Account, store: AccountStore, name: str, new_name: str) -> None:
    """It stays subscribed to, and what is below it."""
    _apply(account, store, name, RenameMailbox(name, new_name))


def _delete(account: Account, store: AccountStore, name: str, *, yes: bool) -> None:
    found = _there(account, store, name)
    confirm(f"Delete the mailbox {found.name} of {account.address} with {number_of('message', found.exists)}?", yes=yes)
    _apply(account, store, name, DeleteMailbox(found.name))


def _use(account: Account, store: AccountStore, use: str, name: str) -> None:
    uses = USES | {"none": ""}
    special_use = uses.get(use.removeprefix("\\").lower())
    if special_use is None:
        fail(f"--use: a mailbox can be for {', '.join(uses)}, not for '{use}'", USAGE)
    found = _there(account, store, name, is_wanted=True)
    so_far = [one for one in store.mailboxes() if special_use and one.special_use == special_use and one.id != found.id]
    try:
        store.apply([*(SetSpecialUse(one.id, "") for one in so_far), SetSpecialUse(found.id, special_use)])
    except StoreRefusal as refusal:
        fail(f"--use: {refusal}", USAGE)


def _row(info: MailboxInfo, shared: Mapping[str, str]) -> tuple[str, ...]:
    grants = ", ".join(f"{whom} ({rights})" for whom, rights in shared.items())
    return info.name, info.special_use, str(info.exists), str(info.unseen), str(info.size_octets), grants


def _data(info: MailboxInfo, shared: Mapping[str, str]) -> dict[str, object]:
    return {
        "mailbox": info.name,
        "special_use": info.special_use,
        "subscribed": info.subscribed,
        "messages": info.exists,
        "unseen": info.unseen,
        "size_octets": info.size_octets,
        "shared_with": dict(shared),
    }
