"""Identifiers of access control lists (RFC 4314 section 3): whom they name here, as grantees, and rights given to them.

`alice@example.org`, an account's own address; `group:staff`; and `anyone`, where the admin lets users give things to all others.
A further address names nobody: whose it is need not be known to those who know it (docs/decisions/0052-shared-mailboxes.md).
"""

from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.ids import AccountId, MailboxId
from mailward.store.base import AccountStore
from mailward.store.ops import ANYONE, Mode, SetRights
from mailward.store.refusals import NotPermitted

ACCOUNT = "account:"
GROUP = "group:"


class Nobody(NotPermitted):
    """An identifier names nobody to whom rights could be given."""


class Identifiers:
    """anyone: whether that word counts, when somebody gives by it and when somebody looks."""

    def __init__(self, directory: Directory, *, anyone: bool = False) -> None:
        self._directory = directory
        self._anyone = anyone

    def grantee(self, identifier: str) -> str | None:
        """None for nobody here."""
        if identifier == ANYONE:
            return ANYONE if self._anyone else None
        if identifier.startswith(GROUP):
            return identifier if identifier.removeprefix(GROUP) in self._directory.groups() else None
        try:
            address = parse_mailbox(identifier)
        except AddressSyntaxError:
            return None
        account = self._directory.account(address)
        is_own = account is not None and str(account.address).lower() == str(address).lower()
        return f"{ACCOUNT}{account.id}" if account is not None and is_own else None

    def name(self, grantee: str) -> str | None:
        """The one identifier by which clients are told of a grantee; None when there is no such account any more."""
        if not grantee.startswith(ACCOUNT):
            return grantee
        addresses = self._directory.addresses_of(AccountId(grantee.removeprefix(ACCOUNT)))
        return str(addresses[0]) if addresses else None

    def grantees_of(self, account: AccountId) -> tuple[str, ...]:
        """All that an account is, now."""
        groups = [f"{GROUP}{group}" for group in self._directory.groups_of([account])]
        return (f"{ACCOUNT}{account}", *groups, *([ANYONE] if self._anyone else []))


def gives(mode: Mode, rights: str) -> bool:
    """Whether somebody may have more by it."""
    return mode != "remove" and bool(rights)


def change(
    identifiers: Identifiers, owner: AccountId, store: AccountStore, mailbox: MailboxId, identifier: str, mode: Mode, rights: str
) -> None:
    """Give rights in a mailbox or take them away; what was granted to accounts that have been removed goes with it.

    Blocks. Raises StoreRefusal and StorageError.

    Rights can be taken from all that are told of as having them, whether or not they are anybody now: what is granted to a group
    without members, or to `anyone` where that is off, may count again.
    """
    granted = store.grants().get(mailbox, {})
    names = {grantee: identifiers.name(grantee) for grantee in granted}
    grantee = identifiers.grantee(identifier)
    if grantee == f"{ACCOUNT}{owner}":
        raise NotPermitted("The owner of a mailbox has all rights, always")
    if not gives(mode, rights):
        grantee = next((one for one, name in names.items() if identifier == name or one == grantee), None)
        if grantee is None:  # whoever that is, if anybody
            raise NotPermitted("The mailbox is shared with nobody of that name")
    elif grantee is None:
        raise Nobody("That names nobody with whom mailboxes are shared here: write the own address of an account, or group:NAME")
    gone = [SetRights(mailbox, one, "replace", "") for one, name in names.items() if name is None]
    store.apply([*gone, SetRights(mailbox, grantee, mode, rights)])
