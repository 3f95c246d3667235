"""Who hears of an account's changes, and how often."""

import asyncio
from functools import partial

import pytest

from mailward.app import watching
from mailward.app.watching import Watchers
from mailward.model.ids import AccountId

ALICE, BOB = AccountId("alice"), AccountId("bob")


async def test_t_imap_17_the_first_change_is_told_at_once_and_a_burst_behind_it_together(monkeypatch: pytest.MonkeyPatch) -> None:
    watchers, told, gathered = Watchers(), list[str](), asyncio.Event()
    watchers.watch(ALICE, lambda: told.append("alice"))
    watchers.watch(BOB, lambda: told.append("bob"))
    for _ in range(1000):
        watchers.changed(ALICE)
    assert told == ["alice"]
    watchers.changed(BOB)
    assert told == ["alice", "bob"], "accounts do not wait for each other"
    watchers.watch(ALICE, gathered.set)
    async with asyncio.timeout(90):
        await gathered.wait()
    assert told == ["alice", "bob", "alice"]


async def test_t_imap_17_the_more_sessions_hear_of_an_account_the_longer_its_changes_are_gathered() -> None:
    """10,000 sessions are not told of each of 100 changes a second."""
    watchers = Watchers()
    for number in range(10_000):
        watchers.watch(ALICE, lambda number=number: None)  # type: ignore[misc]
    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        waits: list[float] = []
        patch.setattr(loop, "call_later", lambda delay, *_: waits.append(delay))
        watchers.changed(ALICE)
    assert waits == [pytest.approx(10_000 * watching._EACH_S)]


async def test_t_imap_17_lost_hints_are_made_up_for_by_a_poll_of_some_accounts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    watchers, told = Watchers(), list[int]()
    for number in range(100):
        watchers.watch(AccountId(f"a{number}"), partial(told.append, number))
    monkeypatch.setattr(watchers, "start", lambda: None)
    for polls in range(1, watching._SHARES + 1):
        watchers._poll()
        assert len(told) == min(4 * polls, 100)
    assert sorted(told) == [*range(100)]


async def test_who_stops_hears_nothing_more() -> None:
    watchers, told = Watchers(), list[str]()
    stop = watchers.watch(ALICE, lambda: told.append("alice"))
    stop()
    watchers.changed(ALICE)
    assert told == []
