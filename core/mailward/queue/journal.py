"""The journal of a segment: what a mark may do, what it does to a recipient, and its record, written and read back."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from mailward.queue.jobs import Commit, Mark
from mailward.queue.record import Kind, pack_header
from mailward.queue.segment import Entry, OpenRecipient


def state_marks(job: Commit) -> Iterable[Mark]:
    """The journal that a message takes along when it moves."""
    for index in job.finished:
        yield Mark(Kind.DONE, job.id, index)
    for index, state in job.open.items():
        if state.failures:
            yield Mark(Kind.FAILED, job.id, index, state.text, state.next_at)
        elif state.begun:
            yield Mark(Kind.BEGUN, job.id, index)
        if state.held:
            yield Mark(Kind.HELD, job.id, index)


def may_be(mark: Mark, entry: Entry, recipient: OpenRecipient) -> bool:
    """Does the state allow what the mark says? Decided here, where all marks meet in one order, so that nobody can race."""
    if mark.kind == Kind.BEGUN:
        return not recipient.hold_reason and (recipient.waiting or not entry.adopted)
    if mark.kind == Kind.DUE and recipient.hold_reason:
        return False
    return recipient.waiting or not mark.if_idle


def note(entry: Entry, mark: Mark) -> None:
    """Bring the state to what the mark says, before it is written."""
    recipient = entry.open[mark.index]
    match mark.kind:
        case Kind.BEGUN:
            recipient.begun += 1
            recipient.waiting = False
        case Kind.FAILED:
            recipient.begun = 0
            recipient.failures += 1
            recipient.next_at = mark.next_at
            recipient.text = sys.intern(mark.text)  # what a thousand attempts on one host end with is kept once
            recipient.waiting = entry.adopted
        case Kind.HELD:
            recipient.held = mark.text
        case Kind.RELEASED:
            recipient.held = recipient.next_at = ""
            if recipient.waiting:  # an attempt under way must still be counted
                recipient.begun = 0
        case Kind.DUE:
            recipient.next_at = ""


def encode(mark_octets: bytes, mark: Mark, state: OpenRecipient | None) -> tuple[bytes, bytes]:
    """Header and meta of its record. mark_octets: of the segment. state: of the recipient, once it is noted; None for DONE."""
    raw: dict[str, str | int] = {"id": mark.id, "index": mark.index}
    if mark.kind == Kind.DONE:
        raw["text"] = mark.text
    elif state is not None:
        raw["begun"] = state.begun
        if mark.kind == Kind.FAILED:
            raw.update(failures=state.failures, next_at=state.next_at, text=state.text)
        elif mark.kind != Kind.BEGUN:
            raw.update(next_at=state.next_at, held=state.held)
    meta = json.dumps(raw, separators=(",", ":")).encode("ascii")
    return pack_header(mark_octets, mark.kind, meta), meta


def replay(state: dict[int, OpenRecipient], kind: Kind, raw: dict[str, Any]) -> None:
    """Bring the states of a message to what one record of the journal says, as `note` did before it was written."""
    recipient = state.get(raw["index"])
    if recipient is None:
        return
    if kind == Kind.DONE:
        del state[raw["index"]]
        return
    recipient.begun = int(raw["begun"])
    if kind == Kind.FAILED:
        recipient.failures = int(raw["failures"])
        recipient.next_at = str(raw["next_at"])
        recipient.text = sys.intern(str(raw["text"]))
    elif kind in (Kind.HELD, Kind.RELEASED, Kind.DUE):
        recipient.next_at = str(raw["next_at"])
        recipient.held = str(raw["held"])
