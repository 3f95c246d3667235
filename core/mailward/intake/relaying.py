"""May this forward-path be taken here, and what is it then? Core code, so that no plugin can open a relay.

A forward-path is taken when its domain is ours and the directory knows the mailbox, or when the admin routed its domain.
The local-part is opaque: "%", "!" and quoted "@" in it mean nothing (RFC 5321 section 2.3.11).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mailward.intake.ports import Directory
from mailward.model.address import ForwardPath
from mailward.model.ids import AccountId
from mailward.model.reply import NO_SUCH_USER, RELAY_DENIED, Reply
from mailward.policy.ruling import RecipientFacts


@dataclass(frozen=True, slots=True)
class Destination:
    """A forward-path that was taken. route: as `QueuedRecipient.route`; account: None when no mailbox stands behind it."""

    forward_path: ForwardPath
    facts: RecipientFacts
    route: str
    account: AccountId | None = None


class RelayGuard:
    """routes: domain (A-labels, lower case) -> route, for domains that are taken without a mailbox here."""

    def __init__(self, directory: Directory, routes: Mapping[str, str]) -> None:
        self._directory = directory
        self._routes = dict(routes)

    def destination(self, forward_path: ForwardPath) -> Destination | Reply:
        """What the forward-path is here, or the refusal. Raises StorageError when the directory cannot be read."""
        address = forward_path.address
        # Only the bare <postmaster> comes without a domain; it is always ours (RFC 5321 section 4.5.1).
        if not address.domain or self._directory.is_local_domain(address.domain):
            account = self._directory.resolve(address)
            if account is None:
                return NO_SUCH_USER
            return Destination(forward_path, RecipientFacts.of(forward_path), "mailbox", account)
        route = self._routes.get(address.domain)
        if route is None:
            return RELAY_DENIED
        return Destination(forward_path, RecipientFacts.of(forward_path, is_local=False), route)
