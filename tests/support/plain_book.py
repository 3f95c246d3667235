"""Logins for tests of protocols: the real mechanisms and chain over a few passwords, without hashing, waiting or guessing limits.

Salt and nonce are those of RFC 7677 section 3, so with the password "pencil" for "user" its dialogue is ours octet by octet.
"""

import asyncio
import base64
from collections.abc import Callable, Collection
from typing import Literal

from mailward.api.logins import FactorAnswer, LoginAttempt, LoginOutcome, Secret
from mailward.api.services import Credentials
from mailward.auth.authenticator import MECHANISMS, ChainAuthenticator, ChainExchange
from mailward.auth.chain import LoginChain
from mailward.auth.exchange import LoginPeer
from mailward.auth.failures import FailureLimits
from mailward.auth.refusal_time import REFUSAL_S
from mailward.model.errors import LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.protocol.scram import NAME, ScramServer, scram_keys

PasswordOf = Callable[[str], tuple[AccountId, str] | None]
"""A login name's account and password; raises LoginUnavailable when nobody can tell."""
_SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096
_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"


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
    """Credentials and KeptLogins over passwords in clear; a password is its own name. is_away: nobody can tell now. gate: checks wait for it."""

    def __init__(self, password_of: PasswordOf) -> None:
        self._password_of = password_of
        self.is_away = False
        self.gone: set[str] = set()
        """Passwords that were revoked meanwhile."""
        self.disabled: set[AccountId] = set()
        self.groups: tuple[str, ...] = ()
        """What everybody who logs in is known to be in."""
        self.gate: asyncio.Event | None = None
        self.checking = asyncio.Event()

    async def check(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        self.checking.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise LoginUnavailable("away")
        found = self._password_of(attempt.name)
        if found is None:
            return None
        account, password = found
        if secret.proof is not None:
            keys = scram_keys(password, *_SALT)
            is_right = keys is not None and secret.proof.is_of(keys)
        else:
            is_right = secret.password == password
        return Identity(account, attempt.name, self.groups, credential=password) if is_right else None

    async def account_of(self, name: str) -> AccountId | None:
        found = self._password_of(name)
        return None if found is None else found[0]

    async def why_wrong(self, attempt: LoginAttempt, secret: Secret) -> str:
        return "wrong name or password"

    async def refusal_s(self) -> float:
        return REFUSAL_S

    async def salt_of(self, name: str) -> tuple[bytes, int]:
        return _SALT

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        if self.is_away:
            raise LoginUnavailable("away")
        return frozenset(one for one in identities if one.credential in self.gone or one.account in self.disabled)

    async def is_disabled(self, account: AccountId) -> bool:
        return account in self.disabled

    def sufficed(self, identity: Identity, secret: Secret) -> None:
        """Nothing is remembered."""


class PlainAuthenticator(ChainAuthenticator):
    """The authenticator over a book; it notes who began an exchange."""

    def __init__(self, password_of: PasswordOf) -> None:
        self.book = PlainBook(password_of)
        self.peers: list[LoginPeer] = []
        hooks = DirectHooks(self.book)
        chain = LoginChain(lambda: hooks, hooks.told, self.book, limits=FailureLimits(free=1_000_000), sleep=_no_sleep)
        super().__init__(chain, self.book, {**MECHANISMS, NAME: lambda: ScramServer(lambda: _NONCE)})

    def begin(self, peer: LoginPeer, mechanism: str) -> ChainExchange:
        self.peers.append(peer)
        return super().begin(peer, mechanism)


async def _no_sleep(seconds: float) -> None:
    """Tests do not wait."""
