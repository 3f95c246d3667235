"""What becomes of mail data as it comes: content to hand on, an end, or a fault with its reply (RFC 5321 section 4.1.1.4)."""

from dataclasses import dataclass

from mailward.formats.lines import LineFacts
from mailward.model.reply import MESSAGE_TOO_BIG, Reply, reply
from mailward.protocol.framing import ContentFault, ContentReader
from mailward.protocol.smtp.events import Fault
from mailward.protocol.smtp.states import Limits

_TOO_BIG = (Fault.TOO_BIG, MESSAGE_TOO_BIG)
_FAULTS = {
    ContentFault.BARE_NEWLINE: (
        Fault.SMUGGLING,
        reply(550, "5.5.2", "The message holds CR or LF outside a CRLF", closes=True),
    ),
    ContentFault.NUL: (Fault.NUL, reply(554, "5.6.0", "The message holds an octet of value 0", closes=True)),
    ContentFault.LINE_TOO_LONG: (Fault.TOO_BIG, reply(552, "5.3.4", "A line of the message is too long")),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """What some octets of mail data came to.

    content: to hand on. rest: what follows the end of data, None before it. fault: with its reply, why the message is not taken;
    without the end of data, that too much came to wait for it.
    """

    content: bytes
    rest: bytes | None
    fault: tuple[Fault, Reply] | None = None


class MailData:
    """The data of one message, within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reader = ContentReader(limits.content_line_octets)

    @property
    def size_octets(self) -> int:
        """So far, dot-stuffing undone."""
        return self._reader.size_octets

    @property
    def lines(self) -> LineFacts:
        """What the content says of its lines."""
        return self._reader.lines

    def read(self, octets: bytes) -> Piece:
        content, rest = self._reader.read(octets)
        excess = self._reader.size_octets - self._limits.message_octets
        if excess > self._limits.excess_octets:
            return Piece(b"", None, _TOO_BIG)
        if rest is None:
            return Piece(content if excess <= 0 else b"", None)
        fault = None if self._reader.fault is None else _FAULTS[self._reader.fault]
        if excess > 0:
            return Piece(b"", rest, fault or _TOO_BIG)
        return Piece(content, rest, fault)
