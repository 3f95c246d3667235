"""Who is named in an address list of a header field? (RFC 5322 sections 3.4 and 4.4; encoded-words of RFC 2047)

One linear pass over tokens, no recursion, with a budget. What is not exactly the grammar is still read as well as possible,
but marked malformed, since others may read it differently. Encoded-words are decoded in display names, never in addresses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.words import decode_words
from mailward.model.address import Address

MAX_MAILBOXES = 2000
MAX_COMMENT_DEPTH = 8
MAX_OCTETS = 64 * 1024
"""What follows in one field is not read."""

_TOKEN = re.compile(
    rb"""(?P<blank>[ \t\r\n]+)
    |(?P<atom>[^ \t\r\n"()<>@,:;.\[\]\\\x00-\x1f\x7f]+)
    |(?P<quoted>"(?:[^"\\]|\\.)*"?)
    |(?P<literal>\[(?:[^\[\]\\]|\\.)*\]?)
    |(?P<special>.)""",
    re.VERBOSE | re.DOTALL,
)
_IN_COMMENT = re.compile(rb"[^()\\]++|\\.|[()\\]", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox of an address list.

    display_name: decoded text, "" when there is none. address: None when what stands there is no address.
    raw: the octets between the commas, trimmed. name_octets, local_part_octets, domain_octets: unquoted, not decoded.
    """

    display_name: str
    address: Address | None
    raw: bytes
    name_octets: bytes = b""
    local_part_octets: bytes = b""
    domain_octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Group:
    """A named group of mailboxes, possibly empty (RFC 5322 section 3.4)."""

    name_octets: bytes
    mailboxes: tuple[Mailbox, ...]


@dataclass(frozen=True, slots=True)
class AddressList:
    """All of a field. is_malformed: some of it is not the grammar of RFC 5322. is_cut: the budget ended it."""

    entries: tuple[Mailbox | Group, ...]
    is_malformed: bool = False
    is_cut: bool = False

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """The mailboxes in order, those of groups included."""
        return tuple(m for entry in self.entries for m in (entry.mailboxes if isinstance(entry, Group) else (entry,)))


def parse_address_list(value: bytes) -> tuple[Mailbox, ...]:
    """The mailboxes of an unfolded address list, groups opened; at most 2,000. Never raises."""
    return read_address_list(value).mailboxes


class _Token(NamedTuple):
    """kind: blank, atom, quoted, literal, comment or special. octets: a quoted string or comment without its marks."""

    kind: str
    octets: bytes
    start: int
    end: int
    is_sound: bool = True

    @property
    def is_at(self) -> bool:
        return self.octets == b"@" and self.kind == "special"


def _tokens(value: bytes) -> Iterator[_Token]:
    position = 0
    while position < len(value):
        found = _TOKEN.match(value, position)
        assert found is not None  # the last alternative takes any octet
        kind, octets = found.lastgroup, found.group()
        if octets == b"(":
            token = _comment(value, position)
        elif kind == "quoted":
            token = _Token("quoted", _unquote(octets), position, found.end(), len(octets) > 1 and _is_closed(octets, b'"'))
        elif kind == "literal":
            token = _Token("literal", octets, position, found.end(), _is_closed(octets, b"]"))
        else:
            token = _Token(kind or "", octets, position, found.end(), kind != "special" or octets in b"<>@,:;.")
        yield token
        position = token.end


def _is_closed(octets: bytes, closer: bytes) -> bool:
    # The pattern takes escapes as pairs, so a closer at the end is one that closes unless an escape owns it.
    body = octets[1:-1]
    return octets.endswith(closer) and (len(body) - len(body.rstrip(b"\\"))) % 2 == 0


def _unquote(octets: bytes) -> bytes:
    inner = octets[1:-1] if len(octets) > 1 and _is_closed(octets, b'"') else octets[1:]
    return _QUOTED_PAIR.sub(rb"\1", inner)


def _comment(value: bytes, start: int) -> _Token:
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
    closed = depth == 0
    text = _QUOTED_PAIR.sub(rb"\1", value[start + 1 : end - closed])
    return _Token("comment", text.strip(), start, end, closed and deepest <= MAX_COMMENT_DEPTH)


@dataclass(slots=True)
class _Entry:
    """What was read since the last comma: words before an angle bracket, and what stood inside it."""

    words: list[_Token] = field(default_factory=list)
    angle: list[_Token] | None = None
    angle_closed: bool = False
    comment: bytes = b""
    has_at: bool = False
    start: int | None = None
    end: int = 0

    def add(self, token: _Token) -> bool:
        """Take one token that is no separator; False when the grammar has no place for it here."""
        if token.kind == "blank":
            return True
        self.start = token.start if self.start is None else self.start
        self.end = token.end
        if token.kind == "comment":
            self.comment = token.octets
            return token.is_sound
        if token.kind == "special" and token.octets == b"<":
            if self.angle is not None:
                return False
            self.angle = []
            return True
        if token.kind == "special" and token.octets == b">":
            was_open, self.angle_closed = self.angle is not None and not self.angle_closed, True
            return was_open
        if self.angle is None:
            self.words.append(token)
            self.has_at = self.has_at or token.is_at
            return token.is_sound
        if self.angle_closed:
            return False
        self.angle.append(token)
        return token.is_sound


def read_address_list(value: bytes) -> AddressList:
    """Everything in an unfolded address list: mailboxes, groups, and whether it kept to the grammar. Never raises."""
    is_cut = len(value) > MAX_OCTETS
    value = value[:MAX_OCTETS]
    entries: list[Mailbox | Group] = []
    group: list[Mailbox] | None = None
    group_name = b""
    sound, count, entry = True, 0, _Entry()

    def close_entry() -> None:
        nonlocal entry, sound, count
        if entry.start is not None and (entry.words or entry.angle is not None):
            mailbox, is_sound = _mailbox(entry, value)
            (entries if group is None else group).append(mailbox)
            sound, count = sound and is_sound, count + 1
        entry = _Entry()

    for token in _tokens(value):
        separator = token.octets if token.kind == "special" and (entry.angle is None or entry.angle_closed) else b""
        if separator == b"," or (separator == b";" and group is not None):
            close_entry()
            if separator == b";" and group is not None:
                entries.append(Group(group_name, tuple(group)))
                group = None
            if count >= MAX_MAILBOXES and token.end < len(value):
                is_cut = True
                break
        elif separator == b":" and group is None and entry.angle is None and not entry.has_at:
            group, group_name, entry = [], _phrase(entry.words), _Entry()
        else:
            sound = entry.add(token) and sound
    close_entry()
    if group is not None:
        entries.append(Group(group_name, tuple(group)))
        sound = False
    return AddressList(tuple(entries), not sound, is_cut)


def _phrase(words: list[_Token]) -> bytes:
    """The words of a phrase with one space where blanks or comments stood; a dot in it is obs-phrase and common."""
    spaced = [b" " + word.octets if word.start > before.end else word.octets for before, word in pairwise(words)]
    return b"".join([words[0].octets, *spaced]) if words else b""


def _mailbox(entry: _Entry, value: bytes) -> tuple[Mailbox, bool]:
    raw = value[entry.start : entry.end]
    if entry.angle is None:
        local_part, domain, sound = _split_address(entry.words)
        name = entry.comment
        if not entry.has_at and (len(entry.words) > 1 or entry.words[0].kind == "quoted"):
            local_part, name = b"", _phrase(entry.words)  # somebody's name without an address
    else:
        tokens, sound = _without_route(entry.angle)
        local_part, domain, is_address = _split_address(tokens)
        sound = sound and is_address and entry.angle_closed and not entry.has_at
        name = _phrase(entry.words) or entry.comment
    mailbox = Mailbox(decode_words(name).strip(), None, raw, name, local_part, domain)
    try:
        if not sound:
            raise AddressSyntaxError("the address is malformed")
        address = Address(local_part.decode("utf-8"), normalise_domain(domain.decode("utf-8")))
    except (AddressSyntaxError, UnicodeDecodeError):
        return mailbox, False
    return replace(mailbox, address=address), True


def _without_route(tokens: list[_Token]) -> tuple[list[_Token], bool]:
    """The tokens after an obsolete source route. A route makes the entry malformed: readers differ about it (T-HDR-07)."""
    for number, token in enumerate(tokens):
        if token.kind == "special" and token.octets == b":":
            return tokens[number + 1 :], False
    return tokens, True


def _split_address(tokens: list[_Token]) -> tuple[bytes, bytes, bool]:
    """Local-part, domain, and whether these tokens are exactly one addr-spec."""
    at = [number for number, token in enumerate(tokens) if token.is_at]
    if not at:
        return b"".join(t.octets for t in tokens), b"", False
    left, right = tokens[: at[-1]], tokens[at[-1] + 1 :]
    sound = len(at) == 1 and _is_dotted(left) and (_is_dotted(right) or (len(right) == 1 and right[0].kind == "literal"))
    return b"".join(t.octets for t in left), b"".join(t.octets for t in right), sound


def _is_dotted(tokens: list[_Token]) -> bool:
    """Words with single dots between them; blanks around the dots are obsolete and harmless (RFC 5322 section 4.4)."""
    return len(tokens) % 2 == 1 and all(
        (token.kind in ("atom", "quoted") and token.is_sound)
        if number % 2 == 0
        else token.octets == b"." and token.kind == "special"
        for number, token in enumerate(tokens)
    )
