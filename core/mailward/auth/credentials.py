"""Whose secret is it? Checks offers against the credentials that are kept here, and makes what is kept.

A password in clear may be an app password or the main one; a SCRAM proof is tried against the keys of each secret that is good
for the protocol. A name that is nobody's costs what a wrong password costs (T-AUTH-04).
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from mailward.api.logins import LoginAttempt, LoginProtocol, Secret
from mailward.api.services import Clock
from mailward.auth import app_passwords
from mailward.auth.passwords import OURS, PasswordChecker, TooManyWaitingError, hash_password, is_foreign
from mailward.auth.refusal_time import RefusalTime
from mailward.directory import AppPassword, Credential, CredentialStore, password_id
from mailward.model.errors import LoginUnavailable, StorageError
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.proof import Proof, ScramKeys
from mailward.protocol.scram import ITERATIONS, SALT_OCTETS, scram_keys
from mailward.services.known import KnownSources

USE_NOTED_EVERY = timedelta(minutes=10)
"""How exactly it is known when an app password was last used; a client that polls must not cost a write each time."""
_NOBODYS_KEYS = ScramKeys(bytes(32), bytes(32))

T = TypeVar("T")

log = structlog.get_logger("mailward.auth")


class KeptCredentials:
    """`mailward.api.Credentials` in the process that checks logins, and the chain's `KeptLogins`."""

    def __init__(
        self, store: CredentialStore, passwords: PasswordChecker, clock: Clock, known: KnownSources | None = None
    ) -> None:
        """known: from where somebody has logged in before."""
        self._store = store
        self._known = known
        self._passwords = passwords
        self._clock = clock
        self._fake_salt_key = store.fake_salt_key()
        self._refusal_time = RefusalTime(lambda: store.hashes_unlike(OURS), passwords.work_s)

    # --- mailward.api.Credentials ---

    async def check(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        """Whose secret it is, None when nobody's. Raises LoginUnavailable."""
        kept = await self._ask(lambda: self._store.find(attempt.name))
        if secret.proof is not None:
            return await self._by_proof(kept, attempt, secret.proof)
        if secret.password is not None:
            return await self._by_password(kept, attempt, secret.password)
        return None

    async def _by_password(self, kept: Credential | None, attempt: LoginAttempt, password: str) -> Identity | None:
        typed = app_passwords.normalised(password)
        if kept is not None and typed is not None:
            digest = app_passwords.digest(typed)
            right = [made for made in self._good(kept, attempt) if hmac.compare_digest(made.digest, digest)]
            if right:
                return await self._used(kept, right[0])
        password_hash = None if kept is None else kept.password_hash
        try:
            from_known = self._known is not None and attempt.peer_ip in self._known
            is_right = await self._passwords.check(password_hash, password, from_known=from_known)
        except TooManyWaitingError:
            raise LoginUnavailable("too many logins wait for their turn") from None
        if kept is None or password_hash is None or not is_right:
            return None
        if is_foreign(password_hash):
            if await self._ask(lambda: _make_ours(self._store, kept, password_hash, password)):
                return await self._by_password(await self._ask(lambda: self._store.find(attempt.name)), attempt, password)
        elif kept.scram_keys is None:
            await self._ask(lambda: self._add_scram_keys(kept, password_hash, password))
        return _owner(kept)

    async def _by_proof(self, kept: Credential | None, attempt: LoginAttempt, proof: Proof) -> Identity | None:
        main = kept.scram_keys if kept is not None else None
        is_main = proof.is_of(main or _NOBODYS_KEYS) and main is not None
        if kept is None:
            return None
        if is_main:
            return _owner(kept)
        right = [made for made in self._good(kept, attempt) if proof.is_of(made.scram_keys)]
        return await self._used(kept, right[0]) if right else None

    def _good(self, kept: Credential, attempt: LoginAttempt) -> Sequence[AppPassword]:
        now = self._clock.now()
        return [made for made in kept.app_passwords if made.is_good_for(attempt.protocol, now)]

    async def _used(self, kept: Credential, made: AppPassword) -> Identity:
        now = self._clock.now()
        if made.last_used_at is None or now - made.last_used_at >= USE_NOTED_EVERY:
            try:
                await asyncio.to_thread(self._store.app_password_used, made.id, now)
            except StorageError as error:  # a full disk is no reason to keep people from their mail
                log.warning("use of an app password not noted", account=kept.account, error=str(error))
        return Identity(kept.account, str(kept.address), app_password=made.name, credential=made.id)

    def _add_scram_keys(self, kept: Credential, password_hash: str, password: str) -> None:
        """Only the hash was known until now: the account is of a release before SCRAM."""
        keys = scram_keys(password, kept.scram_salt, kept.scram_iterations)
        if keys is not None:
            self._store.add_scram_keys(kept.account, password_hash, keys)

    async def _ask(self, function: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(function)
        except StorageError as error:
            log.error("credentials cannot be read", error=str(error))
            raise LoginUnavailable(str(error)) from error

    # --- KeptLogins ---

    async def account_of(self, name: str) -> AccountId | None:
        return await self._ask(lambda: self._store.account_of(name))

    async def why_wrong(self, attempt: LoginAttempt, secret: Secret) -> str:
        kept = await self._ask(lambda: self._store.find(attempt.name))
        typed = app_passwords.normalised(secret.password or "")
        if kept is not None and typed is not None:
            digest = app_passwords.digest(typed)
            for made in kept.app_passwords:
                if hmac.compare_digest(made.digest, digest):
                    is_meant = attempt.protocol in made.scopes
                    return f"app password {made.name} {'has expired' if is_meant else f'is not for {attempt.protocol}'}"
        return "wrong name or password"

    async def refusal_s(self) -> float:
        return await self._ask(self._refusal_time.least_s)

    async def salt_of(self, name: str) -> tuple[bytes, int]:
        """By alias or subaddress there is no SCRAM: a salt of the account's would tell whose name it is (T-AUTH-03)."""
        kept = await self._ask(lambda: self._store.find(name))
        if kept is not None and name.casefold() == str(kept.address).casefold():
            return kept.scram_salt, kept.scram_iterations
        octets = name.lower().encode("utf-8", "surrogatepass")
        return hmac.digest(self._fake_salt_key, octets, hashlib.sha256)[:SALT_OCTETS], ITERATIONS

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        def find() -> frozenset[Identity]:
            now = self._clock.now()
            accounts = {identity.account for identity in identities}
            disabled = self._store.disabled_of(accounts)
            good = {account: self._store.good_ids(account, now) for account in accounts}
            return frozenset(
                identity
                for identity in identities
                if identity.account in disabled or (identity.credential and identity.credential not in good[identity.account])
            )

        return await self._ask(find) if identities else frozenset()

    async def is_disabled(self, account: AccountId) -> bool:
        return bool(await self._ask(lambda: self._store.disabled_of([account])))

    def sufficed(self, identity: Identity, secret: Secret) -> None:
        if identity.credential and secret.password is not None:
            self._passwords.remember(identity.credential, secret.password)


def _owner(kept: Credential) -> Identity:
    """Who gave the main password."""
    known_by = "" if kept.password_hash is None else password_id(kept.password_hash)
    return Identity(kept.account, str(kept.address), credential=known_by)


def _make_ours(store: CredentialStore, kept: Credential, password_hash: str, password: str) -> bool:
    """A hash and SCRAM keys of ours in the place of a hash from elsewhere, of the password that it was right for.

    What is kept then is to be asked again: it may have been changed meanwhile. False for what can have no hash of ours.
    """
    try:
        made = hash_password(password)
    except ValueError:
        return False
    keys = scram_keys(password, kept.scram_salt, kept.scram_iterations)
    store.replace_hash(kept.account, password_hash, made, keys)
    log.info("password hash made anew", account=kept.account)
    return True


def set_password(store: CredentialStore, account: AccountId, password: str) -> None:
    """Make a main password's hash and SCRAM keys and keep them. Raises ValueError, DirectoryError, StorageError."""
    password_hash = hash_password(password)
    kept = store.of(account)
    store.set_password(account, password_hash, scram_keys(password, kept.scram_salt, kept.scram_iterations))


@dataclass(frozen=True, slots=True)
class AppPasswordWish:
    """An app password to be made."""

    name: str
    scopes: tuple[LoginProtocol, ...]
    created_at: datetime
    expires_at: datetime | None


def add_app_password(store: CredentialStore, account: AccountId, wish: AppPasswordWish) -> str:
    """Make an app password and keep what is needed to know it again; returned is the only copy of itself.

    SCRAM hides from us what was typed, so with SCRAM it must be typed as it is shown. Raises DirectoryError, StorageError.
    """
    kept = store.of(account)
    shown = app_passwords.make_app_password()
    normal = app_passwords.normalised(shown)
    keys = scram_keys(shown, kept.scram_salt, kept.scram_iterations)
    assert normal is not None and keys is not None  # it is ASCII letters, digits and hyphens
    made = AppPassword(
        secrets.token_hex(8),
        wish.name,
        app_passwords.digest(normal),
        keys,
        wish.scopes,
        wish.created_at,
        expires_at=wish.expires_at,
    )
    store.add_app_password(account, made)
    return shown
