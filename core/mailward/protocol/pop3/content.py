"""The octets of a stored message as a multi-line response (RFC 1939 section 3), piece by piece.

What is stored should be lines ended by CRLF, but it may be older than our rules: a lone CR or LF becomes a CRLF, so that the
client sees the end where we see it and one message only (T-POP-02); NUL, at which some clients stop, becomes 0x80; a
message without an empty line behind its header gets one, which others wait for.
"""

import re

_CRLF = b"\r\n"
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_NUL_INSTEAD = (b"\0", b"\x80")
END = b".\r\n"


class MessageContent:
    """Feed a message's octets in order. body_lines: how many lines to give of the body (TOP), None for all."""

    def __init__(self, body_lines: int | None = None) -> None:
        self._body_lines = body_lines
        self._before = _CRLF  # the last octets written, CRLF at the start: a header may be empty
        self._held = b""  # a CR whose LF may come
        self._in_header = True

    @property
    def is_full(self) -> bool:
        """Nothing more would be given: the lines that were asked for are complete."""
        return not self._in_header and self._body_lines == 0

    def feed(self, octets: bytes) -> bytes:
        """What the client gets for these octets; b"" for those behind the lines it asked for."""
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        return self._give(octets[: len(octets) - len(self._held)])

    def end(self) -> bytes:
        """The rest, and the end of the response."""
        rest = self._give(self._held)
        self._held = b""
        if not self._before.endswith(_CRLF):
            rest += self._give(_CRLF)
        if self._in_header:
            rest += self._give(_CRLF)
        return rest + END

    def _give(self, octets: bytes) -> bytes:
        text = octets.replace(*_NUL_INSTEAD)
        if not text.count(b"\r") == text.count(b"\n") == text.count(_CRLF):
            text = _NEWLINE.sub(_CRLF, text)
        text = self._cut(text)
        if not text:
            return b""
        before, self._before = self._before[-2:], (self._before + text)[-3:]
        return (before + text).replace(b"\r\n.", b"\r\n..")[len(before) :]

    def _cut(self, text: bytes) -> bytes:
        """Find the end of the header, and of the body as far as it is wanted."""
        body_at = 0
        if self._in_header:
            end = (self._before + text).find(b"\r\n\r\n")
            if end < 0:
                return text
            self._in_header = False
            body_at = end + 4 - len(self._before)
        if self._body_lines is None:
            return text
        lines = text.count(b"\n", body_at)
        if lines < self._body_lines:
            self._body_lines -= lines
            return text
        end = body_at
        for _ in range(self._body_lines):
            end = text.index(b"\n", end) + 1
        self._body_lines = 0
        return text[:end]
