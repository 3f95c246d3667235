"""The chain around one login: counts, policy, identity, second factor; plugins are stood in for, time is an argument."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Literal
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from mailward.api.logins import FactorAnswer, LoginAttempt, LoginOutcome, Secret
from mailward.auth.acquaintances import Acquaintances
from mailward.auth.chain import AT_ONCE, LOCKED_S, LoginChain
from mailward.auth.failures import FailureLimits
from mailward.auth.refusal_time import REFUSAL_S
from mailward.model.errors import HooksUnavailable, LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.testing import MemoryKeyValue

ALICE = Identity(AccountId("acc1"), "alice@example.org")
APP = Identity(AccountId("acc1"), "alice@example.org", app_password="phone")


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)  # others run meanwhile
        self.now += seconds


@dataclass
class Plugins:
    """secrets: of alice. factor: what totp says without a code; codes: those it accepts."""

    secrets: dict[str, Identity] = field(default_factory=lambda: {"right": ALICE, "app": APP})
    verdict: Literal["accept", "reject", "tempfail"] = "accept"
    has_factor: bool = False
    codes: tuple[str, ...] = ("123456",)
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)
    outcomes: list[LoginOutcome] = field(default_factory=list)
    work: Callable[[], Awaitable[None]] | None = None

    async def inspect(self, attempt: LoginAttempt) -> Literal["accept", "reject", "tempfail"]:
        return self.verdict

    async def identify(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        self.asked.append(secret.password or "")
        if self.work is not None:
            await self.work()
        if self.error is not None:
            raise self.error
        return self.secrets.get(secret.password or "") if attempt.name.lower() == "alice@example.org" else None

    async def second_factor(self, identity: Identity, attempt: LoginAttempt, code: str | None) -> FactorAnswer | None:
        if not self.has_factor:
            return None
        if code is None:
            return "required"
        return "accepted" if code in self.codes else "refused"

    def told(self, attempt: LoginAttempt, outcome: LoginOutcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class Kept:
    sufficient: list[str | None] = field(default_factory=list)
    disabled: set[AccountId] = field(default_factory=set)

    async def is_disabled(self, account: AccountId) -> bool:
        return account in self.disabled

    async def account_of(self, name: str) -> AccountId | None:
        return AccountId("acc1") if name.lower() == "alice@example.org" else None

    async def why_wrong(self, attempt: LoginAttempt, secret: Secret) -> str:
        return "wrong name or password"

    async def refusal_s(self) -> float:
        return REFUSAL_S

    async def salt_of(self, name: str) -> tuple[bytes, int]:
        raise AssertionError("not asked here")

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        raise AssertionError("not asked here")

    def sufficed(self, identity: Identity, secret: Secret) -> None:
        self.sufficient.append(secret.password)


class Bench:
    def __init__(self) -> None:
        self.plugins, self.kept, self.time = Plugins(), Kept(), Time()
        self.chain = LoginChain(
            lambda: self.plugins,
            self.plugins.told,
            self.kept,
            limits=FailureLimits(free=3),
            monotonic=self.time,
            sleep=self.time.sleep,
        )

    async def attempt(
        self,
        password: str,
        name: str = "alice@example.org",
        *,
        protocol: Literal["smtp", "imap", "pop3"] = "imap",
        peer_ip: str = "192.0.2.1",
    ) -> Identity | None:
        attempt = LoginAttempt(protocol, "imaps", peer_ip, None, "PLAIN", name)
        return await self.chain.decide(attempt, Secret(password))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_right_wrong_and_unknown(bench: Bench) -> None:
    assert await bench.attempt("right") == ALICE
    assert await bench.attempt("right", "ALICE@example.org") == ALICE
    assert await bench.attempt("wrong") is None
    assert await bench.attempt("right", "nobody@example.org") is None
    assert [outcome.result for outcome in bench.plugins.outcomes] == ["accepted", "accepted", "refused", "refused"]


async def test_a_disabled_account_is_refused_as_a_wrong_password_is(bench: Bench) -> None:
    """T-AUTH-03"""
    bench.kept.disabled.add(ALICE.account)
    assert await bench.attempt("right") is None and await bench.attempt("wrong") is None
    assert [one.why for one in bench.plugins.outcomes] == ["the account is disabled", "wrong name or password"]
    bench.kept.disabled.clear()
    assert await bench.attempt("right") == ALICE


@pytest.mark.parametrize("name", ["x" * 100_000, "a\0b", "a\r\nb", ""])
async def test_what_can_be_no_name_reaches_no_plugin(bench: Bench, name: str) -> None:
    assert await bench.attempt("right", name) is None
    assert bench.plugins.asked == []


async def test_t_auth_03_04_every_refusal_takes_the_same_time(bench: Bench) -> None:
    times = {}
    for kind in ("wrong", "unknown", "rejected", "factor missing", "factor wrong", "code without factor"):
        one = Bench()
        one.plugins.verdict = "reject" if kind == "rejected" else "accept"
        one.plugins.has_factor = kind.startswith("factor")
        password = {"wrong": "wrong", "factor wrong": "right$000000", "code without factor": "right$123456"}.get(kind, "right")
        assert await one.attempt(password, "nobody@example.org" if kind == "unknown" else "alice@example.org") is None
        times[kind] = one.time.now
    assert len(times) == 6 and set(times.values()) == {REFUSAL_S}


async def test_t_auth_04_what_took_longer_than_a_refusal_looks_like_one_at_a_busy_time(bench: Bench) -> None:
    async def slow(attempt: LoginAttempt, secret: Secret) -> Identity | None:
        bench.time.now += 1.1 * REFUSAL_S
        return None

    with patch.object(bench.plugins, "identify", slow):
        assert await bench.attempt("wrong") is None
    assert bench.time.now == pytest.approx(2 * REFUSAL_S)


async def test_t_auth_03_unknown_and_known_accounts_are_slowed_and_locked_alike() -> None:
    waits = []
    for name in ("alice@example.org", "nobody@example.org"):
        one = Bench()
        for _ in range(30):
            assert await one.attempt("wrong", name) is None
        await asyncio.gather(*(one.attempt("wrong", name) for _ in range(30)))
        waits.append(one.time.slept)
    assert waits[0] == waits[1] and LOCKED_S in waits[0]


async def test_t_auth_01_one_count_for_all_protocols_and_all_names_of_an_account(bench: Bench) -> None:
    for protocol in ("smtp", "imap", "pop3", "imap", "smtp"):
        await bench.attempt("wrong", protocol=protocol)
    assert bench.time.now == pytest.approx(5 * REFUSAL_S + 0.2), "the fifth waits for the rest of half a second"


async def test_t_auth_11_neither_passwords_nor_unknown_names_are_logged(bench: Bench) -> None:
    with capture_logs() as logs:
        await bench.attempt("hunter2", "hunter2-as-name")
        await bench.attempt("hunter2")
        bench.plugins.error = HooksUnavailable("accounts", "provide_identity", "no disk")
        with pytest.raises(LoginUnavailable):
            await bench.attempt("hunter2")
        await bench.attempt("hunter2", "hunter2\0")
    assert len(logs) == 4 and "hunter2" not in repr(logs)
    assert "hunter2" not in repr(Secret("hunter2"))


async def test_a_failure_of_a_plugin_lets_nobody_in_and_counts_for_nobody(bench: Bench) -> None:
    for error in (HooksUnavailable("accounts", "provide_identity", "no disk"), LoginUnavailable("no disk"), KeyError("bug")):
        bench.plugins.error = error
        for _ in range(10):
            with pytest.raises(LoginUnavailable):
                await bench.attempt("right")
    bench.plugins.error = None
    assert await bench.attempt("right") == ALICE
    assert bench.time.slept == []
    assert {outcome.result for outcome in bench.plugins.outcomes[:-1]} == {"unavailable"}


async def test_tempfail_of_the_policy_is_no_refusal(bench: Bench) -> None:
    bench.plugins.verdict = "tempfail"
    with pytest.raises(LoginUnavailable, match="tempfail"):
        await bench.attempt("right")
    assert bench.plugins.asked == []


async def test_t_2fa_04_with_a_second_factor_the_main_password_alone_is_refused(bench: Bench) -> None:
    bench.plugins.has_factor = True
    for protocol in ("smtp", "imap", "pop3"):
        assert await bench.attempt("right", protocol=protocol) is None
    assert bench.kept.sufficient == []


async def test_t_2fa_04_app_passwords_stand_for_both_factors(bench: Bench) -> None:
    bench.plugins.has_factor = True
    assert await bench.attempt("app") == APP


async def test_t_2fa_05_a_code_stands_behind_a_dollar_sign(bench: Bench) -> None:
    bench.plugins.has_factor = True
    found = await bench.attempt("right$123456")
    assert found == Identity(ALICE.account, ALICE.user, second_factor=True)
    bench.plugins.codes = ("abcd-efgh-ijkl-2345", "123456")
    assert await bench.attempt("right$abcd-efgh-ijkl-2345") == found
    for wrong in ("right123456", "right$12345", "right$1234567", "right$$123456", "right$654321", "$123456", "app$123456"):
        assert await bench.attempt(wrong) is None, wrong


async def test_t_2fa_05_a_code_nobody_asked_for_is_refused(bench: Bench) -> None:
    assert await bench.attempt("right$123456") is None


async def test_t_2fa_05_a_password_that_looks_like_one_with_a_code_is_taken_whole(bench: Bench) -> None:
    bench.plugins.secrets["pay$123456"] = ALICE
    assert await bench.attempt("pay$123456") == ALICE
    bench.plugins.has_factor = True
    assert await bench.attempt("pay$123456") is None
    assert await bench.attempt("pay$123456$123456") is not None


async def test_t_2fa_02_wrong_codes_count_as_failures(bench: Bench) -> None:
    bench.plugins.has_factor = True
    for _ in range(5):
        assert await bench.attempt("right$000000") is None
    assert bench.time.now == pytest.approx(5 * REFUSAL_S + 0.2), "as for wrong passwords"


async def test_t_2fa_02_parallel_guesses_at_codes_are_not_free(bench: Bench) -> None:
    bench.plugins.has_factor = True
    gate, looked_at = asyncio.Event(), []

    async def wait() -> None:
        await gate.wait()
        looked_at.append(bench.time.now)

    bench.plugins.work = wait
    guesses = [asyncio.ensure_future(bench.attempt(f"right${code:06}")) for code in range(100)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*guesses)
    assert sum(now < 1.0 for now in looked_at) <= 2 * AT_ONCE, "password and code are looked at apart"
    assert len(bench.plugins.outcomes) == 100 and bench.time.now > 60.0


async def test_many_good_logins_at_once_wait_for_nothing_but_their_turn(bench: Bench) -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    bench.plugins.work = wait
    logins = [asyncio.ensure_future(bench.attempt("right")) for _ in range(100)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(bench.plugins.asked) == AT_ONCE
    gate.set()
    assert await asyncio.gather(*logins) == [ALICE] * 100
    assert bench.time.slept == []


async def test_a_network_that_was_there_before_waits_for_no_stranger(bench: Bench) -> None:
    await bench.attempt("right", peer_ip="198.51.100.7")
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    bench.plugins.work = wait
    strangers = [asyncio.ensure_future(bench.attempt("wrong")) for _ in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.plugins.work = None
    assert await bench.attempt("right", peer_ip="198.51.100.7") == ALICE
    gate.set()
    await asyncio.gather(*strangers)


async def test_only_a_password_that_was_enough_alone_may_be_remembered(bench: Bench) -> None:
    await bench.attempt("app")
    await bench.attempt("wrong")
    bench.plugins.has_factor = True
    await bench.attempt("right$123456")
    assert bench.kept.sufficient == []
    bench.plugins.has_factor = False
    await bench.attempt("right")
    assert bench.kept.sufficient == ["right"]


async def test_an_attempt_that_is_broken_off_does_not_count(bench: Bench) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    bench.plugins.work = forever
    for _ in range(10):
        attempt = asyncio.ensure_future(bench.attempt("right"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    bench.plugins.work = None
    assert await bench.attempt("right") == ALICE
    assert bench.time.slept == []


async def test_a_local_command_unlocks(bench: Bench) -> None:
    for _ in range(20):
        await bench.attempt("wrong")
    bench.chain.unlock(AccountId("acc1"))
    bench.time.slept.clear()
    assert await bench.attempt("right") == ALICE
    assert bench.time.slept == []


async def test_t_auth_01_a_network_that_was_here_before_a_restart_is_no_stranger() -> None:
    kept = Acquaintances(MemoryKeyValue())
    time = Time()

    def started() -> LoginChain:
        plugins = Plugins()
        return LoginChain(
            lambda: plugins, plugins.told, Kept(), acquaintances=kept, limits=FailureLimits(), monotonic=time, sleep=time.sleep
        )

    def attempt(ip: str) -> LoginAttempt:
        return LoginAttempt("imap", "imaps", ip, None, "PLAIN", "alice@example.org")

    assert await started().decide(attempt("192.0.2.1"), Secret("right")) == ALICE
    chain = started()
    for n in range(60):
        await chain.decide(attempt(f"198.51.100.{n}"), Secret("guess"))
    time.slept.clear()
    assert await chain.decide(attempt("192.0.2.1"), Secret("right")) == ALICE
    assert time.slept == []
