"""What is encoded here, whatever the structure says? (T-MIME-12, 13, 15)

A reader that takes another header, boundary or encoding than ours may still decode what looks like a header, a run of base64 or
an escape of quoted-printable. So these are looked for in the octets themselves, in one pass.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mailward.formats.octets import Octets

_COMMENT = re.compile(rb"\([^()]*+\)")
_NOT_A_WORD = re.compile(rb"[^a-z0-9]+")
_ESCAPE = re.compile(rb"=([0-9a-f]{2})", re.IGNORECASE)
_LINES = re.compile(rb"[\r\n\x0b\x0c]++(?![ \t])")
_NAMES = {
    "base64": re.compile(rb"b?64|.*?(?:base64|gzip64)"),
    "quoted-printable": re.compile(rb"(?:64)?qp|quoted|.*?(?:quotedp|printable)"),
    "uuencode": re.compile(rb"x?uu|.*?uuenc"),
    "yenc": re.compile(rb".*?yenc"),
    "binhex": re.compile(rb".*?binhex"),
    "7bit": re.compile(rb".*?(?:7bit|8bit|binary)"),
}
"""What begins with these, or holds the longer words, may count as the encoding."""
_NAME_AT = 24
_VALUE_OCTETS = 48
_FIELD_OCTETS = 8192
_HIDDEN_FIELD = re.compile(
    rb"[ \t\r\x0b\x0c\0:]content(?:-type[ \t]*+:[ \t]*+[\"=a-z-]++[ \t]*+/"
    rb"|-transfer-encoding[ \t]*+:[ \t]*+[\"=x-]*+(?:base|quot|uu|[78]bit|bin))"
)
_BLANKS = b" \t\r\x0b\x0c\0:"
_BLANKS_OCTETS = 256
_RUN = re.compile(rb"[A-Za-z0-9+/=\r\n]{60,}+")
_BASE64_LINE = re.compile(rb"\n[A-Za-z0-9+/]{60,}+={0,2}[\r\n]")
_LONG_LINE = re.compile(rb"[\r\n][A-Za-z0-9+/]{40}")
_QP_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1f]")
_ESCAPED_CONTROLS = re.compile(rb"=(?:0[0-8BCEFbcef]|1[0-9A-Fa-f])")
_FEW_ESCAPES = 3
_SAMPLE_OCTETS = 4096
_LETTERS_OF_A_RUN = 48
"""Shorter runs of base64 are words and names."""
_ENOUGH_LETTERS = re.compile(rb"(?:[\r\n=]*+[A-Za-z0-9+/]){%d}" % _LETTERS_OF_A_RUN)


class Span(NamedTuple):
    start: int
    end: int


def named_encodings(header: bytes) -> tuple[str, ...]:
    """Every transfer encoding that a header may name to somebody: comments, blanks, folds, escapes and odd names aside."""
    found: dict[str, None] = {}
    for field in _LINES.split(header):
        if b"od" in field or b"OD" in field:
            for value in _encoding_values(field[:_FIELD_OCTETS]):
                found.update(dict.fromkeys(name for name, pattern in _NAMES.items() if pattern.match(value)))
    return tuple(found)


def _encoding_values(field: bytes) -> Iterator[bytes]:
    """What follows the word "encoding" near the start of a line, letters and digits only."""
    for text in dict.fromkeys((field, _without_comments(field), _ESCAPE.sub(_unescaped, field))):
        words = _NOT_A_WORD.sub(b"", text.lower())
        position = words.find(b"encoding", 0, _NAME_AT + len(b"encoding"))
        if position >= 0:
            yield words[position + len(b"encoding") :][:_VALUE_OCTETS]


def has_hidden_field(header: bytes) -> bool:
    """A field about content that stands where another field goes on, or behind another kind of line end."""
    lowered, position = header.lower(), 0
    while (position := lowered.find(b"content-t", position + 1)) >= 0:
        if _HIDDEN_FIELD.match(lowered, position - 1):
            before = header[max(position - _BLANKS_OCTETS, 0) : position].rstrip(_BLANKS)
            if not before or before[-1] in b"\n\x85" or header[len(before) : position].strip(b" \t:"):
                return True
    return False


def has_base64_line(octets: Octets, span: Span) -> bool:
    """A text holds a whole line of base64, as a file does that was pasted into it."""
    return _BASE64_LINE.search(octets, max(span.start - 1, 0), span.end) is not None


def base64_runs(octets: Octets, spans: Iterable[Span]) -> Iterator[Span]:
    """Where base64 stands for at least 36 octets, within these spans."""
    for span in spans:
        for found in _RUN.finditer(octets, span.start, span.end):
            start, end = found.span()
            if _ENOUGH_LETTERS.match(octets, start, end):
                yield Span(start, end)
                # A word before it would shift the letters, so they are read from the first long line on, too.
                line = _LONG_LINE.search(octets, start, end)
                if line is not None:
                    yield Span(line.start() + 1, end)


def has_escapes(octets: Octets, spans: Iterable[Span]) -> bool:
    """Some escapes of quoted-printable stand within these spans."""
    left = _FEW_ESCAPES
    for span in spans:
        for _ in _QP_ESCAPE.finditer(octets, span.start, span.end):
            left -= 1
            if not left:
                return True
    return False


def is_binary(octets: Octets, start: int, end: int, encoding: str) -> bool:
    """No text begins like this, though its line ends may have been changed on the way as if it were one."""
    sample = bytes(octets[start : min(end, start + _SAMPLE_OCTETS)])
    pattern = _ESCAPED_CONTROLS if encoding == "quoted-printable" else _CONTROLS
    return pattern.search(sample) is not None


def gaps(start: int, end: int, covered: Iterable[Span]) -> Iterator[Span]:
    """What lies between spans that do not overlap."""
    for span in sorted(covered):
        if span.start > start:
            yield Span(start, min(span.start, end))
        start = max(start, span.end)
    if start < end:
        yield Span(start, end)


def _without_comments(header: bytes) -> bytes:
    for _ in range(3):
        header = _COMMENT.sub(b"", header)
    return header


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape.group(1).decode("ascii"))
