"""What the POP3 machine asks of its session. Until an event is answered, the machine reads nothing further."""

import enum
from dataclasses import dataclass, field

from mailward.protocol.events import SaslAsked, SaslResponse, TlsAsked


@dataclass(frozen=True, slots=True)
class PassAsked:
    """USER and PASS: may this name with this password log in?"""

    name: bytes
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StatAsked:
    """How many messages and octets?"""


@dataclass(frozen=True, slots=True)
class ListAsked:
    """The size of one message, or of all. number: as the client wrote it, 1 or more, not necessarily there."""

    number: int | None


@dataclass(frozen=True, slots=True)
class UidlAsked:
    """The unique-id of one message, or of all."""

    number: int | None


@dataclass(frozen=True, slots=True)
class RetrAsked:
    """A whole message."""

    number: int


@dataclass(frozen=True, slots=True)
class TopAsked:
    """The header of a message and so many lines of its body."""

    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class DeleAsked:
    """Mark a message for deletion."""

    number: int


@dataclass(frozen=True, slots=True)
class RsetAsked:
    """Take all marks away."""


@dataclass(frozen=True, slots=True)
class UpdateAsked:
    """QUIT behind a login: carry the deletions out. The answer is the last reply."""


Event = (
    PassAsked | SaslAsked | SaslResponse | TlsAsked | StatAsked | ListAsked | UidlAsked | RetrAsked | TopAsked | DeleAsked
    | RsetAsked | UpdateAsked
)  # fmt: skip


class Fault(enum.Enum):
    """Why the machine ended the session."""

    TLS_INJECTION = "clear text behind STLS"
    BARE_LF = "a line ended by LF without CR"
    ENDLESS_LINE = "a line that does not end"
    TOO_MANY_ERRORS = "too many bad commands"
