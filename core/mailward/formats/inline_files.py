"""Which files stand in the text itself? Blocks of uuencode, base64, yEnc and BinHex that some clients offer to save (T-MIME-18).

The text is a body whose transfer encoding is undone. A block that nothing closes goes on to the next one or to the end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from mailward.formats import base64_body, old_encodings
from mailward.formats.budgets import INLINE_FILES
from mailward.formats.charsets import decode_charset
from mailward.formats.octets import Octets

Kind = Literal["uuencode", "base64", "yenc", "binhex"]

_BEGIN = re.compile(
    rb"\n(?:begin(?P<base64>-base64)?[ \t]+[0-7]{3,4}[ \t]+(?P<name>[^\r\n]{1,1000})|=ybegin (?P<yenc>[^\r\n]{1,1000})"
    rb"|\(This file must be converted with BinHex)[^\n]*+(?:\n|\Z)"
)
_FIRST_LINE = re.compile(_BEGIN.pattern.removeprefix(rb"\n"))
_YENC_NAME = re.compile(rb"(?:\A|[ \t])name=(.*)", re.DOTALL)
_ENDS = {
    "uuencode": re.compile(rb"\nend[ \t]*+(?:\r*+(?:\n|\Z))"),
    "base64": re.compile(rb"\n====[ \t]*+(?:\r*+(?:\n|\Z))"),
    "yenc": re.compile(rb"\n=yend[^\n]*+(?:\n|\Z)"),
    "binhex": re.compile(rb":[ \t]*+\r*+(?:\n|\Z)"),
}
_DECODERS = {
    "uuencode": old_encodings.uuencoded,
    "base64": base64_body.lenient,
    "yenc": old_encodings.yenc,
    "binhex": old_encodings.binhex,
}
_UU_LINE = re.compile(rb"\n([ -`]{2,90}+)\r?(?:\n|\Z)")


@dataclass(frozen=True, slots=True)
class InlineFile:
    """One file. start, end: the block with its first and last line.

    name: a stranger's text, "" when there is none; never a path.
    """

    kind: Kind
    name: str
    start: int
    body_start: int
    body_end: int
    end: int

    def chunks(self, octets: Octets) -> Iterator[bytes]:
        """What it holds, piece by piece, from the octets in which it was found."""
        return _DECODERS[self.kind](octets, self.body_start, self.body_end)

    def decode(self, octets: Octets, limit: int) -> bytes:
        """What it holds, `limit` octets at most: a little BinHex can stand for very much."""
        found = bytearray()
        for piece in self.chunks(octets):
            found += piece
            if len(found) >= limit:
                break
        return bytes(found[:limit])


def has_inline_file(octets: Octets, start: int, end: int) -> bool:
    """A file stands in the text from start to end."""
    return next(_files(octets, start, end), None) is not None


def find_inline_files(octets: Octets, start: int, end: int) -> tuple[InlineFile, ...]:
    """The files in the text from start to end, in their order, no more than the budget allows."""
    return tuple(islice(_files(octets, start, end), INLINE_FILES))


def _files(octets: Octets, start: int, end: int) -> Iterator[InlineFile]:
    begun = _FIRST_LINE.match(octets, start, end) or _BEGIN.search(octets, start, end)
    talk = 0
    while begun is not None:
        # The line end behind a first line can be the one before the next.
        following = _BEGIN.search(octets, max(begun.end() - 1, start), end)
        found = _file(octets, begun, following.start() + 1 if following else end)
        if found is not None:
            yield found
        elif (talk := talk + 1) == INLINE_FILES:
            # Nobody talks of so many files: from here on it is one.
            yield InlineFile("uuencode", "", begun.start(), begun.start(), end, end)
            return
        begun = following


def _file(octets: Octets, begun: re.Match[bytes], limit: int) -> InlineFile | None:
    """The file whose first line was found and which ends before `limit`; None when it is only talk about one."""
    start = begun.start() + begun[0].startswith(b"\n")
    body_start = begun.end()
    kind: Kind = "binhex"
    name = b""
    if begun["name"] is not None:
        kind = "base64" if begun["base64"] else "uuencode"
        name = begun["name"]
    elif begun["yenc"] is not None:
        kind = "yenc"
        named = _YENC_NAME.search(begun["yenc"])
        name = named[1] if named else b""
    closed = _ENDS[kind].search(octets, max(body_start - 1, start), limit)
    body_end = (closed.start() + 1 if closed else limit) if limit > body_start else body_start
    if kind == "uuencode" and closed is None and not _holds_uuencoded(octets, body_start - 1, body_end):
        return None
    if kind == "binhex":
        name = old_encodings.binhex_name(octets, body_start, body_end)
        if not name:
            return None
    return InlineFile(kind, decode_charset(name.strip(), ""), start, body_start, body_end, closed.end() if closed else limit)


def _holds_uuencoded(octets: Octets, start: int, end: int) -> bool:
    """Some line is as long as its first character says."""
    return any(map(old_encodings.is_uuencoded_line, (found[1] for found in _uu_lines(octets, start, end))))


def _uu_lines(octets: Octets, start: int, end: int) -> Iterator[re.Match[bytes]]:
    at = start
    while (found := _UU_LINE.search(octets, at, end)) is not None:
        yield found
        # The line end behind one line is the one before the next.
        at = max(found.end() - 1, at + 1)
