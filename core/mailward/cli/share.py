"""`mailward account share`: which mailboxes of an account others may use, and how."""

import re
from typing import Annotated

import typer

from mailward.access.imap.identifiers import GROUP, Identifiers, Nobody, change
from mailward.access.imap.rights import read_change
from mailward.app.accounts import opened_store
from mailward.cli.account_mailboxes import no_mailbox
from mailward.cli.noting import note_change
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of, opened_directory, whoever
from mailward.cli.output import NO_INPUT, USAGE, fail, show, table
from mailward.directory import Account, Directory
from mailward.protocol.imap.arguments import BadSyntax
from mailward.store.base import AccountStore
from mailward.store.ops import ANYONE
from mailward.store.refusals import NoSuchMailbox, NotPermitted, StoreRefusal

_WORD = re.compile(r"[+-]?(lookup|read|write(-seen|-deleted)?|insert|post|expunge|create|delete|admin|all|none)", re.IGNORECASE)
"""Other servers' commands call rights so. Read as letters, most of them would grant more than they say."""


def share_command(
    address: AddressArgument,
    mailbox: Annotated[str | None, typer.Argument(help="A mailbox of the account, for example Team.")] = None,
    identifier: Annotated[
        str | None, typer.Option("--with", metavar="WHOM", help="The address an account was made with, group:NAME, or anyone.")
    ] = None,
    rights: Annotated[
        str | None, typer.Option(help="What they may do (RFC 4314): lrs, or +i or -te for a change; an empty text for nothing.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print with whom an account shares mailboxes, or set that. Sessions that are open heed it at once.

    Examples:

      mailward account share alice@example.org

      mailward account share alice@example.org Team --with bob@example.org --rights lrswite
    """
    if (identifier is None) != (rights is None) or (mailbox is None) != (identifier is None):
        fail("a mailbox, --with and --rights belong together", USAGE)
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    with opened_directory(settings) as directory, opened_store(settings) as stores:
        store = stores.open(account.id)
        if mailbox is not None and identifier is not None and rights is not None:
            identifiers = Identifiers(directory, anyone=settings.share_with_anyone == "on")
            _set(store, account, identifiers, mailbox, identifier, rights)
            note_change(settings, "rights set", account, by, mailbox=mailbox, whom=identifier, rights=rights)
        rows = grants_of(store, directory)
    data = [{"mailbox": mailbox, "with": whom, "rights": letters} for mailbox, whom, letters in rows]
    show(table(rows) if rows else f"{account.address} shares nothing", data, as_json=as_json)


def _set(store: AccountStore, owner: Account, identifiers: Identifiers, mailbox: str, identifier: str, rights: str) -> None:
    if _WORD.fullmatch(rights):
        fail(f"'{rights}' is a word, and rights are letters: lrs to read, lrswite to file and delete, too (RFC 4314)", USAGE)
    try:
        mode, letters = read_change(rights)
        change(identifiers, owner.id, store, store.mailbox(mailbox).id, identifier, mode, letters)
    except Nobody:
        fail(_nobody(identifier), NO_INPUT)
    except (BadSyntax, NotPermitted) as error:
        fail(str(error), USAGE)
    except NoSuchMailbox:
        no_mailbox(owner, store, mailbox, is_wanted=True)
    except StoreRefusal as refusal:
        fail(str(refusal), NO_INPUT)


def _nobody(identifier: str) -> str:
    if identifier == ANYONE:
        return "anyone wants `share_with_anyone: on` in mailward.yaml"
    if identifier.startswith(GROUP):
        return f"there is no group {identifier.removeprefix(GROUP)}; mailward group list shows them"
    return f"'{identifier}' is no account's own address here; mailward account list shows them, and a group is group:NAME"


def grants_of(store: AccountStore, directory: Directory) -> list[tuple[str, str, str]]:
    """Mailbox, whom, rights: all that an account shares."""
    identifiers, names = Identifiers(directory), {info.id: info.name for info in store.mailboxes()}
    return [
        (names[mailbox], identifiers.name(grantee) or "an account that was removed", rights)
        for mailbox, granted in store.grants().items()
        for grantee, rights in granted.items()
    ]
