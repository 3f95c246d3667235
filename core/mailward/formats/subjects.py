"""What is a subject about, without "Re:", "[list]", "(fwd)" and the like? (RFC 5256 section 2.1)"""

import re
from dataclasses import dataclass

_MOST_CHARACTERS = 1000

_TRAILER = re.compile(r"(?:\s|\(fwd\))+$", re.IGNORECASE)
_FORWARDED_TRAILER = re.compile(r"\(fwd\)\s*$", re.IGNORECASE)
_BLOB = r"\[[^\[\]]*\]\s*"
_LEADER = re.compile(rf"(?:{_BLOB})*(?:re|fwd?)\s*(?:{_BLOB})?:\s*", re.IGNORECASE)
_LEADING_BLOB = re.compile(rf"{_BLOB}(?=\S)")
_FORWARDED = re.compile(r"\[fwd:(.*)\]$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BaseSubject:
    """text: as written. is_answer: something said that this is a reply or a forwarded message."""

    text: str
    is_answer: bool


def base_subject(subject: str) -> BaseSubject:
    """Of a decoded subject."""
    text = " ".join(subject[:_MOST_CHARACTERS].split())
    is_answer = False
    while True:
        is_answer = is_answer or _FORWARDED_TRAILER.search(text) is not None
        text = _TRAILER.sub("", text)
        while match := _LEADER.match(text) or _LEADING_BLOB.match(text):
            is_answer = is_answer or match.re is _LEADER
            text = text[match.end() :]
        forwarded = _FORWARDED.match(text)
        if forwarded is None:
            return BaseSubject(text, is_answer)
        text, is_answer = forwarded[1].strip(), True
