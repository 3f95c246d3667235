"""Which words does a message consist of, for a filter that learns? Pure and bounded.

Words of the text and of a few header fields, and pairs of words at most `WINDOW` apart (orthogonal sparse bigrams, Siefkes and
others 2004), which tell "account closed" from "closed account". Header words carry the field's name. Only what the author or
the author's software wrote is used: Received and everything a receiver adds would teach the filter the receiver.

A token is stored as eight octets of a hash, so that what was learnt holds nobody's text.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b

from mailward.api import MessageView

WINDOW = 3
MAX_WORDS = 600
MAX_TOKENS = 2000
MAX_TEXT_CHARACTERS = 20_000

_WORD = re.compile(r"https?://[^\s/\"'<>]+|[\w$€£!%'@.-]*[\w$€£!%]", re.ASCII)
_ZERO_WIDTH = dict.fromkeys([0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF])
_HEADER_FIELDS = ("From", "Reply-To", "Subject", "X-Mailer", "User-Agent", "Content-Type", "List-Id")


def tokens_of(message: MessageView) -> frozenset[bytes]:
    """The hashed tokens of a message, at most `MAX_TOKENS`."""
    found: set[bytes] = set()
    for token in _all(message):
        found.add(blake2b(token.encode("utf-8", "replace"), digest_size=8).digest())
        if len(found) >= MAX_TOKENS:
            break
    return frozenset(found)


def _all(message: MessageView) -> Iterator[str]:
    for name in _HEADER_FIELDS:
        for field in message.all(name)[:2]:
            yield from _with_pairs([f"{name.lower()}:{word}" for word in _words(field.text[:500])])
    for part in message.parts():
        yield f"part:{part.content_type}"
    room = MAX_WORDS
    for text_part in message.texts():
        words = _words(text_part.text[:MAX_TEXT_CHARACTERS])[:room]
        room -= len(words)
        yield from _with_pairs(words)


def _words(text: str) -> list[str]:
    """Words in lower case; web addresses as their host, long ones cut, digits of numbers made alike."""
    return [_shape(word) for word in _WORD.findall(text.translate(_ZERO_WIDTH).lower())]


def _shape(word: str) -> str:
    if word.startswith("http"):
        return "host:" + word.partition("//")[2][:60]
    if len(word) > 30:
        return f"long:{word[:4]}:{len(word) // 10}"
    return re.sub(r"[0-9]", "9", word)


def _with_pairs(words: list[str]) -> Iterator[str]:
    yield from words
    for index, word in enumerate(words):
        for distance, other in enumerate(words[index + 1 : index + 1 + WINDOW]):
            yield f"{word} {distance} {other}"
