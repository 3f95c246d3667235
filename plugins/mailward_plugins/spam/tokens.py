"""Which traits of a message does the classifier learn? Words and pairs of words, and traits of header and markup.

Only what its sender controls is used: nothing that this server or the servers before it have written (Received, Return-Path,
Authentication-Results, X-Spam-*), so a stored message has the same tokens as the one that was inspected.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b

from mailward.api import MessageView

MAX_TOKENS = 4000
"""Distinct tokens of one message; more would only make it slow."""
_TEXT_CHARACTERS = 60_000
"""Of all text parts together."""
_HTML_CHARACTERS = 200_000
_PAIR_DISTANCE = 3
"""A word is paired with this many of its followers (orthogonal sparse bigrams)."""

_WORD = re.compile(r"[^\W_][\w$!%'.@-]*|[$!]{1,3}")
_EDGES = ".'-@"
_LINK = re.compile(r"\b(?:https?|ftp)://([^\s/\"'<>?#:]{1,100})(?::\d+)?(/[^\s\"'<>]{0,200})?", re.IGNORECASE)
_TAG = re.compile(r"<\s*([a-zA-Z][a-zA-Z0-9]{0,10})([^>]{0,300})")
_ATTRIBUTE = re.compile(r"\b(color|bgcolor|size|face|width|height|style|src|align)\s*=\s*[\"']?([^\"'\s>]{1,24})", re.IGNORECASE)
_ALPHANUMERIC = re.compile(r"[A-Za-z]+|[0-9]+")
_INVISIBLE = dict.fromkeys([0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF])
"""Characters that split words for machines and for nobody else."""
_ADDRESS_FIELDS = ("From", "Reply-To", "To", "Cc")
_SOFTWARE_FIELDS = (
    "X-Mailer",
    "User-Agent",
    "Content-Type",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Precedence",
    "X-Priority",
)
_MARK_FIELDS = ("In-Reply-To", "References", "List-Unsubscribe", "List-Id", "Sender", "Organization", "DKIM-Signature", "Date")
"""That they are there, or not, says something; what they say does not."""


def tokens_of(message: MessageView) -> frozenset[bytes]:
    """The hashed traits of a message, eight octets each, at most `MAX_TOKENS`: what was learnt holds nobody's text."""
    found: set[bytes] = set()
    for token in _all_tokens(message):
        found.add(blake2b(token.encode("utf-8", "replace"), digest_size=8).digest())
        if len(found) >= MAX_TOKENS:
            break
    return frozenset(found)


def _all_tokens(message: MessageView) -> Iterator[str]:
    yield from _header_tokens(message)
    subject = list(_words(message.subject))
    yield from (f"s:{word}" for word in subject)
    yield from _pairs(subject, "s:")
    room = _TEXT_CHARACTERS
    for part in message.texts():
        text = part.text[:room]
        room -= len(text)
        yield from _text_tokens(text)
        if part.is_html and room > 0:
            yield from _markup_tokens(part.source[:_HTML_CHARACTERS])
        if room <= 0:
            break


def _header_tokens(message: MessageView) -> Iterator[str]:
    for name in _ADDRESS_FIELDS:
        for field in message.all(name)[:3]:
            yield from (f"{name.lower()}:{word}" for word in list(_words(field.text[:2000]))[:60])
    for name in _SOFTWARE_FIELDS:
        software = message.field(name)
        if software is not None:
            yield f"has:{name}"
            yield from (f"{name}:{word}" for word in list(_words(software.text[:300].partition("boundary")[0]))[:12])
    for name in _MARK_FIELDS:
        yield f"{'has' if message.field(name) else 'no'}:{name}"
    yield f"id:{_shape(message.message_id)}"
    date = message.field("Date")
    if date is not None:
        yield f"date:{_shape(date.text)[:40]}"
        yield f"zone:{date.text[-6:].strip()}"
    for part in message.parts():
        yield f"part:{part.content_type}:{part.encoding}:{part.charset}"
        if part.filename:
            yield f"file:{part.filename.rpartition('.')[2].lower()[:10]}"


def _text_tokens(text: str) -> Iterator[str]:
    words = list(_words(text))
    yield from words
    yield from _pairs(words, "")
    for link in _LINK.finditer(text):
        yield from _link_tokens(link[1].lower(), link[2] or "")


def _markup_tokens(html: str) -> Iterator[str]:
    for link in _LINK.finditer(html):
        yield from _link_tokens(link[1].lower(), link[2] or "")
    for tag in _TAG.finditer(html):
        yield f"tag:{tag[1].lower()}"
        for attribute in _ATTRIBUTE.finditer(tag[2]):
            yield f"attr:{attribute[1].lower()}={attribute[2].lower()}"


def _link_tokens(host: str, path: str) -> Iterator[str]:
    labels = host.split(".")
    yield from (f"url:{'.'.join(labels[first:])}" for first in range(max(0, len(labels) - 4), len(labels)))
    yield from (f"path:{piece.lower()}" for piece in re.split(r"[/?&=.]", path)[:8] if 2 < len(piece) < 30)


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text.translate(_INVISIBLE)):
        word = found.group().strip(_EDGES)
        if not word:
            continue
        if len(word) > 30:
            yield f"long:{word[0]}:{len(word) // 10}"
        elif word.isupper() and len(word) > 2:
            yield word
            yield word.lower()
        else:
            yield word.lower()


def _pairs(words: list[str], prefix: str) -> Iterator[str]:
    for index, word in enumerate(words):
        for distance, follower in enumerate(words[index + 1 : index + 1 + _PAIR_DISTANCE]):
            yield f"{prefix}{word}{' _' * distance} {follower}"


def _shape(text: str) -> str:
    """The form of an identifier: every run of letters is A, of digits 9."""
    return _ALPHANUMERIC.sub(lambda found: "9" if found[0][0].isdigit() else "A", text)[:60]
