"""Is this login good? One chain for every protocol: failure counts, policy, identity, second factor.

Unknown name, wrong password, damaged hash, rejected by policy, second factor missing or wrong, locked out: all look alike in
reply and in time (T-AUTH-03, T-AUTH-04). Neither names that are not ours nor passwords are logged: people type one into the
other's field.
"""

import asyncio
import hashlib
import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal
from weakref import WeakValueDictionary

import structlog

from mailward.api.logins import LoginAttempt, LoginOutcome, Secret
from mailward.auth.acquaintances import Acquaintances
from mailward.auth.failures import FailureLimits, Failures
from mailward.auth.ports import KeptLogins, LoginHooks
from mailward.formats.network import source_of
from mailward.model.errors import HooksUnavailable, LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.services.known import KnownSources

MAX_NAME_OCTETS = 320
"""The longest mailbox name there can be: 64 octets, "@" and 255 (RFC 5321 section 4.5.3.1)."""
LOCKED_S = 5.0
AT_ONCE = 8
"""Attempts on one account that are looked at together."""

_CODE_BEHIND_PASSWORD = re.compile(r"(?P<password>.+)\$(?P<code>[0-9A-Za-z-]{6,40})", re.DOTALL)
"""A one-time code, or a recovery code that stands in for one."""

log = structlog.get_logger("mailward.auth")


