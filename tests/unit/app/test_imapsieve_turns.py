"""Whose command meets the script next, and how many wait for that."""

from typing import cast

import pytest

from mailward.access.imap.events import Event
from mailward.access.imap.reach import Reached
from mailward.app.imapsieve_turns import Turns
from mailward.model.identity import Identity
from mailward.model.ids import AccountId

INBOX = cast(Reached, None)


def event(name: str, *uids: int) -> Event:
    return Event("COPY", Identity(AccountId(name), f"{name}@example.org"), INBOX, uids)


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


def test_t_dos_16_so_many_commands_of_an_account_wait_and_others_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.app.imapsieve_turns.MOST_WAITING", 2)
    turns = Turns()
    assert [turns.add(event("bob", uid)) for uid in (1, 2, 3)] == [True, True, False]
    assert turns.add(event("ann", 4))
    assert order(turns) == [(1,), (4,), (2,)]
