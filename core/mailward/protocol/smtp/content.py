"""What becomes of mail data as it comes: content to hand on, an end, or a fault with its reply.

RFC 5321 section 4.1.1.4 for DATA, RFC 3030 section 2 for BDAT.
"""

from dataclasses import dataclass, replace

from mailward.formats.lines import LineCounter, LineFacts
from mailward.model import replies
from mailward.model.reply import Reply
from mailward.protocol.framing import ContentFault, ContentReader, fault_of, has_stray, mended
from mailward.protocol.smtp.events import Fault
from mailward.protocol.smtp.states import Limits

_TOO_BIG = (Fault.TOO_BIG, replies.MESSAGE_TOO_BIG)
_FAULTS = {
    ContentFault.BARE_NEWLINE: (Fault.SMUGGLING, replies.BARE_NEWLINE),
    ContentFault.NUL: (Fault.NUL, replies.NUL_IN_MESSAGE),
    ContentFault.LINE_TOO_LONG: (Fault.TOO_BIG, replies.LONG_LINE_IN_MESSAGE),
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
    """The data of one message, within limits. mends: as in `ContentReader`."""

    def __init__(self, limits: Limits, *, mends: bool = False) -> None:
        self._limits = limits
        self._reader = ContentReader(limits.content_line_octets, mends=mends)

    @property
    def size_octets(self) -> int:
        """So far, dot-stuffing undone."""
        return self._reader.size_octets

    @property
    def lines(self) -> LineFacts:
        """What the content says of its lines."""
        return self._reader.lines

    @property
    def is_mended(self) -> bool:
        """Whether a CR or LF outside a CRLF became a space."""
        return self._reader.is_mended

    def read(self, octets: bytes) -> Piece:
        content, rest = self._reader.read(octets)
        excess = self._reader.size_octets - self._limits.message_octets
        if excess > self._limits.excess_octets:
            return Piece(b"", None, _TOO_BIG)
        if rest is None:
            return Piece(content if excess <= 0 else b"", None)
        fault = None if self._reader.fault is None else _told(self._reader.fault, is_mended=self.is_mended)
        if excess > 0:
            return Piece(b"", rest, fault or _TOO_BIG)
        return Piece(content, rest, fault)


class Chunks:
    """The chunks of one message: octets by number, nothing stuffed. Each is handed on as it comes.

    size_octets: of the chunks that have come or are coming. count: of them. is_last: the message ends with this one.
    is_binary: octets are no lines, and all are taken as they are (RFC 3030 section 3). mends: a CR or LF outside a CRLF becomes a
    space. is_mended: one has.
    """

    def __init__(self, limits: Limits, *, is_binary: bool = False, mends: bool = False) -> None:
        self._limits = limits
        self._is_binary = is_binary
        self._mends = mends and not is_binary
        self._held = b""  # a CR whose LF may come with the next octets
        self._counter = LineCounter()
        self._left = 0
        self.size_octets = self.count = 0
        self.is_last = self.is_mended = False

    def begin(self, size_octets: int, *, is_last: bool) -> None:
        """The next octets are of a further chunk."""
        self._left = size_octets
        self.size_octets += size_octets
        self.count += 1
        self.is_last = is_last

    @property
    def lines(self) -> LineFacts:
        """What the content says of its lines."""
        return self._counter.facts

    def read(self, octets: bytes) -> Piece:
        content, rest = octets[: self._left], octets[self._left :]
        self._left -= len(content)
        if self._mends:
            content = self._mended(content, is_end=self.is_last and not self._left)
        self._counter.feed(content)
        found = None if self._is_binary else self._fault()
        if self._left:
            return Piece(b"" if found else content, None)
        if found is None:
            return Piece(content, rest)
        fault, answer = _told(found, is_mended=self.is_mended)
        return Piece(b"", rest, (fault, replace(answer, closes=False)))  # where commands go on is certain

    def _fault(self) -> ContentFault | None:
        return fault_of(self.lines if self.is_last and not self._left else self._counter, self._limits.content_line_octets)

    def _mended(self, content: bytes, *, is_end: bool) -> bytes:
        content, self._held = self._held + content, b""
        if content.endswith(b"\r") and not is_end:
            content, self._held = content[:-1], b"\r"
        if not has_stray(content):
            return content
        self.is_mended = True
        return mended(content)


def _told(fault: ContentFault, *, is_mended: bool) -> tuple[Fault, Reply]:
    """is_mended: the line may be so long because its ends are spaces now."""
    if fault is ContentFault.LINE_TOO_LONG and is_mended:
        return Fault.TOO_BIG, replies.LINE_ENDS
    return _FAULTS[fault]


class Skipped:
    """A chunk that nobody wants. answer: what is said behind it, so many times."""

    def __init__(self, size_octets: int, answer: Reply, times: int) -> None:
        self._left = size_octets
        self.answer = answer
        self.times = times

    def read(self, octets: bytes) -> Piece:
        rest = octets[self._left :]
        self._left -= len(octets) - len(rest)
        return Piece(b"", None if self._left else rest)
