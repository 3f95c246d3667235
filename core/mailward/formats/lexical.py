"""What are the words of a structured header field? (RFC 5322 sections 3.2 and 4.1)

One linear pass over an unfolded value, no recursion. What is not of the grammar is a token all the same, marked unsound; no octet
is lost between two tokens.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from mailward.formats.budgets import COMMENT_DEPTH

Kind = Literal["blank", "comment", "atom", "quoted", "literal", "special"]

_TOKEN = re.compile(
    rb"""(?P<blank>[ \t]+)
    |(?P<atom>[^ \t"()<>@,:;.\[\]\\\x00-\x1f\x7f]+)
    |(?P<quoted>"([^"\\]*(?:\\.[^"\\]*)*)("?))
    |(?P<literal>\[([^\[\]\\]*(?:\\.[^\[\]\\]*)*)(\]?))
    |(?P<special>.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED_TEXT, _QUOTED_END, _LITERAL_END = 4, 5, 8
_SPECIALS = frozenset(b"<>@,:;.")
_IN_COMMENT = re.compile(rb"[^()\\]++|\\.|[()\\]", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_NEVER = re.compile(rb"[\0\r\n]")
"""Only obsolete quoted-pairs may hold these (RFC 5322 section 4.1), and many readers end a text at them: unsound even there."""


class Token(NamedTuple):
    """octets: a quoted string or a comment is without its marks and quoted-pairs. start, end: where it stands in the value."""

    kind: Kind
    octets: bytes
    start: int
    end: int
    is_sound: bool = True

    def is_special(self, octet: bytes) -> bool:
        return self.kind == "special" and self.octets == octet


def tokens(value: bytes) -> Iterator[Token]:
    """Every token of an unfolded value, blanks and comments included."""
    position = 0
    while (found := _TOKEN.match(value, position)) is not None:
        octets = found.group()
        match found.lastgroup:
            case "atom":
                token = Token("atom", octets, position, found.end())
            case "blank":
                token = Token("blank", octets, position, found.end())
            case "quoted":
                text = unquote(found[_QUOTED_TEXT])
                token = Token("quoted", text, position, found.end(), bool(found[_QUOTED_END]) and not _NEVER.search(text))
            case "literal":
                is_sound = bool(found[_LITERAL_END]) and not _NEVER.search(octets)
                token = Token("literal", octets, position, found.end(), is_sound)
            case _ if octets == b"(":
                token = _comment(value, position)
            case _:
                token = Token("special", octets, position, found.end(), octets[0] in _SPECIALS)
        yield token
        position = token.end


def unquote(text: bytes) -> bytes:
    """The text of a quoted string or a comment without the backslashes of its quoted-pairs."""
    return _QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text


def without_comments(value: bytes) -> bytes:
    """The value with a blank where a comment stood. What is no sound comment stays."""
    if b"(" not in value:
        return value
    return b"".join(
        b" " if token.kind == "comment" and token.is_sound else value[token.start : token.end] for token in tokens(value)
    )


def _comment(value: bytes, start: int) -> Token:
    depth = deepest = 0
    end = start
    for found in _IN_COMMENT.finditer(value, start):
        end = found.end()
        if found.group() == b"(":
            depth += 1
            deepest = max(deepest, depth)
        elif found.group() == b")":
            depth -= 1
            if depth == 0:
                break
    is_closed = depth == 0
    text = unquote(value[start + 1 : end - is_closed])
    return Token("comment", text.strip(), start, end, is_closed and deepest <= COMMENT_DEPTH and not _NEVER.search(text))
