"""What the login chain needs of others: the hooks around a login, and the accounts that are kept here."""

from collections.abc import Collection
from typing import Literal, Protocol

from mailward.api.logins import FactorAnswer, LoginAttempt, Secret
from mailward.model.identity import Identity
from mailward.model.ids import AccountId


class LoginHooks(Protocol):
    """The plugins, under the policy `access`. Raises HooksUnavailable; any other exception counts as that too, since nobody may
    get in by a failure."""

    async def inspect(self, attempt: LoginAttempt) -> Literal["accept", "reject", "tempfail"]:
        """What the policy says of the attempt, before its secret is looked at (hook inspect_auth)."""
        ...

    async def identify(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        """Whose secret it is, None when nobody's (hook provide_identity)."""
        ...

    async def second_factor(self, identity: Identity, attempt: LoginAttempt, code: str | None) -> FactorAnswer | None:
        """What the account's second factor says, None when it has none (hook provide_second_factor)."""
        ...


class KeptLogins(Protocol):
    """The accounts kept here, as far as the chain itself must know them. Raises LoginUnavailable."""

    async def account_of(self, name: str) -> AccountId | None:
        """Whose login name this is; failures are counted by account, whichever of its names was used."""
        ...

    async def why_wrong(self, attempt: LoginAttempt, secret: Secret) -> str:
        """What was wrong with a secret that is nobody's, for our own log: the peer is never told."""
        ...

    async def refusal_s(self) -> float:
        """How long a refusal takes at least, whosever name it is."""
        ...

    async def salt_of(self, name: str) -> tuple[bytes, int]:
        """SCRAM salt and iteration count; names that are nobody's have them too."""
        ...

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        """See `exchange.Authenticator.revoked`."""
        ...

    async def is_disabled(self, account: AccountId) -> bool:
        """Nobody can log in to it, whoever checked the secret."""
        ...

    def sufficed(self, identity: Identity, secret: Secret) -> None:
        """A login was accepted for this secret alone, so it may be remembered for a while."""
        ...
