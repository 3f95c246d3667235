"""The one table of a recipient's states: what a process marks, and what the next one reads of its journal, is the same."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailward.model.ids import QueueId
from mailward.queue.jobs import Mark
from mailward.queue.journal import encode, marked, replay
from mailward.queue.recipient import FINISHED, IDLE, MOVES, TAKEN_OVER, OpenRecipient, State
from mailward.queue.record import Kind, Record, scan
from mailward.queue.schedule import HOLD_AFTER
from mailward.queue.segment import Entry, Segment

ID = QueueId("01k9w3c5v7q2x8aa")
SEGMENT = bytes.fromhex("8f3a5c7711d2e94b")
JOURNAL = [kind for kind in Kind if kind not in (Kind.MESSAGE, Kind.LARGE)]
WAITING = OpenRecipient("relay", State.WAITING)


def mark(kind: Kind, text: str = "why", next_at: str = "2026-03-01T12:05:00.000Z", *, if_idle: bool = False) -> Mark:
    return Mark(kind, ID, 0, text, next_at if kind == Kind.FAILED else "", if_idle)


PROCESS_ENDS = None
events = st.one_of(
    st.builds(mark, st.sampled_from(JOURNAL), st.sampled_from(["no", "asked"]), if_idle=st.booleans()), st.just(PROCESS_ENDS)
)
DIES = [mark(Kind.BEGUN), PROCESS_ENDS]


def entry() -> Entry:
    return Entry(ID, Segment(Path("x.seg"), SEGMENT, -1), 0, 0, 0, False, [WAITING], 1)


def left(recipient: OpenRecipient, happens: list[Mark | None]) -> tuple[OpenRecipient, bytes]:
    """What the last process knows, and the journal."""
    journal = b""
    for event in happens:
        if event is PROCESS_ENDS:
            recipient = recipient.taken_over()
        elif (became := marked(recipient, event)) is not None:
            recipient = became
            journal += b"".join(encode(SEGMENT, event, recipient))
    return recipient, journal


@given(st.sampled_from([State.ACCEPTED, State.WAITING]), st.lists(events, max_size=30))
@example(State.WAITING, [*DIES, *DIES, mark(Kind.HELD), *DIES, mark(Kind.RELEASED), *DIES])
@example(State.WAITING, [*DIES * HOLD_AFTER, mark(Kind.RELEASED), mark(Kind.BEGUN), mark(Kind.HELD), mark(Kind.FAILED)])
def test_t_q_08_the_next_process_knows_what_the_one_before_knew(first: State, happens: list[Mark | None]) -> None:
    known, journal = left(OpenRecipient("relay", first), happens)
    read = entry()
    for record in scan(journal, SEGMENT):
        assert isinstance(record, Record)
        replay(read, record.kind, json.loads(record.meta))
    assert read.states[0].taken_over() == known.taken_over()
    assert read.open_count == known.is_open


@given(st.lists(events, max_size=30), st.sampled_from(JOURNAL), st.booleans())
def test_what_is_written_is_what_the_table_allows(happens: list[Mark | None], kind: Kind, if_idle: bool) -> None:
    before, _ = left(WAITING, happens)
    after = marked(before, mark(kind, if_idle=if_idle))
    allowed = kind in MOVES[before.state] and (before.state in IDLE or not if_idle)
    assert (after is not None) == allowed
    if after is not None:
        assert after.state is MOVES[before.state][kind]
        assert after.is_open or after == FINISHED


@given(st.lists(events, max_size=30))
def test_held_and_finished_recipients_are_not_attempted_whatever_happened(happens: list[Mark | None]) -> None:
    known, _ = left(WAITING, happens)
    can_begin = marked(known, mark(Kind.BEGUN)) is not None
    assert can_begin == (known.is_open and known.waiting and not known.hold_reason)
    assert bool(known.hold_reason) == (known.state in (State.HELD, State.BEGUN_HELD))
    assert known.state is not State.HELD or known.held or known.begun >= HOLD_AFTER


def test_every_state_is_reached_and_none_is_left_for_ever_but_the_end() -> None:
    reached = {State.ACCEPTED}
    for _ in State:
        reached |= {to for state in reached for to in (*MOVES[state].values(), TAKEN_OVER.get(state, state))}
    assert reached == set(State) == set(MOVES)
    assert all(moves.get(Kind.DONE) is State.DONE for state, moves in MOVES.items() if state is not State.DONE)
    assert not MOVES[State.DONE] and not set(TAKEN_OVER.values()) - {State.WAITING, State.HELD}


@pytest.mark.parametrize("raw", [{"index": 7}, {"index": -1}])
def test_a_record_of_a_recipient_that_is_not_there_changes_nothing(raw: dict[str, int]) -> None:
    read = entry()
    replay(read, Kind.DONE, raw)
    assert read.states == [WAITING] and read.open_count == 1
