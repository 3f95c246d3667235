"""How does IMAP describe a message? ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2, RFC 3501 section 7.4.2).

What is made here is stored at delivery and sent as it stands, so it is 7-bit (UTF-8 in a header is written as encoded-words; but
see `utf8_envelope`), always of the grammar, and complete: no encoding, parameter value or boundary is ever NIL, every multipart
has a part.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from mailward.formats.continuations import Received, in_ascii, joined
from mailward.formats.mailboxes import Group, Mailbox
from mailward.formats.message import MessageView
from mailward.formats.octets import Octets
from mailward.formats.parameters import strip_comments
from mailward.formats.part import PartView
from mailward.formats.words import decode_words, encode_words

_NIL = b"NIL"
_QUOTABLE = re.compile(rb"[\x20-\x7e]{0,1000}")
_QUOTABLE_UTF8 = re.compile(rb"[^\x00-\x1f\x7f]{0,1000}")
_LANGUAGE = re.compile(rb"[A-Za-z0-9-]+")
_COUNTED_OCTETS = 1024 * 1024


Write = Callable[[bytes], bytes]
"""Octets of a field as an IMAP string."""


def envelope(view: MessageView) -> bytes:
    """The parenthesised ENVELOPE of the message."""
    return _envelope(view.root)


def utf8_envelope(view: MessageView) -> bytes:
    """The same with UTF-8 as it stands in the message, for who has enabled UTF8=ACCEPT or IMAP4rev2."""
    return _envelope(view.root, _utf8_string)


def bodystructure(view: MessageView) -> bytes:
    """The parenthesised BODYSTRUCTURE of the message, with all extension data."""
    return structures(view)[1]


def body(view: MessageView) -> bytes:
    """The parenthesised BODY of the message: BODYSTRUCTURE without extension data."""
    return structures(view)[0]


def structures(view: MessageView) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE. Children first, by a walk in reverse order instead of recursion."""
    parts = list(view.root.walk())
    lines = _lines_of(view.octets, parts)
    made: dict[PartView, tuple[bytes, bytes]] = {}
    for part in reversed(parts):
        children = [made.pop(child) for child in part.children]
        plain, extended = [child[0] for child in children], [child[1] for child in children]
        extension = b" " + b" ".join(_extension(part))
        if part.is_multipart:
            start = b" " + string(part.content_type.partition("/")[2].encode("latin-1"))
            parameters = b" " + _parameters(part.type_octets)
            made[part] = (
                b"(" + b"".join(plain) + start + b")",
                b"(" + b"".join(extended) + start + parameters + extension + b")",
            )
        else:
            basic, md5 = _basic(part), b" " + _field_string(part, "Content-MD5")
            # RFC 9051 section 9: media-text and media-message are followed by body-fld-lines.
            end = b" %d" % lines[part] if part in lines else b""
            about = b" " + _envelope(part.children[0]) + b" " if children else b""
            made[part] = (
                b"(" + basic + about + b"".join(plain) + end + b")",
                b"(" + basic + about + b"".join(extended) + end + md5 + extension + b")",
            )
    return made[view.root]


def string(octets: bytes) -> bytes:
    """An IMAP string: quoted where that is possible, else a literal, which may be 8-bit where the item says so. No NUL."""
    return _string(octets, _QUOTABLE)


def utf8_string(octets: bytes) -> bytes:
    """The same of valid UTF-8 (RFC 9755 section 3)."""
    return _string(octets, _QUOTABLE_UTF8)


def _string(octets: bytes, quotable: re.Pattern[bytes]) -> bytes:
    if quotable.fullmatch(octets):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(octets), octets)


def seven_bit(octets: bytes) -> bytes:
    """The octets without line ends and NULs; what is not ASCII as encoded-words, since IMAP without UTF8=ACCEPT is 7-bit."""
    octets = octets.translate(None, b"\r\n\0")
    if octets.isascii():
        return octets
    return " ".join(encode_words(decode_words(octets))).encode("ascii")


def _ascii_string(octets: bytes) -> bytes:
    return string(seven_bit(octets))


def _utf8_string(octets: bytes) -> bytes:
    """What is not UTF-8 either stays 7-bit."""
    octets = octets.translate(None, b"\r\n\0")
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return _ascii_string(octets)
    return utf8_string(octets)


