"""A plugin that costs too much is not asked for a while, and nothing goes unfiltered by it."""

import asyncio
import time
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from mailward.pipeline import breaker as constants
from mailward.pipeline.breaker import BUDGET_S, FEWEST_FAILURES, FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S, WINDOW_S, Breaker
from mailward.pipeline.called import Answer
from mailward.pipeline.caller import Caller
from mailward.pipeline.enabling import chain_of
from mailward.testing.policies import made_policy
from support.plugin_modules import plugin_module
from support.plugin_services import memory_services

LONG_S = BUDGET_S / FEWEST_FAILURES


@dataclass
class Stand:
    """A breaker on a clock that the test moves."""

    at: float = 1000.0
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker("slow", lambda: self.at)

    def fail(self, times: int, took_s: float = LONG_S) -> None:
        for _ in range(times):
            assert self.breaker.refusal() is None
            self.breaker.failed(took_s, is_trial=False)

    def opened(self) -> "Stand":
        self.fail(FEWEST_FAILURES)
        assert self.breaker.refusal() is not None
        return self


def test_it_opens_when_failures_took_the_budget_together() -> None:
    stand = Stand()
    stand.fail(FEWEST_FAILURES - 1)
    assert stand.breaker.refusal() is None
    stand.fail(1)
    assert stand.breaker.refusal() == (
        f"it is not asked, since {FEWEST_FAILURES} calls failed within 60 s and took 20 s together; it is tried again in 5 s"
    )


def test_t_plug_03_failures_that_cost_nothing_never_take_a_filter_away() -> None:
    stand = Stand()
    stand.fail(10_000, took_s=0.0005)
    assert stand.breaker.refusal() is None


def test_few_failures_never_open_it_however_long_they_took() -> None:
    stand = Stand()
    stand.fail(FEWEST_FAILURES - 1, took_s=120)
    assert stand.breaker.refusal() is None


def test_one_bad_message_of_many_does_not_open_it() -> None:
    stand = Stand()
    for _ in range(100):
        stand.fail(1)
        for _ in range(2):
            stand.breaker.succeeded(is_trial=False)
    assert stand.breaker.refusal() is None


def test_failures_longer_ago_than_the_window_are_forgotten() -> None:
    stand = Stand()
    for _ in range(100):
        stand.fail(1)
        stand.at += WINDOW_S / (FEWEST_FAILURES - 1)
    assert stand.breaker.refusal() is None


def test_one_call_tries_again_and_a_success_closes_it() -> None:
    stand = Stand().opened()
    stand.at += FIRST_BACK_OFF_S
    assert stand.breaker.refusal() is None
    assert "is tried with another call just now" in (stand.breaker.refusal() or "")
    stand.breaker.succeeded(is_trial=True)
    stand.fail(FEWEST_FAILURES - 1)
    assert stand.breaker.refusal() is None


def test_each_failed_trial_doubles_the_back_off_up_to_a_bound() -> None:
    stand, waited = Stand().opened(), []
    for _ in range(10):
        before = stand.at
        while stand.breaker.refusal() is not None:
            stand.at += 0.5
        waited.append(stand.at - before)
        stand.breaker.failed(1, is_trial=True)
    assert waited[:4] == [5, 10, 20, 40]
    assert waited[-1] == LONGEST_BACK_OFF_S


def test_a_trial_that_nobody_waits_for_any_more_leaves_it_to_the_next() -> None:
    stand = Stand().opened()
    stand.at += FIRST_BACK_OFF_S
    assert stand.breaker.refusal() is None
    stand.breaker.given_up(is_trial=True)
    assert stand.breaker.refusal() is None


def test_calls_that_began_before_it_opened_change_nothing_however_they_end() -> None:
    def ends(breaker: Breaker) -> None:
        breaker.failed(60, is_trial=False)
        breaker.succeeded(is_trial=False)
        breaker.given_up(is_trial=False)

    stand = Stand().opened()
    ends(stand.breaker)
    assert "is tried again in 5 s" in (stand.breaker.refusal() or "")
    stand.at += FIRST_BACK_OFF_S
    assert stand.breaker.refusal() is None
    ends(stand.breaker)
    assert "is tried with another call just now" in (stand.breaker.refusal() or "")
    stand.breaker.succeeded(is_trial=True)
    assert stand.breaker.refusal() is None


