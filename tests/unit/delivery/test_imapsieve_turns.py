"""Whose command meets the script next, and how many wait for that."""

from typing import cast

import pytest

from mailward.delivery.imapsieve_turns import Turns
from mailward.model.identity import Identity
from mailward.model.ids import AccountId, MailboxId
from mailward.store.base import AccountStore
from mailward.store.events import Event

STORE = cast(AccountStore, None)


def event(name: str, *uids: int) -> Event:
    account = AccountId(name)
    return Event("COPY", Identity(account, f"{name}@example.org"), account, STORE, MailboxId(1), "INBOX", uids)


def order(turns: Turns, step: int = 1000) -> list[tuple[int, ...]]:
    """What is next until nothing waits, in steps of so many messages."""
    found = []
    while (one := turns.next()) is not None:
        found.append(tuple(one.uids[:step]))
        turns.done(one.uids[step:])
    return found


def test_accounts_take_turns_and_each_has_its_order() -> None:
    turns = Turns()
    assert all(
        [turns.add(event("ann", 1)), turns.add(event("ann", 2, 3)), turns.add(event("ann", 4)), turns.add(event("bob", 9))]
    )
    assert order(turns) == [(1,), (9,), (2, 3), (4,)]


def test_what_is_left_of_a_command_is_next_of_its_account() -> None:
    turns = Turns()
    for one in (event("ann", 1, 2, 3), event("ann", 4), event("bob", 8, 9)):
        turns.add(one)
    assert order(turns, 2) == [(1, 2), (8, 9), (3,), (4,)]


def test_who_comes_while_a_command_is_met_waits_for_that_alone() -> None:
    turns = Turns()
    turns.add(event("ann", 1))
    turns.add(event("ann", 2))
    assert turns.next() is not None
    turns.add(event("bob", 9))
    turns.done(())
    assert order(turns) == [(9,), (2,)]


def test_t_dos_06_messages_and_commands_of_an_account_take_places_until_they_are_met() -> None:
    turns = Turns()
    assert not turns.add(event("ann", *range(1, 100_000)))
    assert turns.add(event("ann", *range(1, 99_961)))
    assert [turns.add(event("ann", 1)), turns.waiting] == [False, (1, 99_960)]
    turns.done(range(1, 99_941))
    assert [turns.add(event("ann", 1)), turns.add(event("ann", 1)), turns.waiting] == [True, False, (2, 99_941)]
    turns.done(range(1, 11))
    assert [turns.add(event("ann", 1)) for _ in range(5000)].count(True) == 4759
    assert turns.waiting == (4761, 4770)
    order(turns)
    assert turns.waiting == (0, 0)


def test_t_dos_06_however_many_wait_there_is_room_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.delivery.imapsieve_turns.MOST_PLACES", 10_000)
    turns, places = Turns(), []
    for number in range(30):
        while turns.add(event(f"u{number}", 1)):
            pass
        places.append(turns.waiting[0] * 21)
    assert places[0] == 987 and places[-1] < 10_000 and places == sorted(set(places))
    assert turns.add(event("ann", *range(1, 11)))
