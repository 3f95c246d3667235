"""The journal of a segment: what a mark makes of a recipient, and its record, written and read back."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from mailward.queue.jobs import Commit, Mark
from mailward.queue.recipient import FINISHED, IDLE, MOVES, TAKEN_OVER, OpenRecipient, State
from mailward.queue.record import Kind, pack_header
from mailward.queue.segment import Entry

_ENCODER = json.JSONEncoder(separators=(",", ":"))


def state_marks(job: Commit) -> Iterable[Mark]:
    """The journal that a message takes along when it moves."""
    for index, recipient in enumerate(job.states):
        if not recipient.is_open:
            yield Mark(Kind.DONE, job.id, index)
            continue
        if recipient.failures:
            yield Mark(Kind.FAILED, job.id, index)
        elif recipient.begun:
            yield Mark(Kind.BEGUN, job.id, index)
        if recipient.held:
            yield Mark(Kind.HELD, job.id, index)


def marked(recipient: OpenRecipient, mark: Mark) -> OpenRecipient | None:
    """What the mark makes of it; None where the state does not allow that. Decided where all marks meet in one order, so that
    nobody can race.
    """
    state = MOVES[recipient.state].get(mark.kind)
    if state is None or (mark.if_idle and recipient.state not in IDLE):
        return None
    match mark.kind:
        case Kind.DONE:
            return FINISHED
        case Kind.BEGUN:
            return recipient._replace(state=state, begun=recipient.begun + 1)
        case Kind.FAILED:
            text = sys.intern(mark.text)  # what a thousand attempts on one host end with is kept once
            return recipient._replace(state=state, begun=0, failures=recipient.failures + 1, next_at=mark.next_at, text=text)
        case Kind.HELD:
            return recipient._replace(state=state, held=mark.text)
        case Kind.RELEASED:
            begun = 0 if recipient.state in IDLE else recipient.begun  # an attempt under way must still be counted
            return recipient._replace(state=state, held="", next_at="", begun=begun)
        case _:
            return recipient._replace(state=state, next_at="")


def encode(mark_octets: bytes, mark: Mark, recipient: OpenRecipient) -> tuple[bytes, bytes]:
    """Header and meta of its record. mark_octets: of the segment. recipient: as the mark has made it."""
    raw: dict[str, str | int] = {"id": mark.id, "index": mark.index}
    if mark.kind == Kind.DONE:
        raw["text"] = mark.text
    else:
        raw["begun"] = recipient.begun
        if mark.kind == Kind.FAILED:
            raw.update(failures=recipient.failures, next_at=recipient.next_at, text=recipient.text)
        elif mark.kind != Kind.BEGUN:
            raw.update(next_at=recipient.next_at, held=recipient.held)
    meta = _ENCODER.encode(raw).encode("ascii")
    return pack_header(mark_octets, mark.kind, meta), meta


def replay(entry: Entry, kind: Kind, raw: dict[str, Any]) -> None:
    """Bring the states of a message to what one record of the journal says, as `marked` did before it was written."""
    index, states = raw["index"], entry.states
    was = states[index] if 0 <= index < len(states) else FINISHED
    if was is FINISHED:
        return
    if kind is _DONE:
        states[index] = FINISHED
        entry.open_count -= 1
        return
    state = _moved(was.state, kind)
    begun = int(raw["begun"])
    if kind is _FAILED:
        text = sys.intern(str(raw["text"]))
        states[index] = OpenRecipient(was.route, state, int(raw["failures"]), begun, str(raw["next_at"]), text, was.held)
    elif kind is _BEGUN:
        states[index] = OpenRecipient(was.route, state, was.failures, begun, was.next_at, was.text, was.held)
    else:
        states[index] = OpenRecipient(was.route, state, was.failures, begun, str(raw["next_at"]), was.text, str(raw["held"]))


def _moved(state: State, kind: Kind) -> State:
    """What is written was allowed; where it is not in this state, the process before ended in its attempt."""
    moves = MOVES[state]
    if kind not in moves:
        state = TAKEN_OVER.get(state, state)
        moves = MOVES[state]
    return moves.get(kind, state)


_DONE, _FAILED, _BEGUN = Kind.DONE, Kind.FAILED, Kind.BEGUN  # until Python 3.12 a look-up in an enum runs code
