"""Mailbox names on the wire: modified UTF-7 (RFC 3501 section 5.1.3), UTF-8 (RFC 9051 section 5.1), and the patterns of LIST."""

import base64
import binascii
import re
import unicodedata
from functools import lru_cache

from mailward.formats.mailbox_names import INBOX, SEPARATOR, problem_of_name

_MAX_PATTERN_CHARACTERS = 500

_SHIFTED = re.compile(r"&([^-]*)-|&")
_DIRECT = re.compile(r"[ -%'-~]+|&|[^ -~]+")


class NameRefused(ValueError):
    """A name that no mailbox can have; the text is for people."""


@lru_cache(1024)
def decode_name(octets: bytes, *, utf8: bool = False) -> str:
    """The name in NFC. INBOX in any case is "INBOX". Raises NameRefused for what is neither or cannot be (T-IMAP-13).

    utf8: the client has enabled UTF-8, and modified UTF-7 means nothing any more.
    """
    text = decode_pattern(octets, utf8=utf8)
    if not utf8 and encode_name(text) != octets:  # another spelling of the same name would be a second name
        raise NameRefused("modified UTF-7 that is not in its one form")
    name = unicodedata.normalize("NFC", text)
    return check_name(INBOX if name.upper() == INBOX else name)


def decode_pattern(octets: bytes, *, utf8: bool = False) -> str:
    """The text of a LIST pattern or reference, wildcards as they are. Raises NameRefused."""
    if utf8:
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            raise NameRefused("mailbox names are UTF-8") from None
    try:
        return _SHIFTED.sub(_decoded, octets.decode("ascii"))
    except UnicodeDecodeError:
        raise NameRefused("mailbox names are modified UTF-7") from None


def check_name(name: str) -> str:
    """The name itself. Raises NameRefused."""
    if problem := problem_of_name(name):
        raise NameRefused(problem)
    return name


def _decoded(match: re.Match[str]) -> str:
    shifted = match[1]
    if shifted is None:
        raise NameRefused("a shift in modified UTF-7 is not ended")
    if not shifted:
        return "&"
    padded = shifted.replace(",", "/") + "=" * (-len(shifted) % 4)
    try:
        return base64.b64decode(padded, validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise NameRefused("modified UTF-7 that cannot be read") from None


def encode_name(name: str) -> bytes:
    """Modified UTF-7 of a name."""
    out = []
    for part in _DIRECT.findall(name):
        if part == "&":
            out.append("&-")
        elif part.isascii() and part.isprintable():
            out.append(part)
        else:
            out.append("&" + base64.b64encode(part.encode("utf-16-be")).decode("ascii").rstrip("=").replace("/", ",") + "-")
    return "".join(out).encode("ascii")


class Pattern:
    """What LIST compares names with: "*" is anything, "%" anything within a level (RFC 3501 section 6.3.8).

    All places of the pattern that a name may have reached are one integer, moved on by one step a character: no pattern and no
    name costs more than its length (T-IMAP-06).
    """

    def __init__(self, text: str) -> None:
        parts = re.split(r"([*%]+)", unicodedata.normalize("NFC", text))
        cells = [cell for n, part in enumerate(parts) for cell in (part if n % 2 == 0 else ("*" if "*" in part else "%"))]
        wild = [n % 2 for n, part in enumerate(parts) for _ in (part if n % 2 == 0 else "*")]
        self._final = 1 << len(cells)
        self._steps: dict[str, int] = {}
        self._any = self._within = 0
        for place, (cell, is_wild) in enumerate(zip(cells, wild, strict=True)):
            if not is_wild:
                self._steps[cell] = self._steps.get(cell, 0) | 1 << place
            elif cell == "*":
                self._any |= 1 << place
            else:
                self._within |= 1 << place
        self._too_long = sum(not w for w in wild) > _MAX_PATTERN_CHARACTERS
        self._inbox = None if text == text.upper() else Pattern(text.upper())

    def matches(self, name: str) -> bool:
        """Whether it stands for this name; INBOX in any case."""
        if self._too_long:
            return False
        return self._reached_behind(name) & self._final != 0 or (
            name == INBOX and self._inbox is not None and self._inbox.matches(name)
        )

    def may_match_below(self, level: str) -> bool:
        """Whether it stands for this level, or may for a name below it."""
        return self.matches(level) or (not self._too_long and self._reached_behind(level + SEPARATOR) != 0)

    def _reached_behind(self, name: str) -> int:
        """0 where the name leads nowhere."""
        wild = self._any | self._within
        reached = self._skip(1, wild)
        for character in name:
            stays = reached & (self._any if character == SEPARATOR else wild)
            reached = self._skip((reached & self._steps.get(character, 0)) << 1 | stays, wild)
            if not reached:
                break
        return reached

    def _skip(self, reached: int, wild: int) -> int:
        """A wildcard may stand for nothing; two never stand side by side."""
        return reached | (reached & wild) << 1
