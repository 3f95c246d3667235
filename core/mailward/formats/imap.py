"""How does IMAP describe and cut a message? ENVELOPE, BODY, BODYSTRUCTURE and sections (RFC 9051 section 7.5.2, RFC 3501).

What is made here is stored at delivery and sent as it stands, so it is 7-bit (UTF-8 in a header is written as encoded-words),
always of the grammar, and complete: no encoding, parameter value or boundary is ever NIL, every multipart has a part.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from mailward.formats.header import FieldView, first_field, split_header
from mailward.formats.mailboxes import AddressList, Group, Mailbox, read_address_list
from mailward.formats.message import MessageView
from mailward.formats.parameters import strip_comments
from mailward.formats.part import PartView
from mailward.formats.words import decode_words, encode_words

SectionKind = Literal["", "HEADER", "TEXT", "MIME", "HEADER.FIELDS", "HEADER.FIELDS.NOT"]

_NIL = b"NIL"
_QUOTABLE = re.compile(rb"[\x20-\x7e]{0,1000}")
_LANGUAGE = re.compile(rb"[A-Za-z0-9-]+")


def envelope(view: MessageView) -> bytes:
    """The parenthesised ENVELOPE of the message."""
    return _envelope(view.fields)


def bodystructure(view: MessageView) -> bytes:
    """The parenthesised BODYSTRUCTURE of the message, with all extension data."""
    return _structure(view.root, extended=True)


def body(view: MessageView) -> bytes:
    """The parenthesised BODY of the message: BODYSTRUCTURE without extension data."""
    return _structure(view.root, extended=False)


def section(view: MessageView, path: Sequence[int], kind: SectionKind, names: Iterable[str] = ()) -> bytes:
    """The octets of BODY[path.kind]; b"" for what the message does not have (RFC 9051 section 6.4.5).

    path: part numbers counted from 1, () for the message itself. names: field names for the two kinds that take some.
    """
    part = _part_at(view.root, path)
    if part is None:
        return b""
    if not path:
        whole, header, text = bytes(view.octets) if kind == "" else b"", part.header_octets, part.body_octets
    elif kind == "MIME":
        return part.header_octets
    elif kind == "":
        return part.body_octets
    elif part.is_message:
        whole, header, text = b"", part.children[0].header_octets, part.children[0].body_octets
    else:
        return b""
    if kind in ("", "MIME"):
        return whole
    if kind == "TEXT":
        return text
    return header if kind == "HEADER" else _some_fields(header, names, wanted=kind == "HEADER.FIELDS")


def _part_at(root: PartView, path: Sequence[int]) -> PartView | None:
    """The part with this number. The numbers below a message/rfc822 are those of the message in it."""
    part = root
    for place, number in enumerate(path):
        holder = part.children[0] if place and part.is_message else part
        if holder.is_multipart:
            if not 1 <= number <= len(holder.children):
                return None
            part = holder.children[number - 1]
        elif number == 1 and (place == 0 or part.is_message):
            part = holder
        else:
            return None
    return part


def _some_fields(header: bytes, names: Iterable[str], *, wanted: bool) -> bytes:
    listed = {name.lower() for name in names}
    fields, empty_line = split_header(header)
    chosen = [raw for raw in fields if (FieldView.of(raw).name.lower() in listed) == wanted]
    return b"".join(chosen) + (empty_line or b"\r\n")


def string(octets: bytes) -> bytes:
    """An IMAP string: quoted where that is possible, else a literal. The octets have to be 7-bit without NUL."""
    if _QUOTABLE.fullmatch(octets):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(octets), octets)


def seven_bit(octets: bytes) -> bytes:
    """The octets without line ends and NULs; what is not ASCII as encoded-words, since IMAP without UTF8=ACCEPT is 7-bit."""
    octets = octets.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    if octets.isascii():
        return octets
    return " ".join(encode_words(decode_words(octets))).encode("ascii")


def _field_string(fields: Sequence[FieldView], name: str) -> bytes:
    found = first_field(fields, name)
    return _NIL if found is None else string(seven_bit(found.value))


def _envelope(fields: Sequence[FieldView]) -> bytes:
    lists = {name: _addresses(fields, name) for name in ("From", "Sender", "Reply-To", "To", "Cc", "Bcc")}
    # RFC 9051 section 7.5.2: an absent or empty Sender or Reply-To is the From.
    for name in ("Sender", "Reply-To"):
        lists[name] = lists["From"] if lists[name] == _NIL else lists[name]
    parts = [_field_string(fields, "Date"), _field_string(fields, "Subject"), *lists.values()]
    return b"(" + b" ".join([*parts, _field_string(fields, "In-Reply-To"), _field_string(fields, "Message-ID")]) + b")"


def _addresses(fields: Sequence[FieldView], name: str) -> bytes:
    found = first_field(fields, name)
    listed = read_address_list(found.value) if found else AddressList(())
    written = b"".join(_group(entry) if isinstance(entry, Group) else _address(entry) for entry in listed.entries)
    return b"(" + written + b")" if written else _NIL


def _group(group: Group) -> bytes:
    start = b"(NIL NIL " + string(seven_bit(group.name_octets)) + b" NIL)"
    return start + b"".join(map(_address, group.mailboxes)) + b"(NIL NIL NIL NIL)"


def _address(mailbox: Mailbox) -> bytes:
    # A NIL mailbox or host name would say "group" (RFC 9051 section 7.5.2), so an address that lacks one gets "".
    name = string(seven_bit(mailbox.name_octets)) if mailbox.name_octets else _NIL
    local_part, domain = string(seven_bit(mailbox.local_part_octets)), string(seven_bit(mailbox.domain_octets))
    return b"(" + b" ".join((name, _NIL, local_part, domain)) + b")"


def _structure(part: PartView, *, extended: bool) -> bytes:
    """Children first, by a walk in reverse order instead of recursion."""
    made: dict[PartView, bytes] = {}
    for each in reversed(list(part.walk())):
        children = [made.pop(child) for child in each.children]
        made[each] = _multipart(each, children, extended) if each.is_multipart else _single(each, children, extended)
    return made[part]


def _multipart(part: PartView, children: list[bytes], extended: bool) -> bytes:
    subtype = string(part.content_type.partition("/")[2].encode("latin-1"))
    extension = b" " + b" ".join((_parameters(part.type_octets), *_extension(part))) if extended else b""
    return b"(" + b"".join(children) + b" " + subtype + extension + b")"


def _single(part: PartView, children: list[bytes], extended: bool) -> bytes:
    main_type, _, subtype = part.content_type.partition("/")
    fields = [
        string(main_type.encode("latin-1")),
        string(subtype.encode("latin-1")),
        _parameters(_with_charset(part)),
        _field_string(part.fields, "Content-ID"),
        _field_string(part.fields, "Content-Description"),
        string(part.encoding.upper().encode("ascii")),
        b"%d" % part.size_octets,
    ]
    if part.is_message:
        fields += [_envelope(part.children[0].fields), children[0]]
    if part.is_message or main_type == "text":
        fields.append(b"%d" % part.body_octets.count(b"\n"))
    if extended:
        fields += [_field_string(part.fields, "Content-MD5"), *_extension(part)]
    return b"(" + b" ".join(fields) + b")"


def _with_charset(part: PartView) -> tuple[tuple[bytes, bytes], ...]:
    """The parameters as received; text that names no charset has the one of RFC 2045 section 5.2."""
    if part.content_type.startswith("text/") and "charset" not in part.parameters:
        return (*part.type_octets, (b"charset", b"us-ascii"))
    return part.type_octets


def _parameters(received: Iterable[tuple[bytes, bytes]]) -> bytes:
    pairs = [string(seven_bit(name)) + b" " + string(seven_bit(value)) for name, value in received if name]
    return b"(" + b" ".join(pairs) + b")" if pairs else _NIL


def _extension(part: PartView) -> tuple[bytes, bytes, bytes]:
    """Disposition, language and location: what follows in the extension data of every kind of part."""
    disposition = _NIL
    if part.disposition:
        disposition = (
            b"(" + string(seven_bit(part.disposition.encode("latin-1"))) + b" " + _parameters(part.disposition_octets) + b")"
        )
    language = _NIL
    found = part.field("Content-Language")
    if found is not None and (tags := _LANGUAGE.findall(strip_comments(found.value))):
        language = b"(" + b" ".join(map(string, tags)) + b")"
    return disposition, language, _field_string(part.fields, "Content-Location")
