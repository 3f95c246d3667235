"""Which addresses could some reader find in an address list? (T-HDR-05 to T-HDR-07)

Programs are known that look for angle brackets before they look for quotes and comments, that take the text outside of brackets,
the stations of a source route, what stands in a quoted local-part, that decode encoded-words before they look for addresses, or
that drop control characters. All they could find is gathered here, in linear time. A display name that only shows an address,
such as "ceo@bank.example" in quotes, is none of these: readers agree about it, people are deceived by it (T-HDR-08).
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from mailward.formats.budgets import FIELD_OCTETS, MAILBOXES
from mailward.formats.domains import comparable_domain
from mailward.formats.lexical import Token, tokens
from mailward.formats.words import decode_words

_IN_BRACKETS = re.compile(rb"<[^<>]*+")
_DOMAIN = re.compile(rb"[ \t]*+(\[[^\[\]]*+\]?|[A-Za-z0-9._\x80-\xff-]+)")
_LAST_WORD = re.compile(rb"[ \t]*+([^ \t\x00-\x1f\x7f\"(),:;<>@\[\]\\]*+)")
"""Of the octets in reverse order."""
_AFTER_ADDRESS = re.compile(rb"[ \t]*+(?:[,;>]|\Z)")
_CONTROLS = bytes([*range(9), *range(10, 32), 127])


class FoundAddress(NamedTuple):
    """local_part: "" where a reader finds none. domain: A-labels in lower case; the text as it stands where it is no domain."""

    local_part: str
    domain: str


def addresses_of_any_reader(value: bytes) -> frozenset[FoundAddress]:
    """Of an unfolded value; more than 4,000 are not gathered. Never raises."""
    found: set[FoundAddress] = set()
    value = value[:FIELD_OCTETS]
    for text, is_decoded in _texts(value):
        for local_part, domain in _pairs(text, is_decoded=is_decoded):
            found.add(FoundAddress(local_part.decode("utf-8", "replace"), comparable_domain(domain.decode("utf-8", "replace"))))
            if len(found) > 2 * MAILBOXES:
                return frozenset(found)
    return frozenset(found)


def _texts(value: bytes) -> Iterator[tuple[bytes, bool]]:
    """What readers look at, and whether it is decoded text in which an address before a bracket is a display name."""
    yield from ((text, False) for text in _views(value))
    if (without_controls := value.translate(None, _CONTROLS)) != value:
        yield from ((text, False) for text in _views(without_controls))
    if b"=?" in value:
        yield from ((text, True) for text in _views(decode_words(value).encode("utf-8", "replace")))


def _views(value: bytes) -> Iterator[bytes]:
    """The text without comments and quoted strings; what stands in brackets whatever is around it; quoted local-parts."""
    if b'"' not in value and b"(" not in value:
        yield value
        return
    clear = []
    all_tokens = [token for token in tokens(value) if token.kind not in ("blank", "comment")]
    for token, following in pairwise([*all_tokens, Token("blank", b"", len(value), len(value))]):
        is_local_part = token.kind == "quoted" and following.is_special(b"@")
        if is_local_part and b"@" in token.octets:
            yield token.octets
        if token.kind != "quoted" or is_local_part:
            # Blanks stay where they were: they part words, and some readers end a domain at them.
            clear.append(value[token.start : token.end] + (b" " if following.start > token.end else b""))
    yield b"".join(clear)
    yield b">".join(_IN_BRACKETS.findall(value))


def _pairs(text: bytes, *, is_decoded: bool) -> Iterator[tuple[bytes, bytes]]:
    """What stands before and after each at sign."""
    for left, right in pairwise(text.split(b"@")):
        domain = _DOMAIN.match(right)
        if domain is not None and (not is_decoded or _AFTER_ADDRESS.match(right, domain.end())):
            yield _local_part(left), domain[1]


def _local_part(left: bytes) -> bytes:
    left = left.rstrip(b" \t")
    if left.endswith(b'"'):
        return left[:-1].rpartition(b'"')[2]
    word = _LAST_WORD.match(left[::-1])
    return word[1][::-1] if word else b""
