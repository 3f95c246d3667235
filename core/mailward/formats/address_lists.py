"""Reads an address list of a header field (RFC 5322 sections 3.4 and 4.4; RFC 6532 section 3.2; RFC 2047 section 5).

Lists as nearly all mail has them are read by one pattern; everything else by one linear pass over tokens, no recursion, with a
budget. What is not exactly the grammar is still read as well as possible, but marked malformed, since others may read it
differently: whom they could find is told by `any_reader`. Encoded-words are decoded in display names, never in addresses.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise

from mailward.formats.budgets import FIELD_OCTETS, MAILBOXES
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.lexical import Token, tokens
from mailward.formats.mailboxes import AddressList, Group, Mailbox
from mailward.model.address import Address

_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_DOT_ATOM = rb"%b(?:\.%b)*" % (_ATEXT, _ATEXT)
_PLAIN = re.compile(
    rb"""[ \t]*+(?:
        (?:"([^"\\<>@\x00-\x1f\x7f]*+)"|([A-Za-z0-9!#$%%&'*+/=?^_`{|}~\x80-\xff-][A-Za-z0-9!#$%%&'*+/=?^_`{|}~\x80-\xff. \t-]*+)?)
        [ \t]*+<(%b)@([A-Za-z0-9.-]++)>
        |(%b)@([A-Za-z0-9.-]++)
    )[ \t]*+(?:,|\Z)"""
    % (_DOT_ATOM, _DOT_ATOM),
    re.VERBOSE,
)
"""One mailbox and the comma behind it: a phrase or nothing, and an addr-spec of ASCII atoms, without comments and folding."""
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


def read_address_list(value: bytes) -> AddressList:
    """Everything in an unfolded address list: mailboxes, groups, and whether it kept to the grammar. Never raises."""
    return _read_plain(value) or _Reading(value[:FIELD_OCTETS]).result(is_cut=len(value) > FIELD_OCTETS)


def _read_plain(value: bytes) -> AddressList | None:
    """The list when every entry is as plain as the pattern, else None."""
    mailboxes: list[Mailbox | Group] = []
    position, size = 0, len(value)
    if size > FIELD_OCTETS:
        return None
    while position < size:
        if (found := _PLAIN.match(value, position)) is None:
            return None
        quoted, phrase, local_part, domain, bare_local_part, bare_domain = found.groups()
        name = b""
        if bare_domain is not None:
            local_part, domain = bare_local_part, bare_domain
        elif quoted is not None:
            name = quoted
        elif phrase is not None:
            name = b" ".join(phrase.split())
        try:
            address = Address(local_part.decode("ascii"), normalise_domain(domain.decode("ascii")))
        except AddressSyntaxError:
            return None
        mailboxes.append(Mailbox(address, found.group().strip(b" \t,"), name, local_part, domain))
        position = found.end()
        if len(mailboxes) == MAILBOXES:
            break
    return AddressList(tuple(mailboxes), False, position < size, value)


@dataclass(slots=True)
class _Entry:
    """What was read since the last comma: words before an angle bracket, and what stood inside it."""

    words: list[Token] = field(default_factory=list)
    angle: list[Token] | None = None
    is_closed: bool = False
    comment: bytes = b""
    has_at: bool = False
    start: int = 0
    end: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.words and self.angle is None

    @property
    def is_in_route(self) -> bool:
        """Inside angle brackets with an obsolete route, where a comma or a colon ends nothing (RFC 5322 section 4.4)."""
        return self.angle is not None and not self.is_closed and bool(self.angle) and self.angle[0].is_special(b"@")

    def add(self, token: Token) -> bool:
        """Take one token that is no separator; False when the grammar has no place for it here."""
        if token.kind == "blank":
            return True
        self.start = token.start if self.end == 0 else self.start
        self.end = token.end
        if token.kind == "comment":
            self.comment = token.octets
            return token.is_sound
        if token.is_special(b"<"):
            if self.angle is not None:
                return False
            self.angle = []
            return True
        if token.is_special(b">"):
            was_open, self.is_closed = self.angle is not None and not self.is_closed, True
            return was_open
        if self.angle is None:
            self.words.append(token)
            self.has_at = self.has_at or token.is_special(b"@")
            return token.is_sound
        if self.is_closed:
            return False
        self.angle.append(token)
        return token.is_sound


class _Reading:
    """One list on its way through the tokens."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._entries: list[Mailbox | Group] = []
        self._group: list[Mailbox] | None = None
        self._group_name = b""
        self._after_group = False
        self._sound = True
        self._count = 0
        self._entry = _Entry()

    def result(self, *, is_cut: bool) -> AddressList:
        for token in tokens(self._value):
            if self._count >= MAILBOXES and token.kind != "blank" and token.octets not in (b",", b";"):
                is_cut = True
                break
            self._take(token)
        self._close_entry()
        if self._group is not None:
            self._close_group(self._group)
            self._sound = False
        return AddressList(tuple(self._entries), not self._sound, is_cut, self._value)

    def _take(self, token: Token) -> None:
        entry = self._entry
        separator = b"" if token.kind != "special" or entry.is_in_route else token.octets
        if separator == b",":
            self._close_entry()
            self._after_group = False
        elif separator == b";" and self._group is not None:
            self._close_entry()
            self._close_group(self._group)
        elif separator == b":" and self._group is None and entry.angle is None and not entry.has_at:
            self._group_name, is_sound = _phrase(entry.words)
            self._sound = self._sound and is_sound and bool(entry.words)
            self._group, self._entry = [], _Entry()
        else:
            is_sound = entry.add(token)
            # RFC 5322 section 3.4: only a comma may follow the semicolon of a group.
            self._sound = self._sound and is_sound and (not self._after_group or entry.is_empty)

    def _close_entry(self) -> None:
        if not self._entry.is_empty:
            mailbox, is_sound = _mailbox(self._entry, self._value)
            (self._entries if self._group is None else self._group).append(mailbox)
            self._sound, self._count = self._sound and is_sound, self._count + 1
        self._entry = _Entry()

    def _close_group(self, group: list[Mailbox]) -> None:
        self._entries.append(Group(self._group_name, tuple(group)))
        self._group, self._after_group, self._count = None, True, self._count + (not group)