def _field_string(part: PartView, name: str, write: Write = _ascii_string) -> bytes:
    found = part.field(name)
    return _NIL if found is None else write(found.value)


def _envelope(part: PartView, write: Write = _ascii_string) -> bytes:
    lists = {name: _addresses(part, name, write) for name in ("From", "Sender", "Reply-To", "To", "Cc", "Bcc")}
    # RFC 9051 section 7.5.2: an absent or empty Sender or Reply-To is the From.
    for name in ("Sender", "Reply-To"):
        lists[name] = lists["From"] if lists[name] == _NIL else lists[name]
    date, subject, reply, message = (
        _field_string(part, name, write) for name in ("Date", "Subject", "In-Reply-To", "Message-ID")
    )
    return b"(" + b" ".join([date, subject, *lists.values(), reply, message]) + b")"


def _addresses(part: PartView, name: str, write: Write) -> bytes:
    """All fields of the name are one list (RFC 5322 section 4.5.3), so that no author is out of sight (T-HDR-01)."""
    entries = (entry for field in part.all(name) for entry in field.addresses.entries)
    written = b"".join(_group(entry, write) if isinstance(entry, Group) else _address(entry, write) for entry in entries)
    return b"(" + written + b")" if written else _NIL


def _group(group: Group, write: Write) -> bytes:
    start = b"(NIL NIL " + write(group.name_octets) + b" NIL)"
    return start + b"".join(_address(mailbox, write) for mailbox in group.mailboxes) + b"(NIL NIL NIL NIL)"


def _address(mailbox: Mailbox, write: Write) -> bytes:
    # A NIL mailbox or host name would say "group" (RFC 9051 section 7.5.2), so an address that lacks one gets "".
    name = write(mailbox.name_octets) if mailbox.name_octets else _NIL
    local_part, domain = write(mailbox.local_part_octets), write(mailbox.domain_octets)
    return b"(" + b" ".join((name, _NIL, local_part, domain)) + b")"


def _lines_of(octets: Octets, parts: Iterable[PartView]) -> Mapping[PartView, int]:
    """How many line ends the body of each text and message has. Each octet is looked at once, however deep messages nest."""
    counted = [part for part in parts if part.is_message or part.content_type.startswith("text/")]
    offsets = sorted({offset for part in counted for offset in (part.body_start, part.end)})
    before: dict[int, int] = {}
    at, lines = next(iter(offsets), 0), 0
    for offset in offsets:
        while at < offset:
            stop = min(offset, at + _COUNTED_OCTETS)
            lines += octets[at:stop].count(b"\n")
            at = stop
        before[offset] = lines
    return {part: before[part.end] - before[part.body_start] for part in counted}


def _basic(part: PartView) -> bytes:
    """What the description of every leaf and attached message begins with."""
    main_type, _, subtype = part.content_type.partition("/")
    fields = (
        string(main_type.encode("latin-1")),
        string(subtype.encode("latin-1")),
        _parameters(_with_charset(part)),
        _field_string(part, "Content-ID"),
        _field_string(part, "Content-Description"),
        string(part.encoding.upper().encode("ascii")),
        b"%d" % part.size_octets,
    )
    return b" ".join(fields)


def _with_charset(part: PartView) -> Received:
    """The parameters as received; text that names no charset has the one of RFC 2045 section 5.2."""
    if part.content_type.startswith("text/") and "charset" not in part.parameters:
        return (*part.type_octets, (b"charset", b"us-ascii"))
    return part.type_octets


def _parameters(received: Received) -> bytes:
    pairs = [string(seven_bit(name)) + b" " + string(value) for name, value in map(in_ascii, joined(received)) if name]
    return b"(" + b" ".join(pairs) + b")" if pairs else _NIL


def _extension(part: PartView) -> tuple[bytes, bytes, bytes]:
    """Disposition, language and location: what follows in the extension data of every kind of part."""
    disposition = _NIL
    if part.disposition:
        kind = string(seven_bit(part.disposition.encode("latin-1")))
        disposition = b"(" + kind + b" " + _parameters(part.disposition_octets) + b")"
    language = _NIL
    found = part.field("Content-Language")
    if found is not None and (tags := _LANGUAGE.findall(strip_comments(found.value))):
        language = b"(" + b" ".join(map(string, tags)) + b")"
    return disposition, language, _field_string(part, "Content-Location")
