"""Does text match a pattern of wildcards, and what do the wildcards stand for? (RFC 5228 section 2.7.1, RFC 5229 section 3.2)

Each asterisk takes as little as it can. What stands between two of them is looked for once, so no pattern makes it slow.
"""

import re
from functools import lru_cache

_ELEMENT = re.compile(r"\\(.)|([*?])|([^\\*?]+)|(\\)", re.DOTALL)
_SPECIAL = re.compile(r"[\\*?]")


Pieces = tuple[tuple[re.Pattern[str], int], ...]

_STEPS_AT_ONCE = 1_000_000
"""Some ten milliseconds."""
_KEPT_CHARACTERS = 256
"""Longer patterns are made anew each time: what is kept holds a hundred times their room."""


def _pieces(pattern: str) -> Pieces:
    """What stands between asterisks, as a pattern with a group for each "?", and its length."""
    return _kept(pattern) if len(pattern) <= _KEPT_CHARACTERS else _made(pattern)


@lru_cache(maxsize=256)
def _kept(pattern: str) -> Pieces:
    return _made(pattern)


def _made(pattern: str) -> Pieces:
    pieces, written, length = list[tuple[re.Pattern[str], int]](), "", 0
    for found in _ELEMENT.finditer(pattern):
        if found[2] == "*":
            pieces.append((re.compile(written, re.DOTALL), length))
            written, length = "", 0
        elif found[2] == "?":
            written, length = written + "(.)", length + 1
        else:
            literal = found[1] or found[3] or "\\"
            written, length = written + re.escape(literal), length + len(literal)
    return (*pieces, (re.compile(written, re.DOTALL), length))


def match_wildcards(pattern: str, text: str) -> list[tuple[int, int]] | None:
    """Where the wildcards' text starts and ends, in order; None when it does not match. A backslash quotes."""
    pieces = _pieces(pattern)
    (first, length), last_length = pieces[0], pieces[-1][1]
    if (found := first.match(text)) is None or (len(pieces) == 1 and length != len(text)):
        return None
    spans = _groups(found)
    position = length
    for number, (piece, length) in enumerate(pieces[1:], 1):
        if number < len(pieces) - 1:
            found = _found(piece, length, text, position)
        else:
            start = len(text) - last_length
            found = piece.match(text, start) if start >= position else None
        if found is None:
            return None
        spans += [(position, found.start()), *_groups(found)]
        position = found.end()
    return spans


def _found(piece: re.Pattern[str], length: int, text: str, position: int) -> re.Match[str] | None:
    """The first place. Where "?" makes it slow it is looked for in steps, since other threads wait for each call (T-IMAP-20)."""
    if not piece.groups:
        return piece.search(text, position)
    window = max(_STEPS_AT_ONCE // length, 1)
    starts = range(position, len(text) - length + 1, window)
    return next(filter(None, (piece.search(text, start, start + window + length - 1) for start in starts)), None)


def _groups(found: re.Match[str]) -> list[tuple[int, int]]:
    return [found.span(group) for group in range(1, len(found.groups()) + 1)]


def quoted(text: str) -> str:
    """A pattern that matches this text only."""
    return _SPECIAL.sub(r"\\\g<0>", text)
