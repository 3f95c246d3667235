"""What `mailward list` prints of entries, changes and what it did."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from mailward.cli.output import moment
from mailward.lists import Change, Changed, KeptEntry
from mailward.policy import Direction


def counted(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def asked_by(used: Iterable[Direction]) -> str:
    return f"asked by {', '.join(used)}" if used else "no policy asks it"


def _ends(expires_at: datetime | None) -> str:
    return f"until {moment(expires_at)}" if expires_at is not None else "for good"


def entry_row(entry: KeptEntry) -> Sequence[str]:
    return entry.value, _ends(entry.expires_at), moment(entry.remark.at), entry.remark.by, entry.remark.note


def change_row(change: Change) -> Sequence[str]:
    ends = "" if change.action == "removed" else _ends(change.expires_at)
    return moment(change.remark.at), change.remark.by, change.action, change.value, ends, change.remark.note


def done_text(name: str, done: Changed, expires_at: datetime | None) -> str:
    parts = [(done.added, "added"), (done.changed, "there already and changed"), (done.removed, "removed")]
    said = [f"{some[0] if len(some) == 1 else counted(len(some))} {what}" for some, what in parts if some]
    ends = f", {_ends(expires_at)}" if done.added or done.changed else ""
    return f"{name}: {', '.join(said)}{ends}" if said else f"{name}: nothing to change"


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def entry_data(entry: KeptEntry) -> dict[str, object]:
    remark = entry.remark
    return {"value": entry.value, "until": _time(entry.expires_at), "at": _time(remark.at), "by": remark.by, "note": remark.note}


def change_data(change: Change) -> dict[str, object]:
    remark = change.remark
    return {
        "action": change.action, "value": change.value, "until": _time(change.expires_at), "at": _time(remark.at),
        "by": remark.by, "note": remark.note,
    }  # fmt: skip


def done_data(name: str, done: Changed, expires_at: datetime | None) -> dict[str, object]:
    return {
        "list": name, "added": [*done.added], "changed": [*done.changed], "removed": [*done.removed], "until": _time(expires_at),
    }  # fmt: skip