def test_opening_is_an_alarm_and_closing_is_told() -> None:
    with capture_logs() as logs:
        stand = Stand().opened()
        stand.at += FIRST_BACK_OFF_S
        stand.breaker.refusal()
        stand.breaker.succeeded(is_trial=True)
    assert [(entry["event"], entry["log_level"], entry["plugin"]) for entry in logs] == [
        ("plugin suspended", "error", "slow"),
        ("plugin resumed", "warning", "slow"),
    ]
    assert "took 20 s together" in logs[0]["reason"]


SICK = """
well = threading.Event()
asked = []

@hookimpl
async def inspect_message():
    asked.append(1)
    if not well.is_set():
        await asyncio.Event().wait()
    return Finding("SEEN", "works again")
"""


def test_t_plug_03_a_plugin_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "BUDGET_S", 0.05)
    monkeypatch.setattr(constants, "FIRST_BACK_OFF_S", 0.0)
    sick = plugin_module("sick", SICK)
    good = plugin_module("good", "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'always')\n")
    policy, host = made_policy("inbound", [sick, good], {"sick": {"timeout": "20ms"}}, {})

    async def errors_and_texts() -> tuple[list[str | None], list[str]]:
        chain = chain_of(policy, host, lambda _: memory_services())
        errors, texts = [], []
        for number in range(FEWEST_FAILURES + 2):
            if number == FEWEST_FAILURES:  # no back-off: this call is the trial
                monkeypatch.setattr(constants, "LONGEST_BACK_OFF_S", 3600)
            called = await chain.inspect("inspect_message", {}, (), time.monotonic() + 60)
            errors += [one.call.error for one in called if one.call.plugin == "sick"]
            texts += [finding.text for one in called for finding in one.findings]
            if number == FEWEST_FAILURES:
                sick.__dict__["well"].set()
        return errors, texts

    errors, texts = asyncio.run(errors_and_texts())
    assert errors == [*["it took longer than its limit of 0.02 s"] * (FEWEST_FAILURES + 1), None]
    assert texts == [*["always"] * (FEWEST_FAILURES + 1), "always", "works again"]


def test_a_call_that_began_before_it_opened_is_not_taken_for_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "BUDGET_S", 0.05)
    monkeypatch.setattr(constants, "FIRST_BACK_OFF_S", 3600.0)
    slow = plugin_module(
        "slow", SICK.replace("asked.append(1)", "asked.append(1)\n    if len(asked) == 1:\n        return await late()")
    )
    answers = asyncio.Event()
    slow.__dict__["late"] = answers.wait
    policy, host = made_policy("inbound", [slow], {"slow": {"timeout": "20ms"}}, {})

    async def last_call() -> str | None:
        chain = chain_of(policy, host, lambda _: memory_services())
        (one,) = chain.enforced("inspect_message")
        unbounded = replace(one, timeout_s=60.0)
        caller = Caller(unbounded)
        made = one.plugin.implementations["inspect_message"]

        async def called(limit_s: float) -> Answer[object]:
            return await caller.call(made, {}, lambda answer: answer, time.monotonic() + limit_s)

        first = asyncio.create_task(called(60))
        await asyncio.sleep(0)
        for _ in range(FEWEST_FAILURES):
            await called(0.02)
        answers.set()
        assert (await first).error is None
        return (await called(60)).error

    assert "is tried again in 3600 s" in (asyncio.run(last_call()) or "")


def test_t_plug_03_what_is_not_asked_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "BUDGET_S", 0.05)
    sick = plugin_module("sick", SICK)
    policy, host = made_policy("inbound", [sick], {"sick": {"timeout": "20ms"}}, {})

    async def last_call() -> str | None:
        chain = chain_of(policy, host, lambda _: memory_services())
        for _ in range(FEWEST_FAILURES + 1):
            (called,) = await chain.inspect("inspect_message", {}, (), time.monotonic() + 60)
        assert called.failed
        return called.call.error

    assert (asyncio.run(last_call()) or "").startswith("it is not asked, since 5 calls failed within 60 s")
    assert len(sick.__dict__["asked"]) == FEWEST_FAILURES
