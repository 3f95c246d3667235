"""What the framing of IMAP makes of the octets of a client (RFC 3501 section 4.3, RFC 7888)."""

from dataclasses import dataclass

LITERAL_MARK = b"\x00"
"""Stands for a literal in `CommandReceived.text`; a NUL is not allowed in a command, so it can stand for nothing else."""


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """One whole command without its last CRLF. text: a NUL where each of `literals` stands."""

    text: bytes
    literals: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LineReceived:
    """A line that is no command: DONE, or an answer to a SASL challenge."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class LiteralAwaited:
    """The client waits for "+" before it sends a literal."""


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A command that cannot be read. tag: None when there is none. code: a response code or "".

    closes: nothing after it is safe.
    """

    tag: bytes | None
    text: str
    code: str = ""
    closes: bool = False


FramingEvent = CommandReceived | LineReceived | LiteralAwaited | CommandRefused
