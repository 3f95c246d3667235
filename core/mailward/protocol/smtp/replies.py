"""Where does a reply end, and what does it say? (RFC 5321 sections 4.2 and 4.5.3.1.5; RFC 3463)

The text is a stranger's: whatever is not printable ASCII becomes "?" before anybody sees it.
"""

import re
from dataclasses import dataclass

from mailward.model.errors import PeerError
from mailward.model.reply import Reply
from mailward.protocol.framing import LineReader

_LINE = re.compile(r"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_PRINTABLE = bytes(octet if 0x20 <= octet <= 0x7E else ord("?") for octet in range(256))
_ENHANCED = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?= |\Z)")


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """Past either of them the peer is given up. line_octets: the CRLF included; RFC 5321 allows 512, servers exceed that."""

    line_octets: int = 4096
    lines: int = 100


class ReplyReader:
    """Cuts replies from a stream of octets."""

    def __init__(self, limits: ReplyLimits) -> None:
        self._limits = limits
        self._lines = LineReader(limits.line_octets, limits.line_octets)
        self._code = ""
        self._texts: list[str] = []

    def __bool__(self) -> bool:
        """True while octets wait that are no whole reply yet."""
        return bool(self._lines) or bool(self._texts)

    def feed(self, octets: bytes) -> None:
        self._lines.feed(octets)

    def next(self) -> Reply | None:
        """The next reply, None until more octets arrive. Raises PeerError; then nothing more can be read."""
        while (line := self._lines.next()) is not None:
            if line.fault is not None:
                raise PeerError(f"a reply line is {line.fault.value}")
            found = _LINE.fullmatch(_printable(line.octets))
            if found is None:
                raise PeerError("a line is no reply")
            code, separator, text = found.groups(default="")
            if self._texts and code != self._code:
                raise PeerError(f"the code changes from {self._code} to {code} within one reply")
            if len(self._texts) == self._limits.lines:
                raise PeerError(f"a reply of more than {self._limits.lines} lines")
            self._code = code
            self._texts.append(text)
            if separator != "-":
                texts, self._texts = self._texts, []
                return _reply(int(code), texts)
        return None


def _printable(octets: bytes) -> str:
    return octets.translate(_PRINTABLE).decode("ascii")


def _reply(code: int, texts: list[str]) -> Reply:
    """An enhanced code counts only where its class is that of the reply code (RFC 2034 section 4)."""
    found = _ENHANCED.match(texts[0])
    if found is None or found[1] != str(code)[0]:
        return Reply(code, None, tuple(texts))
    enhanced = found[0]
    return Reply(code, enhanced, tuple(text.removeprefix(enhanced).removeprefix(" ") for text in texts))
