"""Whom do identifiers of access control lists name (RFC 4314 section 3)? The accounts and groups of this server, as grantees.

`alice@example.org`, an account's own address; `group:staff`; and `anyone`, where the admin lets users give things to all others.
A further address names nobody: whose it is need not be known to those who know it (docs/decisions/0052-shared-mailboxes.md).
"""

from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.ids import AccountId
from mailward.store.ops import ANYONE

ACCOUNT = "account:"
GROUP = "group:"


class Neighbours:
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
