"""What is kept of an entry of a list and of each change, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mailward.model.errors import MailwardError


class ListError(MailwardError):
    """What was asked of a list cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Who changes a list, when (aware) and why. note: "" for nothing."""

    by: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """One entry. value: normalised. remark: of who put it there. expires_at: from then on it counts no more, None for never."""

    value: str
    remark: Remark
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that came, got another remark or another end, or went. expires_at: as it was from then on."""

    action: Literal["added", "changed", "removed"]
    value: str
    remark: Remark
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Changed:
    """What a command did: values that were new, that were there already, that were removed; each in the order given."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
