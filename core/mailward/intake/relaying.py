"""May this forward-path be taken here, and what is it then? Core code, so that no plugin can open a relay.

A forward-path is taken when its domain is ours and the directory knows where it leads, when the admin listed its domain among
`relay_domains`, or when somebody who has logged in asks. An alias is followed to its ends here, at reception (RFC 5321 section
3.9): what is done is written down before the 250, and a later change of the alias moves no mail that was taken. It belongs to the
groups of all mailboxes that it leads to, so that nobody passes by what a policy asks for one of them. What it sends to another
server gets a reverse-path of ours, and reports that come back to that are sent on to the sender, and nothing else is.
The local-part is opaque: "%", "!" and quoted "@" in it mean nothing (RFC 5321 section 2.3.11).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from mailward.directory.forwarding import End, Forwarding, MembersOnlyError
from mailward.formats.srs import Srs, is_rewritten
from mailward.intake.ports import Directory
from mailward.intake.refusing import LOOP, CoreRefusal
from mailward.model.address import ForwardPath, ReversePath
from mailward.model.identity import Identity
from mailward.model.replies import MEMBERS_ONLY, RELAY_DENIED, REPORTS_ONLY, UNKNOWN_RECIPIENT
from mailward.policy.ruling import RecipientFacts

UNKNOWN_MAILBOX = CoreRefusal("unknown mailbox", UNKNOWN_RECIPIENT)
NO_RELAY = CoreRefusal("relay guard", RELAY_DENIED)
NO_REPORT = CoreRefusal("rewritten address", REPORTS_ONLY)
NO_MEMBER = CoreRefusal("list", MEMBERS_ONLY)


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
        self._forwarding = Forwarding(directory, srs, discarded)
        self._relay_domains = frozenset(relay_domains)

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
        return Destination(forward_path, facts, (End(facts.address, self._forwarding.route(address.domain)),))

    def circle(self, destinations: Sequence[Destination], delivered_to: Sequence[str]) -> CoreRefusal | None:
        """Did an alias that forwards the message now do that before? Then it goes in circles between servers (T-RELAY-15).

        delivered_to: what we, or others, wrote of that.
        """
        aliases = {end.alias for one in destinations for end in one.ends if end.is_forward}
        return LOOP if self._forwarding.has_passed(aliases, delivered_to) else None

    def _here(self, forward_path: ForwardPath, reverse_path: ReversePath) -> Destination | CoreRefusal:
        asked = forward_path.address
        if is_rewritten(asked):
            return self._returning(forward_path, reverse_path)
        try:
            ways = self._forwarding.ways(asked, reverse_path)
        except MembersOnlyError:
            return NO_MEMBER
        if not ways:
            return UNKNOWN_MAILBOX
        names = self._directory.names_of([way.account for way in ways if way.account is not None])
        tag = self._directory.detail(asked)
        facts = RecipientFacts.of(forward_path, tag=tag, mailboxes=names.addresses, groups=names.groups)
        if not ways[0].through:
            return Destination(forward_path, facts, (End(facts.address, "mailbox", ways[0].account),))
        return Destination(forward_path, facts, self._forwarding.ends(ways, asked, reverse_path, asked.domain))

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
        ends = self._forwarding.ends(ways, forward_path.address, reverse_path)
        # It is our address that leads there, whether or not an alias does behind it.
        ends = tuple(replace(end, alias=end.alias or str(forward_path.address)) for end in ends)
        return Destination(forward_path, RecipientFacts.of(forward_path), ends)
