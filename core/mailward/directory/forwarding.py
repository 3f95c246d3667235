"""Where does a copy go for each end that an address leads to, and with which reverse-path? (RFC 5321 section 3.9)

Asked at reception of what comes for an address, and at delivery of what a script sends on to it. What goes on to another server
gets a reverse-path of ours, and what a list sends that of its owner, who hears what fails.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailward.directory.aliases import Alias, MayPass, Way
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.srs import Srs
from mailward.model.address import Address, ReversePath
from mailward.model.ids import AccountId

DELIVERED_TO = "Delivered-To"
"""Names who sent a message on, an alias or the owner of a script: for whoever gets it, and for us if it comes back (RFC 9228)."""
MOST_PASSED = 50
"""Fields about earlier passes that are looked at; the latest stand first."""


class Leading(Protocol):
    """What `Directory` does. May raise StorageError."""

    def is_local_domain(self, domain: str) -> bool: ...

    def resolve(self, address: Address) -> AccountId | None: ...

    def expand(self, address: Address, may_pass: MayPass = ..., /) -> tuple[Way, ...]: ...


@dataclass(frozen=True, slots=True)
class End:
    """Where one copy goes. path: its forward-path. route: as `QueuedRecipient.route`. account: None without a mailbox behind it.

    alias: the name of the one that led there, "@example.org" for a catch-all; "" for none. is_list: it, or one behind it,
    has an owner, who hears what fails. reverse_path: what the copy has instead of the message's, None for that. The null
    reverse-path stays, since reports answer no reports.
    """

    path: str
    route: str
    account: AccountId | None = None
    alias: str = ""
    is_list: bool = False
    reverse_path: str | None = None

    @property
    def is_expanded(self) -> bool:
        return bool(self.alias)

    @property
    def is_forward(self) -> bool:
        """Does an alias send it on to another server?"""
        return self.is_expanded and self.account is None


class MembersOnlyError(Exception):
    """The address leads to lists alone whose members may send to them, and the sender is none."""


class Forwarding:
    """discarded: domains whose mail is kept nowhere, "*" for all that are not ours; in A-labels and lower case."""

    def __init__(self, directory: Leading, srs: Srs, discarded: Collection[str] = ()) -> None:
        self._directory = directory
        self._srs = srs
        self._discarded = frozenset(discarded)

    def ways(self, asked: Address, sender: ReversePath) -> tuple[Way, ...]:
        """Everywhere that mail of this sender goes for an address; () when it is nobody's here. Raises MembersOnlyError."""
        refused: list[Alias] = []

        def may_pass(alias: Alias, address: Address) -> bool:
            if alias.members_only and not self._is_member(sender, alias, address):
                refused.append(alias)
                return False
            return True

        ways = self._directory.expand(asked, may_pass)
        if refused and not ways:
            raise MembersOnlyError(str(asked))
        return ways

    def ends(self, ways: Sequence[Way], asked: Address, sender: ReversePath, domain: str = "") -> tuple[End, ...]:
        """domain: that rewritten addresses are in. There may be a thousand of them, which is why what they share is made once."""
        rewritten = None if all(way.account is not None for way in ways) else self._rewritten(sender, domain)
        alias = next((way.through[0].name for way in ways if way.through), "")
        ends = []
        for way in ways:
            is_here = way.account is not None
            owner = None if sender.is_null else way.owner
            path = (None if is_here else rewritten) if owner is None else str(owner)
            route = "mailbox" if is_here else self.route(way.address.domain)
            ends.append(End(str(way.address), route, way.account, alias, is_list=owner is not None, reverse_path=path))
        return tuple(ends)

    def route(self, domain: str) -> str:
        """Of a domain that is not ours."""
        return "discard" if self._discarded & {domain, "*"} else "relay"

    def has_passed(self, aliases: Collection[str], delivered_to: Sequence[str]) -> bool:
        """Was a message that names these addresses sent on by one of these aliases before? (T-RELAY-15)

        Another +tag is no other alias, nor another address of a catch-all.
        """
        wanted = {alias.lower() for alias in aliases}
        return bool(wanted) and any(name.lower() in wanted for text in delivered_to[:MOST_PASSED] for name in self._names(text))

    def _names(self, text: str) -> Sequence[str]:
        """The name of the alias that an address is, beside itself."""
        try:
            address = parse_mailbox(text)
        except AddressSyntaxError:
            return ()
        names = [text]

        def first_alone(alias: Alias, _: Address) -> bool:
            names.append(alias.name)
            return False

        self._directory.expand(address, first_alone)
        return names

    def _rewritten(self, sender: ReversePath, domain: str) -> str | None:
        """None where the sender's own is right: SPF lets us send for domains of ours."""
        address = sender.address
        if address is None or self._directory.is_local_domain(address.domain):
            return None
        made = self._srs.forwarded(address, domain)
        return None if made is None else str(made)

    def _is_member(self, sender: ReversePath, alias: Alias, address: Address) -> bool:
        """By the reverse-path, which is worth as much as filters prove of it. address: by which the alias was met."""
        if sender.address is None:
            return False
        ways = self._directory.expand(address)
        account = self._directory.resolve(sender.address)
        if account is None:
            return str(sender).lower() in {str(way.address).lower() for way in ways if way.account is None}
        owner = None if alias.owner is None else self._directory.resolve(alias.owner)
        return account == owner or account in {way.account for way in ways}
