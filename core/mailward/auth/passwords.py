"""Is this the account's password? Argon2id, and the same work whether or not the account exists (OWASP's first parameters).

Hashing takes tens of milliseconds of a core and 19 MiB, so it runs in a pool with as many threads as there are cores, and
only so many may wait for one: a flood of logins must not become a flood of memory. Those who come from where somebody has logged
in before have a thread of their own: they wait for no crowd of strangers.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type

from mailward.auth.foreign_hashes import is_crypt, is_of_crypt
from mailward.directory import password_id

MAX_PASSWORD_OCTETS = 1024
MIN_PASSWORD_LENGTH = 8
"""Characters that a new password needs at least (NIST SP 800-63B); an older one still opens its account."""
REMEMBER_S = 60.0

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
OURS = "$argon2id$v=19$m=19456,t=2,p=1$"
"""How the hashes made here begin."""
_PREFIXES = ("$argon2id$", "$argon2i$")


def make_password() -> str:
    """A new one of 96 random bits, to be shown once."""
    return secrets.token_urlsafe(12)


def hash_password(password: str) -> str:
    """The hash to keep, in PHC form with its salt and parameters. Raises ValueError for an empty or over-long password."""
    if not 0 < len(password.encode()) <= MAX_PASSWORD_OCTETS:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_OCTETS} octets")
    return _HASHER.hash(password)


def is_foreign(password_hash: str) -> bool:
    """Whether another server made it, or ours with other parameters: it gives way to one of ours once the password is known."""
    try:
        return is_crypt(password_hash) or _HASHER.check_needs_rehash(password_hash)
    except InvalidHashError:
        return False


def verify(password_hash: str, password: str) -> bool:
    """Blocking. A hash that is damaged or of another scheme lets nobody in."""
    return bool(_compared(password_hash, password))


def _compared(password_hash: str, password: str) -> bool | None:
    """Are they of one another? None when there was nothing to compare, and so no work done."""
    if not 0 < len(password.encode("utf-8", "surrogatepass")) <= MAX_PASSWORD_OCTETS:
        return None
    if is_crypt(password_hash):
        return is_of_crypt(password_hash, password)
    if not password_hash.startswith(_PREFIXES):
        return None
    try:
        return _HASHER.verify(password_hash, password)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return None


class TooManyWaitingError(Exception):
    """The pool's queue is full; say "try again later", which tells nothing about any account."""


class _Line:
    """Threads, and how many wait for them at most."""

    def __init__(self, workers: int, max_waiting: int, name: str) -> None:
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._waiting = 0
        self._max_waiting = max_waiting

    async def run(self, work: Callable[[], bool]) -> bool:
        """Raises TooManyWaitingError."""
        if self._waiting >= self._max_waiting:
            raise TooManyWaitingError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, work)
        finally:
            self._waiting -= 1


class PasswordChecker:
    """Checks passwords off the event loop.

    workers: threads for strangers, by default one a core. max_waiting: checks that may wait for a thread, in either line.
    A password that was remembered stays known for REMEMBER_S under a keyed hash that dies with the process: webmail logs in at
    every click. The key covers the stored hash (its `password_id`), so a changed password is heeded at once (T-AUTH-10).
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        max_waiting: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._strangers = _Line(workers or os.cpu_count() or 1, max_waiting, "password")
        self._known_peers = _Line(1, max_waiting, "known-password")
        self._clock = clock
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._key = os.urandom(32)
        self._dummy = hash_password(os.urandom(16).hex())

    async def check(self, password_hash: str | None, password: str, *, from_known: bool = False) -> bool:
        """True when it is the password. None, for an account that does not exist, costs what a wrong password costs.

        from_known: somebody has logged in from there before. Raises TooManyWaitingError.
        """
        if password_hash is not None and self._known.get(self._digest(password_id(password_hash), password), 0.0) > self._clock():
            return True
        line = self._known_peers if from_known else self._strangers
        return await line.run(lambda: self._work(password_hash, password))

    def remember(self, credential: str, password: str) -> None:
        """It was right for the hash of this `password_id`, and a login was accepted for it alone.

        Not for a login that needs more: quick refusals would tell.
        """
        self._known[self._digest(credential, password)] = self._clock() + REMEMBER_S
        while len(self._known) > 4096:
            self._known.popitem(last=False)

    def work_s(self, password_hash: str) -> float:
        """How long a wrong password takes, measured: the shortest of three, as the machine may be busy. Blocks as long."""

        def took_s() -> float:
            began = time.perf_counter()
            self._work(password_hash, "x")
            return time.perf_counter() - began

        return min(took_s() for _ in range(3))

    def close(self) -> None:
        for line in (self._strangers, self._known_peers):
            line.pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, password_hash: str | None, password: str) -> bool:
        is_right = None if password_hash is None else _compared(password_hash, password)
        if is_right is None or (password_hash is not None and is_crypt(password_hash)):  # else those would be the quick ones
            verify(self._dummy, "x")
        return bool(is_right)

    def _digest(self, credential: str, password: str) -> bytes:
        octets = credential.encode() + b"\0" + password.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(octets, key=self._key, digest_size=32).digest()
