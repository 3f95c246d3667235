"""The subject and first addresses out of a stored ENVELOPE: what SORT and THREAD need and the store keeps no column for."""

import re
from typing import Literal

from mailward.formats.collation import casemap
from mailward.formats.words import decode_words

_STRING = rb'(?:NIL|"[^"\\]*+(?:\\.[^"\\]*+)*")'
_ADDRESS = rb"\(" + rb" ".join([_STRING] * 4) + rb"\)"
_LIST = rb"(NIL|\((?:" + _ADDRESS + rb")+\))"
_ENVELOPE = re.compile(rb"\(" + rb" ".join([_STRING, rb"(" + _STRING + rb")"] + [_LIST] * 6))
_FIRST = re.compile(rb"\(\((" + _STRING + rb") " + _STRING + rb" (" + _STRING + rb") (" + _STRING + rb")\)")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_PLACES = {"From": 2, "To": 5, "Cc": 6}

Field = Literal["From", "To", "Cc"]


def mailbox_key(envelope: bytes, field: Field) -> str:
    """What SORT compares of a field (RFC 5256 section 3): the mailbox of its first address, "" without one."""
    found = _first(envelope, field)
    return "" if found is None else casemap(found[1])


def display_key(envelope: bytes, field: Field) -> str:
    """What SORT=DISPLAY compares (RFC 5957 section 3): the name of its first address, else the address; a group's name."""
    found = _first(envelope, field)
    if found is None:
        return ""
    name, mailbox, domain = found
    if not name:
        name = mailbox if domain is None else f"{mailbox}@{domain}"
    return casemap(decode_words(name.encode("ascii")))


def subject(envelope: bytes) -> str:
    """The decoded subject, "" without one."""
    match = _ENVELOPE.match(_quoted(envelope))
    return "" if match is None else decode_words((_text(match[1]) or "").encode("ascii"))


def _first(envelope: bytes, field: Field) -> tuple[str, str, str | None] | None:
    """Name, mailbox and domain of the first address; a group has its name as the mailbox and no domain."""
    match = _ENVELOPE.match(_quoted(envelope))
    first = None if match is None else _FIRST.match(match[_PLACES[field]])
    if first is None:
        return None
    name, mailbox, domain = map(_text, first.groups())
    return name or "", mailbox or "", domain


def _text(octets: bytes) -> str | None:
    return None if octets == b"NIL" else re.sub(rb"\\(.)", rb"\1", octets[1:-1]).decode("ascii")


def _quoted(envelope: bytes) -> bytes:
    """With literals as quoted strings; a quoted string has no line end, so what looks like a literal is one."""
    at = 0
    while (match := _LITERAL.search(envelope, at)) is not None:
        end = match.end() + int(match[1])
        string = b'"' + re.sub(rb'(["\\])', rb"\\\1", envelope[match.end() : end]) + b'"'
        envelope, at = envelope[: match.start()] + string + envelope[end:], match.start() + len(string)
    return envelope
