"""Where does a command end, and what are its words? (RFC 5804 section 4) Within limits, as a machine without I/O.

A command is a line whose strings may be literals, so it can go on over several lines. The octets of a literal are never taken
for a command, also where the command that announced it is refused (T-IMAP-02).
"""

import enum
import re
from dataclasses import dataclass

_TOKEN = re.compile(
    rb'"(?P<quoted>(?:[^"\\]|\\["\\])*)"|\{(?P<literal>[0-9]{1,20})\+\}(?=$)|(?P<number>[0-9]{1,20})|(?P<word>[A-Za-z][^ "{}]*)'
)
_ESCAPE = re.compile(rb"\\(.)")
_MOST = (1 << 32) - 1  # of a number (RFC 5804 section 4)
_ENDS_ON_LITERAL = re.compile(rb"\{([0-9]{1,20})\+\}$")


@dataclass(frozen=True, slots=True)
class Word:
    """An atom: the name of a command, in upper case."""

    name: bytes


Token = Word | int | bytes
"""bytes: a string, quoted or literal, without its marks."""


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """line_octets: the lines of a command together. literal_octets: its literals together. passed_over_octets: how long a literal
    that is too long may be; past it the session ends.
    """

    line_octets: int = 8192
    literal_octets: int = 8192
    passed_over_octets: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """One whole command, or the string that answers a challenge."""

    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A command that cannot be taken. is_too_big: for a literal."""

    text: str
    is_too_big: bool = False


class Fault(enum.Enum):
    """Why the machine ended the session."""

    TLS_INJECTION = "clear text behind STARTTLS"
    BARE_LF = "a line ended by LF without CR"
    ENDLESS_LINE = "a line that does not end"
    ENDLESS_LITERAL = "a literal that is far too long"
    TOO_MANY_ERRORS = "too many bad commands"


class Reader:
    """Octets of a client become commands. limits may be replaced between commands; after a Fault nothing more is read."""

    def __init__(self, limits: ReadingLimits) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        self._tokens: list[Token] = []
        self._line_octets = self._literal_octets = 0
        self._missing: int | None = None  # octets of the literal under way
        self._refusal: Unreadable | None = None

    def __bool__(self) -> bool:
        """True while octets wait to be read."""
        return bool(self._buffer)

    @property
    def is_within_command(self) -> bool:
        """A command has begun to come; its line, or a literal and what follows it, is still missing."""
        return bool(self._buffer) or self._line_octets > 0

    def feed(self, octets: bytes) -> None:
        self._buffer += octets

    def next(self) -> Read | Unreadable | Fault | None:
        """The next command, None when more octets are needed."""
        while True:
            if self._missing is not None:
                if not self._take_literal(self._missing):
                    return None
                continue
            end = self._buffer.find(b"\n", self._scanned)
            if (len(self._buffer) if end < 0 else end) + self._line_octets > self.limits.line_octets:
                return Fault.ENDLESS_LINE
            if end < 0:
                self._scanned = len(self._buffer)
                return None
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            if not line.endswith(b"\r") or b"\r" in line[:-1]:
                return Fault.BARE_LF
            self._line_octets += end
            fault = self._on_line(line[:-1])
            if fault is not None:
                return fault
            if self._missing is None:
                return self._finish()

    def _on_line(self, line: bytes) -> Fault | None:
        if b"\0" in line:
            self._refuse(Unreadable("A command cannot hold NUL"))
        at = 0
        if self._literal_octets and line[:1] == b" ":
            at = len(line) - len(line.lstrip(b" "))
        elif self._literal_octets and line:
            self._refuse(Unreadable("A space was expected behind a literal"))
        while at < len(line):
            match = _TOKEN.match(line, at)
            if match is None or (match.end() < len(line) and line[match.end() : match.end() + 1] != b" "):
                self._refuse(Unreadable(_why(line[at:])))
                break
            if match["literal"] is not None:
                return self._begin_literal(int(match["literal"]))
            self._tokens.append(_token(match))
            at = match.end()
            while line[at : at + 1] == b" ":
                at += 1
        if self._refusal is not None and (mark := _ENDS_ON_LITERAL.search(line)) and line.count(b'"') % 2 == 0:
            return self._begin_literal(int(mark[1]))
        return None

    def _begin_literal(self, octets: int) -> Fault | None:
        if octets + self._literal_octets > self.limits.literal_octets:
            if octets > self.limits.passed_over_octets:
                return Fault.ENDLESS_LITERAL
            self._refuse(Unreadable("The string is too long", is_too_big=True))
        self._missing = octets
        self._literal_octets += octets
        return None

    def _take_literal(self, missing: int) -> bool:
        """False until all of it is there."""
        if self._refusal is not None:
            taken = min(missing, len(self._buffer))
            del self._buffer[:taken]
            self._missing = missing - taken or None
            return self._missing is None
        if len(self._buffer) < missing:
            return False
        self._tokens.append(bytes(self._buffer[:missing]))
        del self._buffer[:missing]
        self._missing = None
        return True

    def _refuse(self, refusal: Unreadable) -> None:
        """The first refusal counts."""
        self._refusal = self._refusal or refusal

    def _finish(self) -> Read | Unreadable:
        found = self._refusal or Read(tuple(self._tokens))
        self._tokens.clear()
        self._line_octets = self._literal_octets = 0
        self._refusal = None
        return found


def _token(match: re.Match[bytes]) -> Token:
    if match["quoted"] is not None:
        return _ESCAPE.sub(rb"\1", match["quoted"])
    if match["number"] is not None:
        return min(int(match["number"]), _MOST)
    return Word(match["word"].upper())


def _why(rest: bytes) -> str:
    if rest.startswith(b'"'):
        return 'A quoted string ends with " and has \\" and \\\\ only behind a backslash'
    if rest.startswith(b"{"):
        return "A literal is {NUMBER+}, and its octets begin on the next line"
    return "A word, a number or a string was expected"


def string(octets: bytes) -> bytes:
    """A string as a server sends it: quoted where it can be, else a literal."""
    if len(octets) <= 1024 and not any(mark in octets for mark in (b"\r", b"\n", b"\0")):
        return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(octets), octets)
