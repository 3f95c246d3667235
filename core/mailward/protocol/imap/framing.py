"""Where does a command end? Lines and literals (RFC 3501 section 4.3, RFC 7888), within limits, as a machine without I/O.

Pull from outside: `receive_data` keeps octets, `next_event` takes the next thing out of them, in the mode that holds then; so
commands wait in the buffer while an earlier one is carried out.
"""

import enum
import re

from mailward.protocol.imap.events import (
    LITERAL_MARK,
    CommandReceived,
    CommandRefused,
    FramingEvent,
    LineReceived,
    LiteralAwaited,
)
from mailward.protocol.imap.limits import ALWAYS_ROOM, BEFORE_LOGIN, ID_OCTETS, MOST_LITERALS, IncomingRoom, Limits

_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}$")
_NUMBER_OCTETS = 10
_ENDLESS = 1 << 62
_TAG_OCTETS = 101
_TAG = re.compile(rb"[\x21\x23\x24\x26\x27\x2c-\x5b\x5d-\x7a\x7c\x7e]{1,100}(?= )")
_APPEND = re.compile(rb"[^ ]{1,100} (?:APPEND|(?:UID )?REPLACE) ", re.IGNORECASE)
_ID = re.compile(rb"[^ ]{1,100} ID \(", re.IGNORECASE)


class _State(enum.Enum):
    LINE = enum.auto()
    LITERAL = enum.auto()
    SKIPPING = enum.auto()
    CLOSED = enum.auto()


