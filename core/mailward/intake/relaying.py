"""May this forward-path be taken here, and what is it then? Core code, so that no plugin can open a relay.

A forward-path is taken when its domain is ours and the directory knows where it leads, when the admin listed its domain among
`relay_domains`, or when somebody who has logged in asks. An alias is followed to its ends here, at reception (RFC 5321 section
3.9): what is done is written down before the 250, and a later change of the alias moves no mail that was taken. It belongs to the
groups of all mailboxes that it leads to, so that nobody passes by what a policy asks for one of them. What it sends to another
server gets a reverse-path of ours, and reports that come back to that are sent on to the sender, and nothing else is.
The local-part is opaque: "%", "!" and quoted "@" in it mean nothing (RFC 5321 section 2.3.11).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mailward.directory.aliases import Alias, Way
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.srs import Srs, is_rewritten
from mailward.intake.ports import Directory
from mailward.intake.refusing import LOOP, CoreRefusal
from mailward.model.address import Address, ForwardPath, ReversePath
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.replies import MEMBERS_ONLY, RELAY_DENIED, REPORTS_ONLY, UNKNOWN_RECIPIENT
from mailward.policy.ruling import RecipientFacts

MOST_PASSED = 50
"""Fields about earlier passes that are looked at; the latest stand first."""

UNKNOWN_MAILBOX = CoreRefusal("unknown mailbox", UNKNOWN_RECIPIENT)
NO_RELAY = CoreRefusal("relay guard", RELAY_DENIED)
NO_REPORT = CoreRefusal("rewritten address", REPORTS_ONLY)
NO_MEMBER = CoreRefusal("list", MEMBERS_ONLY)


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


@dataclass(frozen=True, slots=True)
class Destination:
    """A forward-path that was taken, and everywhere it leads: one end, or as many as its alias has."""

    forward_path: ForwardPath
    facts: RecipientFacts
    ends: tuple[End, ...]


class RelayGuard:
    """relay_domains: taken from anybody though their mailboxes are elsewhere. discarded: domains whose mail is kept nowhere, "*"
    for all that are not ours. All in A-labels and lower case. srs: makes the reverse-paths of what is forwarded.
    """

    def __init__(self, directory: Directory, srs: Srs, relay_domains: Collection[str], discarded: Collection[str] = ()) -> None:
        self._directory = directory
        self._srs = srs
        self._relay_domains = frozenset(relay_domains)
        self._discarded = frozenset(discarded)

    def destination(
        self, forward_path: ForwardPath, identity: Identity | None, reverse_path: ReversePath
    ) -> Destination | CoreRefusal:
        """What the forward-path is here, or the refusal. Raises StorageError when the directory cannot be read."""
        address = forward_path.address
        # Only the bare <postmaster> comes without a domain; it is always ours (RFC 5321 section 4.5.1).
        if not address.domain or self._directory.is_local_domain(address.domain):
            return self._here(forward_path, reverse_path)
        if identity is None and address.domain not in self._relay_domains:
            return NO_RELAY
        facts = RecipientFacts.of(forward_path, is_local=False)
        return Destination(forward_path, facts, (End(facts.address, self._route(address.domain)),))

    def circle(self, destinations: Sequence[Destination], delivered_to: Sequence[str]) -> CoreRefusal | None:
        """Did an alias that forwards the message now do that before? Then it goes in circles between servers (T-RELAY-15).

        delivered_to: what we, or others, wrote of that. Another +tag is no other alias, nor another address of a catch-all.
        """
        forwarding = {end.alias.lower() for one in destinations for end in one.ends if end.is_forward}
        passed = (name for text in delivered_to[:MOST_PASSED] for name in self._aliases(text)) if forwarding else ()
        return LOOP if any(name.lower() in forwarding for name in passed) else None

    def _aliases(self, text: str) -> Sequence[str]:
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

    def _here(self, forward_path: ForwardPath, reverse_path: ReversePath) -> Destination | CoreRefusal:
        asked = forward_path.address
        if is_rewritten(asked):
            return self._returning(forward_path, reverse_path)
        refused: list[Alias] = []

        def may_pass(alias: Alias, address: Address) -> bool:
            if alias.members_only and not self._is_member(reverse_path, alias, address):
                refused.append(alias)
                return False
            return True

        ways = self._directory.expand(asked, may_pass)
        if not ways:
            return NO_MEMBER if refused else UNKNOWN_MAILBOX
        names = self._directory.names_of([way.account for way in ways if way.account is not None])
        tag = self._directory.detail(asked)
        facts = RecipientFacts.of(forward_path, tag=tag, mailboxes=names.addresses, groups=names.groups)
        if not ways[0].through:
            return Destination(forward_path, facts, (End(facts.address, "mailbox", ways[0].account),))
        return Destination(forward_path, facts, self._ends(ways, asked, reverse_path, asked.domain))

    def _returning(self, forward_path: ForwardPath, reverse_path: ReversePath) -> Destination | CoreRefusal:
        """A report about mail that was forwarded, on its way to the sender.

        Whether the address is one that we made, nobody learns who sends no report. Senders of ours are never rewritten, so none
        is meant: whoever splits the parts of an address of his elsewhere gains nobody's mailbox here.
        """
        if not reverse_path.is_null:
            return NO_REPORT
        original = self._srs.original(forward_path.address)
        if original is None or self._directory.is_local_domain(original.domain):
            return UNKNOWN_MAILBOX
        ways = self._directory.expand(original)
        if not ways:
            return UNKNOWN_MAILBOX
        return Destination(forward_path, RecipientFacts.of(forward_path), self._ends(ways, forward_path.address, reverse_path))

    def _ends(self, ways: Sequence[Way], asked: Address, reverse_path: ReversePath, domain: str = "") -> tuple[End, ...]:
        """domain: that rewritten addresses are in. There may be a thousand of them, which is why what they share is made once."""
        rewritten = None if all(way.account is not None for way in ways) else self._rewritten(reverse_path, domain)
        alias = next((way.through[0].name for way in ways if way.through), str(asked))
        ends = []
        for way in ways:
            is_here = way.account is not None
            owner = None if reverse_path.is_null else way.owner
            path = (None if is_here else rewritten) if owner is None else str(owner)
            route = "mailbox" if is_here else self._route(way.address.domain)
            ends.append(End(str(way.address), route, way.account, alias, is_list=owner is not None, reverse_path=path))
        return tuple(ends)

    def _rewritten(self, reverse_path: ReversePath, domain: str) -> str | None:
        """None where the sender's own is right: SPF lets us send for domains of ours."""
        sender = reverse_path.address
        if sender is None or self._directory.is_local_domain(sender.domain):
            return None
        made = self._srs.forwarded(sender, domain)
        return None if made is None else str(made)

    def _route(self, domain: str) -> str:
        return "discard" if self._discarded & {domain, "*"} else "relay"

    def _is_member(self, reverse_path: ReversePath, alias: Alias, address: Address) -> bool:
        """By the reverse-path, which is worth as much as filters prove of it. address: by which the alias was met."""
        sender = reverse_path.address
        if sender is None:
            return False
        ways = self._directory.expand(address)
        account = self._directory.resolve(sender)
        if account is None:
            return str(sender).lower() in {str(way.address).lower() for way in ways if way.account is None}
        owner = None if alias.owner is None else self._directory.resolve(alias.owner)
        return account == owner or account in {way.account for way in ways}