def _phrase(words: list[Token]) -> tuple[bytes, bool]:
    """The words with one space where blanks or comments stood, and whether they are a phrase: obs-phrase may hold dots."""
    spaced = [b" " + word.octets if word.start > before.end else word.octets for before, word in pairwise(words)]
    text = b"".join([words[0].octets, *spaced]) if words else b""
    is_sound = all(word.kind in ("atom", "quoted") or word.is_special(b".") for word in words)
    return text, is_sound and not (words and words[0].is_special(b"."))


def _mailbox(entry: _Entry, value: bytes) -> tuple[Mailbox, bool]:
    raw = value[entry.start : entry.end]
    is_phrase = True
    if entry.angle is None:
        local_part, domain, is_address = _split_address(entry.words)
        name = entry.comment
        if not entry.has_at and (len(entry.words) > 1 or entry.words[0].kind == "quoted"):
            local_part, name = b"", _phrase(entry.words)[0]  # somebody's name without an address
    else:
        in_angle, has_route = _without_route(entry.angle)
        local_part, domain, is_address = _split_address(in_angle)
        phrase, is_phrase = _phrase(entry.words)
        # A route makes it malformed though RFC 5322 section 4.4 still allows one: readers differ about it (T-HDR-07).
        is_address = is_address and entry.is_closed and not has_route
        name = phrase or entry.comment
    address = _address(local_part, domain) if is_address else None
    return Mailbox(address, raw, name, local_part, domain), is_phrase and address is not None


def _address(local_part: bytes, domain: bytes) -> Address | None:
    if _CONTROL.search(local_part):
        return None
    try:
        return Address(local_part.decode("utf-8"), normalise_domain(domain.decode("utf-8")))
    except (AddressSyntaxError, UnicodeDecodeError):
        return None


def _without_route(in_angle: list[Token]) -> tuple[list[Token], bool]:
    """The tokens after an obsolete source route, and whether there was one."""
    for number, token in enumerate(in_angle):
        if token.is_special(b":"):
            return in_angle[number + 1 :], True
    return in_angle, False


def _split_address(words: list[Token]) -> tuple[bytes, bytes, bool]:
    """Local-part, domain, and whether these tokens are exactly one addr-spec."""
    at = [number for number, token in enumerate(words) if token.is_special(b"@")]
    if not at:
        return b"".join(t.octets for t in words), b"", False
    left, right = words[: at[-1]], words[at[-1] + 1 :]
    is_domain = _is_dotted(right, ("atom",)) or (len(right) == 1 and right[0].kind == "literal")
    is_sound = len(at) == 1 and _is_dotted(left, ("atom", "quoted")) and is_domain
    return b"".join(t.octets for t in left), b"".join(t.octets for t in right), is_sound


def _is_dotted(words: list[Token], kinds: tuple[str, ...]) -> bool:
    """Words with single dots between them; blanks around the dots are obsolete and harmless (RFC 5322 section 4.4)."""
    return len(words) % 2 == 1 and all(
        word.kind in kinds if number % 2 == 0 else word.is_special(b".") for number, word in enumerate(words)
    )
