"""How a copy was before a retro-action, as its journal keeps it for whoever settles or undoes that, of a later release too."""

from dataclasses import dataclass, field

import msgspec

from mailward.model.ids import MailboxId
from mailward.quarantine import Held

BEFORE_VERSION = 2
"""To be raised with every change of what is written, `Held` included.

2 adds all that a decision rests on, and since when it is kept."""


@dataclass(frozen=True, slots=True)
class PlaceBefore:
    """A mailbox in which it was. name: at that time. flags: names, the system flags first."""

    mailbox: MailboxId
    name: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """One copy. held: as it is in the quarantine, or would be. internal_date: seconds since 1970, of what was in a mailbox."""

    held: Held
    places: tuple[PlaceBefore, ...] = ()
    internal_date: int = 0
    version: int = field(default=BEFORE_VERSION)

    def to_json(self) -> str:
        return _ENCODER.encode(self).decode("utf-8")

    @classmethod
    def from_json(cls, text: str) -> "Before":
        """What `to_json` wrote. Raises ValueError for a newer version or anything else."""
        try:
            if (version := _VERSIONED.decode(text).version) > BEFORE_VERSION:
                raise ValueError(f"the journal is of version {version}, this release reads up to {BEFORE_VERSION}")
            return _BEFORE.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(f"the journal does not say how it was: {error}") from error


@dataclass(frozen=True, slots=True)
class _Versioned:
    version: int = 1


_ENCODER = msgspec.json.Encoder()
_VERSIONED = msgspec.json.Decoder(_Versioned)
_BEFORE = msgspec.json.Decoder(Before)
