"""One message, one reading: the view of a message that filters, IMAP and delivery share.

Everything is made from the octets at first use and kept; nothing raises on content. Budgets end a reading early and ambiguity
is never guessed away silently: both leave a name in `anomalies`, about which a policy can decide (T-HDR, T-MIME).
"""

import mmap
from collections.abc import Iterator

from mailward.formats import budgets, oddities
from mailward.formats.dates import DateTime, read_date
from mailward.formats.filenames import extension_of
from mailward.formats.header import FieldView
from mailward.formats.identifiers import read_identifiers
from mailward.formats.kept import kept
from mailward.formats.lines import LineFacts, line_facts
from mailward.formats.links import LIST_FIELDS, Link, list_links
from mailward.formats.mailboxes import AddressList, Mailbox
from mailward.formats.mime import index
from mailward.formats.octets import Octets
from mailward.formats.part import PartView
from mailward.formats.readings import Readings
from mailward.formats.texts import TEXT_TYPES, TextPart, links_of, problems_of
from mailward.formats.transfer import IDENTITY
from mailward.formats.union import readings_of

__all__ = ["FieldView", "Link", "Mailbox", "MessageView", "PartView", "TextPart"]


class MessageView:
    """A message as received: bytes, or a file mapped into memory; other buffers are copied.

    lines: what is known of its lines from its reception; found out when asked for otherwise.
    """

    def __init__(self, octets: Octets | memoryview | bytearray, lines: LineFacts | None = None) -> None:
        self._octets: Octets = octets if isinstance(octets, bytes | mmap.mmap) else bytes(octets)
        self._lines = lines

    @property
    def octets(self) -> Octets:
        """The message as received."""
        return self._octets

    @property
    def size_octets(self) -> int:
        return len(self._octets)

    @property
    def lines(self) -> LineFacts:
        """What is known of its lines: bare CR and LF, NUL, 8-bit octets, the longest line."""
        if self._lines is None:
            self._lines = line_facts(self._octets)
        return self._lines

    @kept
    def root(self) -> PartView:
        """The message as a part: its body is the body of the message."""
        return index(self._octets)

    @property
    def header_octets(self) -> bytes:
        """The header block, its empty line included; the whole message when there is no empty line."""
        return self.root.header_octets

    @property
    def body_octets(self) -> bytes:
        """What follows the empty line, as received."""
        return bytes(self._octets[self.root.body_start :])

    @property
    def fields(self) -> tuple[FieldView, ...]:
        """The header fields in order, at most 1,000 and of the first 256 KiB."""
        return self.root.fields

    @property
    def repeated_names(self) -> Iterator[str]:
        """Of the fields that are there more than once, in lower case."""
        return (name for name, found in self.root.fields_by_name.items() if len(found) > 1)

    def field(self, name: str) -> FieldView | None:
        """The first field of this name, compared without case; None when there is none."""
        return self.root.field(name)

    def all(self, name: str) -> tuple[FieldView, ...]:
        """Every field of this name in order, compared without case."""
        return tuple(self.root.all(name))

    @property
    def subject(self) -> str:
        """The Subject for people, "" when there is none."""
        found = self.field("Subject")
        return found.text if found else ""

    @property
    def message_id(self) -> str:
        """The Message-ID as "<left@right>"; "" when there is none, the text as it stands where it is no identifier.

        Opaque: two messages may share it.
        """
        found = self.field("Message-ID")
        if found is None:
            return ""
        return next(iter(read_identifiers(found.value).ids), found.text)

    @kept
    def date(self) -> DateTime | None:
        """What the Date field says; None when there is none, or nothing that can be taken for a date (RFC 5322 section 3.3)."""
        found = self.field("Date")
        return read_date(found.value) if found else None

    def addresses(self, name: str) -> AddressList:
        """The address list of the first field of this name, groups kept; empty when there is none."""
        found = self.field(name)
        return found.addresses if found else AddressList(())

    @kept
    def author_lists(self) -> tuple[AddressList, ...]:
        """What every From names."""
        return tuple(field.addresses for field in self.all("From"))

    @kept
    def authors(self) -> tuple[Mailbox, ...]:
        """The mailboxes of From; of every From when there are several, for no reader may be trusted to take one of them."""
        return tuple(mailbox for addresses in self.author_lists for mailbox in addresses.mailboxes)

    @kept
    def recipients_in_header(self) -> tuple[Mailbox, ...]:
        """The mailboxes of To and Cc."""
        fields = (*self.all("To"), *self.all("Cc"))
        return tuple(mailbox for field in fields for mailbox in field.addresses.mailboxes)

    def parts(self) -> Iterator[PartView]:
        """Every part depth first, the root first, attached messages opened, those with a transfer encoding too."""
        return iter(self._parts)

    @kept
    def _parts(self) -> tuple[PartView, ...]:
        found: list[PartView] = []
        waiting = [(self.root, 0)]
        while waiting and len(found) < budgets.PARTS:
            part, encoded = waiting.pop()
            found.append(part)
            if part.is_message and part.encoding not in IDENTITY and encoded < budgets.ENCODED_MESSAGES:
                if part.size_octets <= budgets.ENCODED_MESSAGE_OCTETS:
                    waiting.append((index(part.decode(), part), encoded + 1))
            else:
                waiting.extend((child, encoded) for child in reversed(part.children))
        return tuple(found)

    @kept
    def _texts(self) -> tuple[TextPart, ...]:
        return tuple(TextPart(part) for part in self.parts() if part.content_type in TEXT_TYPES)

    def texts(self) -> Iterator[TextPart]:
        """The text/plain and text/html parts, whatever their disposition; clients show attached text too."""
        return iter(self._texts)

    def links(self) -> Iterator[Link]:
        """Where the texts lead, of each alternative, each link once, at most 2,000; then where the List- fields do (RFC 2369)."""
        yield from links_of(self._texts)
        yield from (link for name in LIST_FIELDS for field in self.all(name) for link in list_links(field.text))

    @kept
    def _readings(self) -> Readings:
        return readings_of(self, MessageView)

    def readings(self) -> Readings:
        """Every way in which some reader may read the parts, bounded: the declared content first. For scanners."""
        return self._readings

    def attachments(self) -> Iterator[PartView]:
        """The parts that a client would offer to save: neither multipart nor plain reading text."""
        return (part for part in self.parts() if is_attachment(part))

    @kept
    def attachment_types(self) -> tuple[str, ...]:
        """Extensions of every name a file might be shown with, and the media types of attachments, lower case, sorted.

        Files in the text, in a winmail.dat and in other readings of a part are among them (T-MIME-18, T-MIME-23, T-MIME-28).
        """
        names = {name for part in self.attachments() for name in part.filenames}
        names |= {name for reading in self.readings() for name in reading.filenames}
        types = {part.content_type for part in self.attachments()}
        return tuple(sorted(types | {extension for name in names if (extension := extension_of(name))}))

    @kept
    def anomalies(self) -> tuple[str, ...]:
        """The names of everything about which two readers of this message could differ, sorted."""
        return tuple(sorted(oddities.of_message(self) | problems_of(self._texts)))


def is_attachment(part: PartView) -> bool:
    """A leaf or an attached message that is not simply text to be read."""
    if part.is_multipart:
        return False
    is_text = part.content_type in TEXT_TYPES and part.disposition != "attachment" and part.filename is None
    return not is_text