class LoginChain:
    """Checks logins and slows down who guesses.

    hooks: asked at each login, so that a reload can replace them; a login under way keeps its own. told: hears how each attempt
    ended (hook on_auth); it returns at once. acquaintances: of earlier runs; without them a restart makes everybody a stranger.
    known: is told from where a login was accepted. monotonic and sleep: given by tests; by default the system's.
    """

    def __init__(
        self,
        hooks: Callable[[], LoginHooks],
        told: Callable[[LoginAttempt, LoginOutcome], None],
        kept: KeptLogins,
        *,
        acquaintances: Acquaintances | None = None,
        known: KnownSources | None = None,
        limits: FailureLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hooks = hooks
        self._told = told
        self._kept = kept
        self._acquaintances = acquaintances
        self._known = known
        self._failures = Failures(limits)
        self._gates: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._monotonic = monotonic
        self._sleep = sleep

    async def decide(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        """Who it is; None for a refusal. May wait before it answers. Raises LoginUnavailable."""
        hooks = self._hooks()
        account = await self._kept.account_of(attempt.name)
        key, network = account or _stranger(attempt.name), source_of(attempt.peer_ip)
        await self._recall(key, network)
        async with self._turn(key, network):
            wait_s = self._failures.wait_s(key, network, self._monotonic())
            if wait_s is None:
                identity, why, answer_at = None, "too many failures before", self._monotonic() + LOCKED_S
            else:
                if wait_s > 0:
                    await self._sleep(wait_s)
                answer_at = began = self._monotonic()
                identity, why = await self._judged(hooks, attempt, secret, account)
                if identity is None:
                    self._failures.failed(key, network, self._monotonic())
                    least_s = await self._kept.refusal_s()
                    answer_at += least_s * max(1, math.ceil((self._monotonic() - began) / least_s))  # at a busy time, a later one
                else:
                    await self._remember(key, network)
                    if self._known is not None:
                        self._known.add(attempt.peer_ip, identity.account, self._monotonic())
        result: Literal["accepted", "refused"] = "refused" if identity is None else "accepted"
        self._end(attempt, account, LoginOutcome(result, identity, why))
        if identity is None:
            await self._sleep(max(0.0, answer_at - self._monotonic()))
        return identity

    async def _recall(self, account: str, network: str) -> None:
        if self._acquaintances is None or self._failures.knows(account, network):
            return
        if await self._acquaintances.knows(account, network):
            self._failures.befriend(account, network)

    async def _remember(self, account: str, network: str) -> None:
        if self._acquaintances is not None and not self._failures.knows(account, network):
            await self._acquaintances.add(account, network)
        self._failures.succeeded(account, network)

    def _turn(self, account: str, network: str) -> asyncio.Semaphore:
        """So many at once on one account: what they add to its count is known before the next ones begin (T-2FA-02). A network
        that was there before waits for no stranger, one that has not failed yet only for its like."""
        if self._failures.knows(account, network):
            key = f"{account}\0{network}"
        else:
            key = f"{account}\0new" if self._failures.is_new(account, network) else account
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = asyncio.Semaphore(AT_ONCE)
        return gate

    async def _judged(
        self, hooks: LoginHooks, attempt: LoginAttempt, secret: Secret, account: AccountId | None
    ) -> tuple[Identity | None, str]:
        """As `_judge`; whatever goes wrong is told, and raised as LoginUnavailable."""
        try:
            identity, why = await self._judge(hooks, attempt, secret)
            if identity is not None and await self._kept.is_disabled(identity.account):
                return None, "the account is disabled"
            return identity, why
        except (HooksUnavailable, LoginUnavailable) as error:
            why = str(error)
        except Exception:
            log.exception("unforeseen failure", account=account, peer=attempt.peer_ip, protocol=attempt.protocol)
            why = "unforeseen failure"
        self._end(attempt, account, LoginOutcome("unavailable", None, why))
        raise LoginUnavailable(why)

    def unlock(self, account: AccountId) -> None:
        """Forget an account's failures."""
        self._failures.unlock(account)
        log.info("account unlocked", account=account)

    async def _judge(self, hooks: LoginHooks, attempt: LoginAttempt, secret: Secret) -> tuple[Identity | None, str]:
        """Who it is, or None, and why."""
        if not _is_possible(attempt.name):
            return None, "no name"
        verdict = await hooks.inspect(attempt)
        if verdict == "tempfail":
            raise LoginUnavailable("the policy says tempfail")
        if verdict == "reject":
            return None, "rejected by policy"
        identity = await hooks.identify(attempt, secret)
        if identity is not None:
            return await self._second_factor(hooks, identity, attempt, secret, None)
        suffixed = _CODE_BEHIND_PASSWORD.fullmatch(secret.password or "")
        if suffixed is None:
            return None, await self._kept.why_wrong(attempt, secret)
        secret = Secret(suffixed["password"])
        identity = await hooks.identify(attempt, secret)
        if identity is None:
            return None, "wrong name or password"
        return await self._second_factor(hooks, identity, attempt, secret, suffixed["code"])

    async def _second_factor(
        self, hooks: LoginHooks, identity: Identity, attempt: LoginAttempt, secret: Secret, code: str | None
    ) -> tuple[Identity | None, str]:
        """An app password stands for both factors. A code that nothing asks for is part of no password, so it is wrong."""
        answer = None if identity.app_password else await hooks.second_factor(identity, attempt, code)
        if answer == "accepted":
            return replace(identity, second_factor=True), "password and second factor"
        if answer is not None:
            return None, f"second factor {answer}"
        if code is not None:
            return None, "a code behind the password, and no second factor to check it"
        if identity.app_password:
            return identity, f"app password {identity.app_password}"
        self._kept.sufficed(identity, secret)
        return identity, "password"

    def _end(self, attempt: LoginAttempt, account: AccountId | None, outcome: LoginOutcome) -> None:
        write = log.info if outcome.result == "accepted" else log.warning
        identity = outcome.identity
        # Nothing that a stranger may choose stands before the address: others read this line to lock addresses out.
        write(
            f"login {outcome.result}",
            account=identity.account if identity else account,
            peer=attempt.peer_ip,
            protocol=attempt.protocol,
            mechanism=attempt.mechanism,
            user=identity.user if identity else attempt.name if account else "",
            tls="" if attempt.tls is None else attempt.tls.version,
            why=outcome.why,
        )
        self._told(attempt, outcome)


def _stranger(name: str) -> str:
    """What a name that is nobody's is counted under: as long as any other, whatever was typed."""
    return hashlib.sha256(name.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _is_possible(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_OCTETS and name.isprintable()
