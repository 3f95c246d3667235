"""Mail in mbox files (RFC 4155): where each message lies, what its postmark and its status fields say, and how one is written.

Mail programs keep flags, UIDs and keywords in fields of the message: Status, X-Status, X-Keywords, X-UID, and in the first
message X-IMAPbase with the folder's numbers; Thunderbird in X-Mozilla-Status, X-Mozilla-Status2 (bits, as its nsMsgMessageFlags
numbers them) and X-Mozilla-Keys.
"""

import mmap
import re
from calendar import timegm
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from typing import Literal

Quoting = Literal["mboxrd", "mboxo"]
"""mboxrd: a ">" more before every line that is "From " behind any number of them. mboxo: only before "From " itself."""

_START = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]*\r?\n(?=[!-9;-~]+:)")
"""The line before a message: at the start or after an empty line, and a header follows."""


def message_spans(octets: bytes | mmap.mmap) -> list[tuple[int, int]]:
    """Begin and end of each message, without the line before it and the empty one behind; none when this is no mbox file."""
    if octets[:5] != b"From ":
        return []
    starts = [found.span() for found in _START.finditer(octets)]
    ends = [*(start for start, _ in starts[1:]), len(octets)][: len(starts)]
    return [(begin, _before_empty_line(octets, end)) for (_, begin), end in zip(starts, ends, strict=True)]


def _before_empty_line(octets: bytes | mmap.mmap, end: int) -> int:
    last = octets[max(0, end - 3) : end]
    if last.endswith(b"\n\n"):
        return end - 1
    return end - 2 if last == b"\n\r\n" else end


@dataclass(frozen=True, slots=True)
class Kept:
    """A message without its status fields. base: of X-IMAPbase, UIDVALIDITY and the last UID. uid: None without an X-UID.

    is_expunged: Thunderbird has deleted it, and will take it out of the file when it compacts the folder.
    """

    octets: bytes
    flags: tuple[str, ...] = ()
    uid: int | None = None
    base: tuple[int, int] | None = None
    is_expunged: bool = False


_STATUS = re.compile(
    rb"^(Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase):(.*\r\n(?:[ \t].*\r\n)*)", re.MULTILINE | re.IGNORECASE
)
_MARKS = {"status": {"R": "\\Seen"}, "x-status": {"A": "\\Answered", "F": "\\Flagged", "T": "\\Draft", "D": "\\Deleted"}}
_MOZILLA = re.compile(rb"\A(?:(?:X-Mozilla-[A-Za-z0-9]+|X-Account-Key|X-UIDL):.*\r\n(?:[ \t].*\r\n)*)+", re.IGNORECASE)
"""Thunderbird writes above all that came with the message; further down these fields are whatever its sender wrote."""
_MOZILLA_FIELD = re.compile(rb"^X-Mozilla-(Status2?|Keys):(.*\r\n(?:[ \t].*\r\n)*)", re.MULTILINE | re.IGNORECASE)
_MOZILLA_BITS = {
    0x1: "\\Seen",
    0x2: "\\Answered",
    0x4: "\\Flagged",
    0x1000: "$Forwarded",
    0x20_0000: "\\Deleted",
    0x80_0000: "$MDNSent",
}
_MOZILLA_EXPUNGED = 0x8
_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.*$")
_QUOTED = {"mboxrd": re.compile(rb"^>(?=>*From )", re.MULTILINE), "mboxo": re.compile(rb"^>(?=From )", re.MULTILINE)}
_TO_QUOTE = re.compile(rb"^(?=>*From )", re.MULTILINE)


def postmark_before(octets: bytes | mmap.mmap, begin: int) -> datetime | None:
    """The moment in the line before the message that begins here, UTC where it names no zone; None where it cannot be read."""
    line = octets[octets.rfind(b"\n", 0, begin - 1) + 1 : begin].decode("ascii", "replace").strip()
    found = _DATE.search(line)
    parsed = parsedate_tz(found[0]) if found else None
    if parsed is None:
        return None
    try:
        return datetime.fromtimestamp(mktime_tz(parsed) if parsed[9] is not None else timegm((*parsed[:6], 0, 0, 0)), UTC)
    except (ValueError, OverflowError):
        return None


def unquoted(octets: bytes, quoting: Quoting) -> bytes:
    """Lines that an mbox file had to quote, as they were."""
    return _QUOTED[quoting].sub(b"", octets)


def kept_of(octets: bytes) -> Kept:
    """Take the status fields away, and read them: the first of each, others came with the message. octets: CRLF line ends."""
    at = octets.find(b"\r\n\r\n")
    end = at + 2 if at >= 0 else len(octets)
    top = found[0] if (found := _MOZILLA.match(octets[:end])) else b""
    bits, keys = _mozilla(top)
    words: dict[str, list[str]] = {}

    def take(found: re.Match[bytes]) -> bytes:
        name = found[1].decode("ascii").lower()
        if name in words:
            return found[0]
        words[name] = found[2].decode("ascii", "replace").split()
        return b""

    header = _STATUS.sub(take, _MOZILLA_FIELD.sub(b"", top) + octets[len(top) : end])
    flags = [flag for bit, flag in _MOZILLA_BITS.items() if bits & bit]
    flags += [flag for name, by in _MARKS.items() for letter, flag in by.items() if letter in "".join(words.get(name, []))]
    base = words.get("x-imapbase") or words.get("x-imap") or []
    uid = (words.get("x-uid") or [""])[0]
    return Kept(
        header + octets[end:],
        tuple(dict.fromkeys([*flags, *keys, *words.get("x-keywords", [])])),
        int(uid) if uid.isdecimal() else None,
        (int(base[0]), int(base[1])) if len(base) >= 2 and base[0].isdecimal() and base[1].isdecimal() else None,
        bool(bits & _MOZILLA_EXPUNGED),
    )


def _mozilla(top: bytes) -> tuple[int, list[str]]:
    """The bits of both fields together, and the keywords."""
    bits, keys = 0, list[str]()
    for name, value in _MOZILLA_FIELD.findall(top):
        words = value.decode("ascii", "replace").split()
        if name.lower() == b"keys":
            keys += words
        elif words and re.fullmatch("[0-9A-Fa-f]{1,8}", words[0]):
            bits |= int(words[0], 16)
    return bits, keys


def written(kept: Kept, reverse_path: str, at: datetime) -> bytes:
    """One message as it stands in an mbox file (mboxrd), with LF line ends. reverse_path: "" for the null one. at: aware."""
    marks = {key: "".join(letter for letter, flag in by.items() if flag in kept.flags) for key, by in _MARKS.items()}
    keywords = [flag for flag in kept.flags if not flag.startswith("\\")]
    fields = []
    if kept.base is not None:
        fields.append(f"X-IMAPbase: {kept.base[0]} {kept.base[1]}")
    if kept.uid is not None:
        fields.append(f"X-UID: {kept.uid}")
    fields += [f"Status: {marks['status']}O", f"X-Status: {marks['x-status']}", f"X-Keywords: {' '.join(keywords)}"]
    postmark = f"From {reverse_path or 'MAILER-DAEMON'} {at.astimezone(UTC):%a %b %d %H:%M:%S %Y}\n"
    header = "".join(f"{line}\n" for line in fields).encode("ascii")
    body = _TO_QUOTE.sub(b">", kept.octets.replace(b"\r\n", b"\n"))
    return postmark.encode("ascii", "replace") + header + body + (b"\n" if body.endswith(b"\n") else b"\n\n")