class Framer:
    """Octets of a client become events. limits may be replaced between commands. room: asked about APPEND's literals."""

    def __init__(self, limits: Limits = BEFORE_LOGIN, room: IncomingRoom = ALWAYS_ROOM) -> None:
        self.limits = limits
        self._room = room
        self.plain_line = False
        """The next line is no command (set while IDLE or a SASL exchange runs)."""
        self._buffer = bytearray()
        self._state = _State.LINE
        self._scanned = 0
        self._text = bytearray()
        self._literals: list[bytes] = []
        self._held = 0
        """Octets of the literals."""
        self._missing = 0
        self._claimed = 0
        """Octets of the literal that is coming."""
        self._refusal: CommandRefused | None = None
        self._is_begun = False
        self._head = b""

    def receive_data(self, octets: bytes) -> None:
        """Keep what the client sent."""
        if self._state is not _State.CLOSED:
            self._buffer += octets

    @property
    def buffered_octets(self) -> int:
        return len(self._buffer)

    @property
    def is_between_commands(self) -> bool:
        """Nothing of a command has come."""
        return self._state is _State.LINE and not (self._buffer or self._is_begun)

    def next_event(self) -> FramingEvent | None:
        """The next event, None when more octets are needed."""
        while True:
            if self._state is _State.SKIPPING:
                self._pass_over()
                if self._missing:
                    return None
                self._state = _State.LINE
            elif self._state is _State.LITERAL:
                if not self._has_claimed():
                    self.give_up()
                    continue
                if len(self._buffer) < self._missing:
                    return None
                with memoryview(self._buffer) as buffer, buffer[: self._missing] as literal:
                    self._literals.append(bytes(literal))
                del self._buffer[: self._missing]
                self._held += self._missing
                self._text += LITERAL_MARK
                self._state = _State.LINE
            elif self._state is _State.CLOSED:
                return None
            else:
                line = self._line()
                if line is None:
                    return None
                event = line if isinstance(line, CommandRefused) else self._on_line(line)
                if event is not None:
                    return event

    @property
    def is_within_append(self) -> bool:
        """Some of an APPEND has come and is kept, and not all of it."""
        return self._is_begun and self._is_append()

    def give_up(self) -> None:
        """Keep nothing of the APPEND that is coming; it is refused at its end."""
        self._refuse(CommandRefused(self._tag(), "Too much is being sent at once, please try again later", "LIMIT"))
        if self._state is _State.LITERAL:
            self._state = _State.SKIPPING
            self._pass_over()

    def _has_claimed(self) -> bool:
        """There is room for what has come of the literal."""
        came = min(len(self._buffer), self._missing) - self._claimed
        if not self._is_append() or not came:
            return True
        self._claimed += came
        return self._room.claim(came)

    def _pass_over(self) -> None:
        """What has come of a literal that is refused."""
        taken = min(self._missing, len(self._buffer))
        del self._buffer[:taken]
        self._missing -= taken

    def _line(self) -> bytes | CommandRefused | None:
        end = self._buffer.find(b"\n", self._scanned)
        longest = self.limits.line_octets
        if len(self._buffer) > longest and _ID.match(self._buffer):
            longest = max(longest, ID_OCTETS)
        if (end if end >= 0 else len(self._buffer)) > longest:
            return self._close("Command line too long")
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        self._scanned = 0
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            return self._close("Lines end with CRLF")  # a lone CR or LF ends lines for some readers only
        del self._buffer[: end + 1]
        return line[:-1]

    def _on_line(self, line: bytes) -> FramingEvent | None:
        if self.plain_line and not self._is_begun:
            return LineReceived(line)
        if not self._is_begun:
            self._head, self._is_begun = line[:_TAG_OCTETS], True
        if LITERAL_MARK in line:
            self._refuse(CommandRefused(self._tag(), "NUL is not allowed in a command"))
        match = _LITERAL.search(line)
        if self._refusal is None:
            self._text += line if match is None else line[: match.start()]
        if match is None:
            return self._finish()
        octets, synchronising = int(match[1][:_NUMBER_OCTETS]), not match[2]
        if len(match[1]) > _NUMBER_OCTETS:
            octets = _ENDLESS
        if len(self._literals) == MOST_LITERALS:
            self._refuse(CommandRefused(self._tag(), f"At most {MOST_LITERALS} literals in a command", "LIMIT"))
        if octets > self._most_octets():
            self._refuse(CommandRefused(self._tag(), "Literal too long", "TOOBIG" if self._is_append() else "LIMIT"))
        if self._is_append() and not self._room.has_room(octets):
            self.give_up()
        if self._refusal is not None:
            return self._skip(octets, synchronising)
        self._missing, self._claimed = octets, 0
        self._state = _State.LITERAL
        return LiteralAwaited() if synchronising else None

    def _refuse(self, refusal: CommandRefused) -> None:
        """The first refusal counts; nothing more of the command is kept."""
        if self._refusal is None:
            self._refusal = refusal
            self._drop()
            self._room.give_back()

    def _drop(self) -> None:
        self._text.clear()
        self._literals.clear()
        self._held = 0

    def _is_append(self) -> bool:
        return self.limits.append_octets > 0 and bool(_APPEND.match(self._text))

    def _most_octets(self) -> int:
        """Of one more literal."""
        used = len(self._text) + self._held
        if self._is_append():
            # What stands around the messages is bounded by its own limit, and small as a rule.
            return min(self.limits.append_octets - self._held, self.limits.append_octets + self.limits.line_octets - used)
        return min(self.limits.literal_octets, self.limits.all_octets - used)

    def _skip(self, octets: int, synchronising: bool) -> FramingEvent | None:
        """A refused literal: a client that asks first never sends it; of the other kind exactly that many octets are passed over,
        so that they are never taken for commands (T-IMAP-02)."""
        if synchronising:
            return self._finish()
        most = max(self.limits.append_octets, self.limits.all_octets) * 2
        if octets > most:
            return self._close("Literal too long")
        self._missing = octets
        self._state = _State.SKIPPING
        return None

    def _finish(self) -> FramingEvent:
        event: FramingEvent = self._refusal or CommandReceived(bytes(self._text), tuple(self._literals))
        self._drop()
        self._refusal = None
        self._is_begun = False
        return event

    def _tag(self) -> bytes | None:
        match = _TAG.match(self._head)
        return match[0] if match else None

    def _close(self, text: str) -> CommandRefused:
        if not self._is_begun:
            self._head = bytes(self._buffer[:_TAG_OCTETS])
        tag = self._tag()
        self._state = _State.CLOSED
        self._buffer.clear()
        return CommandRefused(tag, text, closes=True)
