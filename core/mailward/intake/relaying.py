"""May this forward-path be taken here, and what is it then? Core code, so that no plugin can open a relay.

A forward-path is taken when its domain is ours and the directory knows the mailbox, when the admin listed its domain among
`relay_domains`, or when somebody who has logged in asks.
The local-part is opaque: "%", "!" and quoted "@" in it mean nothing (RFC 5321 section 2.3.11).
"""

from collections.abc import Collection
from dataclasses import dataclass

from mailward.intake.ports import Directory
from mailward.intake.refusing import CoreRefusal
from mailward.model.address import ForwardPath
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.replies import RELAY_DENIED, UNKNOWN_RECIPIENT
from mailward.policy.ruling import RecipientFacts

UNKNOWN_MAILBOX = CoreRefusal("unknown mailbox", UNKNOWN_RECIPIENT)
NO_RELAY = CoreRefusal("relay guard", RELAY_DENIED)


@dataclass(frozen=True, slots=True)
class Destination:
    """A forward-path that was taken. route: as `QueuedRecipient.route`; account: None when no mailbox stands behind it."""

    forward_path: ForwardPath
    facts: RecipientFacts
    route: str
    account: AccountId | None = None


class RelayGuard:
    """relay_domains: taken from anybody though their mailboxes are elsewhere. discarded: domains whose mail is kept nowhere, "*"
    for all that are not ours. All in A-labels and lower case.
    """

    def __init__(self, directory: Directory, relay_domains: Collection[str], discarded: Collection[str] = ()) -> None:
        self._directory = directory
        self._relay_domains = frozenset(relay_domains)
        self._discarded = frozenset(discarded)

    def destination(self, forward_path: ForwardPath, identity: Identity | None) -> Destination | CoreRefusal:
        """What the forward-path is here, or the refusal. Raises StorageError when the directory cannot be read."""
        address = forward_path.address
        # Only the bare <postmaster> comes without a domain; it is always ours (RFC 5321 section 4.5.1).
        if not address.domain or self._directory.is_local_domain(address.domain):
            account = self._directory.resolve(address)
            if account is None:
                return UNKNOWN_MAILBOX
            return Destination(forward_path, RecipientFacts.of(forward_path), "mailbox", account)
        if identity is None and address.domain not in self._relay_domains:
            return NO_RELAY
        route = "discard" if self._discarded & {address.domain, "*"} else "relay"
        return Destination(forward_path, RecipientFacts.of(forward_path, is_local=False), route)
