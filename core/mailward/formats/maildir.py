"""What a Maildir says of its messages beside their octets: flags in file names, the files in which Dovecot keeps the rest,
and one of ours for what Dovecot has in its configuration."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailward.formats.mailbox_names import SPECIAL_USES

UID_LIST = "dovecot-uidlist"
KEYWORDS = "dovecot-keywords"
SUBSCRIPTIONS = "subscriptions"
ORIGIN = "mailward-origin"
"""Ours. Maildir++ knows folders by the "." before their names, so other servers pass it over."""

MAX_LETTERS = 26
"""So many keywords have a letter."""

_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "P": "$Forwarded", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_FIRST = ord("a")
_DELIVERED_AT = re.compile(r"[0-9]{1,12}(?=\.)")
_UIDL = re.compile(r"[!-~]{1,70}")
"""RFC 1939 section 7."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """What the list says of one message. pop3_uidl: None where POP3 clients know it by its numbers."""

    uid: int
    pop3_uidl: str | None = None


@dataclass(frozen=True, slots=True)
class UidList:
    """A folder's numbers. messages: by the name of the file without its flags."""

    uidvalidity: int
    uidnext: int
    messages: Mapping[str, Numbered]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a Maildir was exported from. account: the id it has there. special_uses: mailbox -> "\\Sent" and so on (RFC 6154
    section 2), "" for none."""

    account: str
    special_uses: Mapping[str, str]


def base_of(name: str) -> str:
    """The name of a message's file without its flags: it stays as long as the message."""
    return name.partition(":2,")[0]


def flags_of(name: str, keywords: Mapping[str, str]) -> tuple[str, ...]:
    """The flags in the name of a file, those without a meaning left out. keywords: letter -> keyword."""
    letters = name.partition(":2,")[2].partition(",")[0]
    found = (_LETTERS.get(letter) or keywords.get(letter) for letter in letters)
    return tuple(dict.fromkeys(flag for flag in found if flag))


def letters_of(flags: Iterable[str], keywords: Sequence[str]) -> str:
    """The flags as they stand in the name of a file; those that have no letter are left out.

    $Forwarded may have two: P, as everybody writes it, and one among `keywords`, since Dovecot reads no P.
    """
    known: defaultdict[str, set[str]] = defaultdict(set)
    for letter, flag in _LETTERS.items():
        known[flag.casefold()].add(letter)
    for at, flag in enumerate(keywords[:MAX_LETTERS]):
        known[flag.casefold()].add(chr(_FIRST + at))
    return "".join(sorted(set[str]().union(*(known[flag.casefold()] for flag in flags))))


def delivered_at(name: str) -> int | None:
    """When the file got its name, in seconds since 1970 UTC; None where the name does not tell."""
    found = _DELIVERED_AT.match(name)
    return int(found[0]) if found else None


def read_keywords(text: str) -> dict[str, str]:
    """letter -> keyword."""
    found = {}
    for line in text.splitlines():
        number, _, keyword = line.partition(" ")
        if number.isdecimal() and int(number) < MAX_LETTERS and keyword:
            found[chr(_FIRST + int(number))] = keyword
    return found


def keywords_text(keywords: Sequence[str]) -> str:
    return "".join(f"{number} {keyword}\n" for number, keyword in enumerate(keywords[:MAX_LETTERS]))


def read_uid_list(text: str) -> UidList | None:
    """Of either form that Dovecot has written; None when it is neither. What cannot be read of it is passed over."""
    head, *lines = text.splitlines() or [""]
    version, *words = head.split() or [""]
    if version == "3":
        fields = {word[0]: word[1:] for word in words}
        numbers = [fields.get("V", ""), fields.get("N", "")]
    elif version == "1":
        numbers = words
    else:
        return None
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        return None
    messages = {}
    for line in lines:
        uid, _, rest = line.partition(" ")
        given, _, name = rest.partition(":") if version == "3" else ("", "", rest)
        uidl = next((word[1:] for word in given.split() if word[0] == "P" and _UIDL.fullmatch(word[1:])), None)
        if uid.isdecimal() and name:
            messages[base_of(name)] = Numbered(int(uid), uidl)
    return UidList(int(numbers[0]), int(numbers[1]), messages)


def uid_list_text(list: UidList, guid: str) -> str:
    """In the form that Dovecot writes today. guid: 32 hexadecimal digits, the folder's own."""
    lines = [f"3 V{list.uidvalidity} N{list.uidnext} G{guid}\n"]
    for base, numbered in sorted(list.messages.items(), key=lambda one: one[1].uid):
        uidl = f"P{numbered.pop3_uidl} " if numbered.pop3_uidl else ""
        lines.append(f"{numbered.uid} {uidl}:{base}\n")
    return "".join(lines)


def read_origin(text: str) -> Origin | None:
    """None when it is of no form that we have written. What cannot be read of it is passed over."""
    head, *lines = text.splitlines() or [""]
    version, _, account = head.partition(" ")
    if version != "1" or not account:
        return None
    words = (line.partition(" ") for line in lines)
    return Origin(account, {name: "" if use == "-" else use for use, _, name in words if name and use in ("-", *SPECIAL_USES)})


def origin_text(origin: Origin) -> str:
    """A line with the version and the account, and one a mailbox, whose name has no line ends: its use or "-", and the name."""
    return f"1 {origin.account}\n" + "".join(f"{use or '-'} {name}\n" for name, use in origin.special_uses.items())
