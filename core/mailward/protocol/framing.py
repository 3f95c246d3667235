"""Where does a line or a message end in a stream of octets? (RFC 5321 sections 2.3.8, 4.1.1.4, 4.5.2)

The only line end is CR LF and the only end of mail data is CR LF . CR LF. What a line or a message means is left to the
machines that use these two readers. Nothing here raises on anything a peer can send; memory stays within the limits given.
"""

import enum
import re
from dataclasses import dataclass, field

from mailward.formats.lines import LineCounter, LineFacts

END_OF_DATA = b"\r\n.\r\n"
_CRLF = b"\r\n"


_STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LOOK_ALIKE_OCTETS = 8
_LOOK_ALIKE = re.compile(rb"[\r\n]\0*\.\0*[\r\n]")


_BEGINNING_OCTETS = 8


class LineFault(enum.Enum):
    """Why something that stands where a command line should be is none."""

    TOO_LONG = "longer than the limit"
    BARE_LF = "ended by LF without CR"
    ENDLESS = "an over-long line that does not end"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its CRLF; it may still hold a bare CR or a NUL. fault: the octets are not kept then.

    beginning: of an over-long line, its first octets, which tell what it would have been.
    """

    octets: bytes
    fault: LineFault | None = None
    beginning: bytes = field(default=b"", compare=False)


class LineReader:
    """Cuts lines from a stream.

    limit_octets: the longest line, CRLF included. A longer one is passed over and reported at its end, or as
    `LineFault.ENDLESS` after endless_octets, and then the caller is expected to give up.
    """

    def __init__(self, limit_octets: int, endless_octets: int) -> None:
        self._limit = limit_octets
        self._endless = endless_octets
        self._buffer = bytearray()
        self._skipping = False
        self._skipped = 0
        self._beginning = b""

    def __bool__(self) -> bool:
        """True while octets wait to be read, be it part of a line only."""
        return bool(self._buffer)

    @property
    def buffered_octets(self) -> int:
        return len(self._buffer)

    @property
    def first_octet(self) -> int | None:
        """The octet the next line begins with, for recognising what is no text at all; None while there is none."""
        return self._buffer[0] if self._buffer and not self._skipping else None

    def feed(self, octets: bytes) -> None:
        self._buffer += octets

    def take(self) -> bytes:
        """All octets that wait, when they are no lines."""
        octets = bytes(self._buffer)
        self._buffer.clear()
        return octets

    def next(self) -> Line | None:
        """The next line, None until more octets arrive."""
        end = self._buffer.find(b"\n")
        if self._skipping or end >= self._limit or (end < 0 and len(self._buffer) > self._limit):
            return self._pass_over(end)
        if end < 0:
            return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return Line(line[:-2]) if line.endswith(_CRLF) else Line(b"", LineFault.BARE_LF)

    def _pass_over(self, end: int) -> Line | None:
        """An over-long line, whose LF is at `end` (-1: not here yet). It is reported where it ends, in step with the peer."""
        if not self._skipping:
            self._skipping, self._beginning = True, bytes(self._buffer[:_BEGINNING_OCTETS])
        if self._skipped + (len(self._buffer) if end < 0 else end) > self._endless:
            return Line(b"", LineFault.ENDLESS, self._beginning)
        if end < 0:
            # The last octet stays: it may be the CR of the CRLF that ends the line.
            self._skipped += len(self._buffer) - 1
            del self._buffer[:-1]
            return None
        is_bare = self._buffer[end - 1] != _CRLF[0]
        del self._buffer[: end + 1]
        self._skipping, self._skipped = False, 0
        return Line(b"", LineFault.BARE_LF if is_bare else LineFault.TOO_LONG, self._beginning)


class ContentFault(enum.Enum):
    """Why mail data cannot be taken."""

    BARE_NEWLINE = "CR or LF that is not part of a CRLF"
    NUL = "an octet of value 0"
    LINE_TOO_LONG = "a line longer than the limit"


def fault_of(lines: LineCounter | LineFacts, line_limit_octets: int) -> ContentFault | None:
    """The gravest fault of content with these lines. line_limit_octets: the CRLF included."""
    if lines.bare_cr or lines.bare_lf:
        return ContentFault.BARE_NEWLINE
    if lines.nul:
        return ContentFault.NUL
    return ContentFault.LINE_TOO_LONG if lines.longest_octets + len(_CRLF) > line_limit_octets else None


class ContentReader:
    """Reads mail data up to its end: undoes dot-stuffing, finds CR LF . CR LF and what looks like it but is not.

    Works on whole chunks, never line by line. After the first fault nothing more is handed out, while the real end of
    data is still looked for: a look-alike must not end anything.

    mends: a CR or LF outside a CRLF becomes a space, unless it helps a lone dot to look like the end of data (T-SMTP-09).
    """

    def __init__(self, line_limit_octets: int, *, mends: bool = False) -> None:
        self._line_limit = line_limit_octets
        self._mends = mends
        self._has_stray = self._has_look_alike = False
        self._before = b""  # the end of the content that was mended last
        # Mail data begins at the start of a line: the CRLF of the DATA command counts for the first dot (RFC 5321 4.1.1.4).
        self._held = _CRLF
        self._not_content = 2  # octets at the front of _held that belong to the command
        self._lines = LineCounter()
        self.size_octets = 0
        """Octets of content handed out or passed over, after dot-unstuffing."""

    @property
    def lines(self) -> LineFacts:
        """What the content so far says of its lines."""
        return self._lines.facts

    @property
    def is_mended(self) -> bool:
        """Whether a CR or LF became a space."""
        return self._has_stray

    @property
    def fault(self) -> ContentFault | None:
        """The gravest fault so far: the same however the stream was cut into chunks."""
        return ContentFault.BARE_NEWLINE if self._has_look_alike else fault_of(self._lines, self._line_limit)

    def read(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """(content, rest): content in order, b"" when there is none; rest is None until the end of data was seen.

        rest: the octets that follow the end of data, b"" when there are none.
        """
        stream = self._held + octets
        end = stream.find(END_OF_DATA)
        rest: bytes | None = None
        if end >= 0:
            content, rest = stream[: end + 2], stream[end + 5 :]
        else:
            kept = len(stream) - _possible_start_of_end(stream)
            content, self._held = stream[:kept], stream[kept:]
        if not content:
            return b"", rest
        if self._mends:
            content = self._mended(content, is_end=rest is not None)
        content = content.replace(b"\r\n.", _CRLF)[self._not_content :]
        self._not_content = 0
        self.size_octets += len(content)
        self._lines.feed(content)
        return (b"" if self.fault else content), rest

    def _mended(self, content: bytes, *, is_end: bool) -> bytes:
        if has_stray(content):
            self._has_stray = True
        if not self._has_stray:
            return content
        # Some readers take CR CR LF for a line end and others do not, so before the end of data that is no space (T-SMTP-05).
        if _LOOK_ALIKE.search(self._before + content) or (is_end and (self._before + content).endswith(b"\r\r\n")):
            self._has_look_alike = True
        self._before = (self._before + content)[-_LOOK_ALIKE_OCTETS:]
        return mended(content)


def has_stray(octets: bytes) -> bool:
    """A CR or LF that is not half of a CRLF."""
    line_ends = octets.count(_CRLF)
    return octets.count(b"\r") != line_ends or octets.count(b"\n") != line_ends


def mended(octets: bytes) -> bytes:
    """With a space for each of them."""
    return _STRAY.sub(b" ", octets)


def _possible_start_of_end(stream: bytes) -> int:
    """How many octets at the end of `stream` may be the beginning of CR LF . CR LF."""
    for length in (4, 3, 2, 1):
        if stream.endswith(END_OF_DATA[:length]):
            return length
    return 0
