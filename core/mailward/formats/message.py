"""One message, one reading: the view of a message that filters, IMAP and delivery share.

Everything is made from the octets at first use and kept; nothing raises on content. Budgets end a reading early and ambiguity
is never guessed away silently: both leave a name in `anomalies`, about which a policy can decide (T-HDR, T-MIME).
"""

import mmap
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mailward.formats.header import FieldView, Octets, header_end, split_header
from mailward.formats.html import html_to_text
from mailward.formats.mailboxes import AddressList, Mailbox, read_address_list
from mailward.formats.mime import index_parts
from mailward.formats.part import PartView

__all__ = ["FieldView", "Mailbox", "MessageView", "PartView", "TextPart"]

MAX_HEADER_OCTETS = 256 * 1024
MAX_FIELD_OCTETS = 64 * 1024
MAX_FIELDS = 1000

SINGLETONS = (
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
)
"""RFC 5322 section 3.6: at most one of each; the fields of MIME are looked at in every part."""
_SCAN_OCTETS = 1024 * 1024
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_DOMAIN_AFTER_AT = re.compile(rb"@([A-Za-z0-9.\-\x80-\xff]+)")
_AFTER_EXTENSION = "." + "".join(
    map(chr, [*range(33), 127, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
)
"""Dots, blanks, controls and invisible characters at the end of a name, which file systems or displays drop."""
_EXTENSION = re.compile(r"[\s.\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]+$")
_EXTENSION = re.compile(r"\.([A-Za-z0-9_-]{1,20})$")


@dataclass(frozen=True, eq=False)
class TextPart:
    """A part that people read: `text` is plain, made from HTML where the part is HTML."""

    part: PartView

    @cached_property
    def text(self) -> str:
        return html_to_text(self.part.text) if self.part.content_type == "text/html" else self.part.text


class MessageView:
    """A message as received: bytes, or a file mapped into memory; other buffers are copied."""

    def __init__(self, octets: Octets | memoryview | bytearray) -> None:
        self._octets: Octets = octets if isinstance(octets, bytes | mmap.mmap) else bytes(octets)

    @property
    def octets(self) -> Octets:
        """The message as received."""
        return self._octets

    @property
    def size_octets(self) -> int:
        return len(self._octets)

    @cached_property
    def _body_start(self) -> int:
        return header_end(self.octets)

    @cached_property
    def header_octets(self) -> bytes:
        """The header block, its empty line included; the whole message when there is no empty line."""
        return bytes(self.octets[: self._body_start])

    @property
    def body_octets(self) -> bytes:
        """What follows the empty line, as received."""
        return bytes(self.octets[self._body_start :])

    @cached_property
    def _raw_fields(self) -> list[bytes]:
        return split_header(self.header_octets[:MAX_HEADER_OCTETS])[0]

    @cached_property
    def fields(self) -> tuple[FieldView, ...]:
        """The header fields in order, at most 1,000 and of the first 256 KiB."""
        return tuple(FieldView.of(raw) for raw in self._raw_fields[:MAX_FIELDS])

    @cached_property
    def _fields_by_name(self) -> dict[str, tuple[FieldView, ...]]:
        found: dict[str, tuple[FieldView, ...]] = {}
        for field in self.fields:
            name = field.name.lower()
            found[name] = (*found.get(name, ()), field)
        return found

    def field(self, name: str) -> FieldView | None:
        """The first field of this name, compared without case; None when there is none."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[FieldView, ...]:
        """Every field of this name in order, compared without case."""
        return self._fields_by_name.get(name.lower(), ())

    @property
    def subject(self) -> str:
        """The Subject for people, "" when there is none."""
        found = self.field("Subject")
        return found.text if found else ""

    @property
    def message_id(self) -> str:
        """The Message-ID with its angle brackets, "" when there is none. Opaque: two messages may share it."""
        found = self.field("Message-ID")
        if found is None:
            return ""
        msg_id = _MESSAGE_ID.search(found.text)
        return msg_id.group() if msg_id else found.text

    def addresses(self, name: str) -> AddressList:
        """The address list of the first field of this name, groups kept; empty when there is none."""
        found = self.field(name)
        return read_address_list(found.value) if found else AddressList(())

    @cached_property
    def _from_lists(self) -> tuple[AddressList, ...]:
        return tuple(read_address_list(field.value) for field in self.all("From"))

    @property
    def authors(self) -> tuple[Mailbox, ...]:
        """The mailboxes of From; of every From when there are several, for no reader may be trusted to take one of them."""
        return tuple(mailbox for addresses in self._from_lists for mailbox in addresses.mailboxes)

    @cached_property
    def recipients_in_header(self) -> tuple[Mailbox, ...]:
        """The mailboxes of To and Cc."""
        fields = (*self.all("To"), *self.all("Cc"))
        return tuple(mailbox for field in fields for mailbox in read_address_list(field.value).mailboxes)

    @cached_property
    def _index(self) -> tuple[PartView, frozenset[str]]:
        return index_parts(self.octets, self.fields, self._body_start)

    @property
    def root(self) -> PartView:
        """The message as a part: its body is the body of the message."""
        return self._index[0]

    def parts(self) -> Iterator[PartView]:
        """Every part depth first, the root first, attached messages opened."""
        return self.root.walk()

    @cached_property
    def _texts(self) -> tuple[TextPart, ...]:
        return tuple(TextPart(part) for part in self.parts() if part.content_type in ("text/plain", "text/html"))

    def texts(self) -> Iterator[TextPart]:
        """The text/plain and text/html parts, whatever their disposition; clients show attached text too."""
        return iter(self._texts)

    def attachments(self) -> Iterator[PartView]:
        """The parts that a client would offer to save: neither multipart nor plain reading text."""
        return (part for part in self.parts() if is_attachment(part))

    @cached_property
    def attachment_types(self) -> tuple[str, ...]:
        """Extensions of every name an attachment might be shown with, and its media type, lower case, sorted."""
        found = set()
        for part in self.attachments():
            found.add(part.content_type)
            found |= {extension for name in part.filenames if (extension := extension_of(name))}
        return tuple(sorted(found))

    @cached_property
    def anomalies(self) -> tuple[str, ...]:
        """The names of everything about which two readers of this message could differ, sorted."""
        root, structure = self._index
        found = set(structure) | _line_anomalies(self.octets) | self._header_anomalies() | self._author_anomalies()
        for part in root.walk():
            found |= part.problems
        return tuple(sorted(found))

    def _header_anomalies(self) -> set[str]:
        found = set()
        if len(self.header_octets) > MAX_HEADER_OCTETS:
            found.add("HEADER_BLOCK_TOO_BIG")
        if any(len(raw) > MAX_FIELD_OCTETS for raw in self._raw_fields):
            found.add("FIELD_TOO_BIG")
        if len(self._raw_fields) > MAX_FIELDS:
            found.add("TOO_MANY_FIELDS")
        if not self.header_octets.isascii():
            found.add("HEADER_8BIT")
        if self.fields and self.fields[0].raw[:1] in (b" ", b"\t"):
            # Whatever is put above it would swallow this line.
            found.add("LEADING_CONTINUATION")
        counts = Counter(field.name.lower() for field in self.fields)
        return found | {f"DUPLICATE_{name.upper().replace('-', '_')}" for name in SINGLETONS if counts[name.lower()] > 1}

    def _author_anomalies(self) -> set[str]:
        found = set()
        domains = {mailbox.address.domain for mailbox in self.authors if mailbox.address}
        if not self.authors:
            found.add("MISSING_FROM")
        if any(addresses.is_malformed for addresses in self._from_lists) or any(f.is_malformed for f in self.all("From")):
            found.add("MALFORMED_FROM")
            # Another reader may find any of these; encoded-words and quotes do not hide them (T-HDR-07).
            domains |= {d.decode("latin-1").lower() for field in self.all("From") for d in _DOMAIN_AFTER_AT.findall(field.value)}
        if len(domains) > 1:
            found.add("MULTIPLE_FROM_DOMAINS")
        if any(addresses.is_cut for addresses in self._from_lists):
            found.add("TOO_MANY_ADDRESSES")
        return found


def is_attachment(part: PartView) -> bool:
    """A leaf or an attached message that is not simply text to be read."""
    if part.is_multipart:
        return False
    is_text = part.content_type in ("text/plain", "text/html") and part.disposition != "attachment" and part.filename is None
    return not is_text


def extension_of(filename: str) -> str:
    """The extension that would count when the file is opened, in lower case; "" when there is none (T-MIME-24)."""
    name = filename.partition("::")[0].rstrip(_AFTER_EXTENSION)
    found = _EXTENSION.search(name)
    return found.group(1).lower() if found else ""


def _line_anomalies(octets: Octets) -> set[str]:
    """Bare line feeds, bare carriage returns, and NULs, counted in pieces so that a mapped file is not copied whole."""
    line_feeds = returns = pairs = nuls = 0
    ends_with_return = False
    for start in range(0, len(octets), _SCAN_OCTETS):
        piece = bytes(octets[start : start + _SCAN_OCTETS])
        pairs += piece.count(b"\r\n") + (ends_with_return and piece.startswith(b"\n"))
        line_feeds += piece.count(b"\n")
        returns += piece.count(b"\r")
        nuls += piece.count(b"\0")
        ends_with_return = piece.endswith(b"\r")
    found = {"BARE_LF": line_feeds > pairs, "BARE_CR": returns > pairs, "NUL": nuls > 0}
    return {name for name, is_there in found.items() if is_there}
