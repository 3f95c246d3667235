"""Logins for tests of protocols: the real mechanisms and chain over a few passwords, without hashing, waiting or guessing limits."""

from collections.abc import Callable
from typing import Literal

from mailward.api.logins import FactorAnswer, LoginAttempt, LoginOutcome, Secret
from mailward.api.services import Credentials
from mailward.auth.authenticator import ChainAuthenticator
from mailward.auth.chain import LoginChain
from mailward.auth.failures import FailureLimits
from mailward.model.errors import LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.protocol.scram import ScramProof, scram_keys

PasswordOf = Callable[[str], tuple[AccountId, str] | None]
"""A login name's account and password."""
_SALT = b"0123456789abcdef", 4096


class DirectHooks:
    """`auth.ports.LoginHooks` that asks the credentials, and nobody else."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.outcomes: list[LoginOutcome] = []

    async def inspect(self, attempt: LoginAttempt) -> Literal["accept", "reject", "tempfail"]:
        return "accept"

    async def identify(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        return await self._credentials.check(attempt, secret)

    async def second_factor(self, identity: Identity, attempt: LoginAttempt, code: str | None) -> FactorAnswer | None:
        return None

    def told(self, attempt: LoginAttempt, outcome: LoginOutcome) -> None:
        self.outcomes.append(outcome)


class PlainBook:
    """Credentials and KeptLogins over passwords in clear."""

    def __init__(self, password_of: PasswordOf) -> None:
        self._password_of = password_of
        self.is_away = False
        """Nobody can tell now."""

    async def check(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        if self.is_away:
            raise LoginUnavailable("away")
        found = self._password_of(attempt.name)
        if found is None:
            return None
        account, password = found
        if isinstance(secret.proof, ScramProof):
            keys = scram_keys(password, *_SALT)
            is_right = keys is not None and secret.proof.is_of(keys)
        else:
            is_right = secret.password == password
        return Identity(account, attempt.name) if is_right else None

    async def account_of(self, name: str) -> AccountId | None:
        found = self._password_of(name)
        return None if found is None else found[0]

    async def why_wrong(self, attempt: LoginAttempt, secret: Secret) -> str:
        return "wrong name or password"

    async def salt_of(self, name: str) -> tuple[bytes, int]:
        return _SALT

    def sufficed(self, secret: Secret) -> None:
        """Nothing is remembered."""


def authenticator(book: PlainBook) -> ChainAuthenticator:
    hooks = DirectHooks(book)
    chain = LoginChain(lambda: hooks, hooks.told, book, limits=FailureLimits(free=1_000_000), sleep=_no_sleep)
    return ChainAuthenticator(chain, book)


async def _no_sleep(seconds: float) -> None:
    """Tests do not wait."""
