"""May this login name with this password in, and as which account? One chain for every protocol.

Unknown name, wrong password, damaged hash and locked-out attempt look alike in reply and in time (T-AUTH-03, T-AUTH-04).
Neither names that are not ours nor passwords are logged: people type one into the other's field.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from mailward.auth.failures import FailureLimits, Failures, network_of
from mailward.auth.passwords import PasswordChecker
from mailward.model.ids import AccountId

MAX_LOGIN_OCTETS = 320
"""The longest mailbox name there can be: 64 octets, "@" and 255 (RFC 5321 section 4.5.3.1)."""

log = structlog.get_logger("mailward.auth")


class Credential(Protocol):
    """What the directory keeps of an account for logging in."""

    @property
    def account(self) -> AccountId: ...

    @property
    def password_hash(self) -> str: ...


class Credentials(Protocol):
    """The directory, as far as logging in needs it; quick, so that a login waits for nobody's search."""

    def credential(self, login: str) -> Credential | None: ...


class Login:
    """Checks logins and slows down who guesses.

    monotonic and sleep: given by tests; by default the system's.
    """

    def __init__(
        self,
        directory: Credentials,
        passwords: PasswordChecker,
        *,
        limits: FailureLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._directory = directory
        self._passwords = passwords
        self._failures = Failures(limits)
        self._monotonic = monotonic
        self._sleep = sleep

    async def check(self, login: str, password: str, peer_ip: str) -> AccountId | None:
        """The account, or None. May wait before it answers. Raises TooManyWaitingError (try again later) and StorageError."""
        known = self._directory.credential(login) if _is_possible(login) else None
        name = login.casefold()[:MAX_LOGIN_OCTETS] if known is None else known.account
        network = network_of(peer_ip)
        wait_s = self._failures.wait_s(name, network, self._monotonic())
        if wait_s is None:
            log.warning("login refused unseen", account=known and known.account, peer=peer_ip)
            await self._sleep(5.0)
            return None
        if wait_s > 0:
            await self._sleep(wait_s)
        if await self._passwords.check(None if known is None else known.password_hash, password) and known is not None:
            self._failures.succeeded(name, network)
            log.info("login", account=known.account, peer=peer_ip)
            return known.account
        self._failures.failed(name, network, self._monotonic())
        log.warning("login failed", account=known and known.account, peer=peer_ip)
        return None


def _is_possible(login: str) -> bool:
    return 0 < len(login) <= MAX_LOGIN_OCTETS and login.isprintable()
