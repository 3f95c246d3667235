"""What in a message could two readers take differently? Each oddity by its name in the catalogue of anomalies.

Asked for after the tree is made, and only then are bodies read; all of it is linear in the size of the message.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from mailward.formats import budgets
from mailward.formats.anomalies import MIME_SINGLETONS, SINGLETONS, duplicate
from mailward.formats.blocks import looks_like_part
from mailward.formats.dates import read_date
from mailward.formats.header import FieldView
from mailward.formats.inline_files import has_inline_file
from mailward.formats.lines import LineFacts
from mailward.formats.mailboxes import AddressList, Mailbox
from mailward.formats.octets import Octets, find
from mailward.formats.parameters import Parameterised, strip_comments
from mailward.formats.transfer import IDENTITY, is_sound
from mailward.formats.words import read_words

FRAGMENT_TYPES = frozenset({"message/partial", "message/external-body"})
"""A piece of a message, or a place where one lies (RFC 2046 sections 5.2.2 and 5.2.3); never put together or fetched."""
_TOKEN = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_TYPE = re.compile(rb"%b/%b[ \t]*(?:;|\Z)" % (_TOKEN, _TOKEN))
"""RFC 2045 section 5.1 in the form that all readers take alike: no comment, and no blank before the subtype."""
_ENCODING = re.compile(rb"[^:]*:[ \t]*(?:7bit|8bit|binary|base64|quoted-printable)\r?\n?", re.IGNORECASE)
"""RFC 2045 section 6.1 likewise: some readers do not know base64 with a blank or a comment behind it, or on a folded line."""
_FIELD_IN_FOLD = re.compile(rb"\n[ \t]+content-[a-z-]+[ \t]*:", re.IGNORECASE)
_SHOWN = ("From", "Sender", "Reply-To", "Subject")
"""What a message list shows, or where an answer goes to."""
_FIELDS_AGAIN = re.compile(rb"\s*content-(?:type|transfer-encoding|disposition)[ \t]*:", re.IGNORECASE)
_SAMPLE_OCTETS = 256
_SINGLETONS = {name.lower(): duplicate(name) for name in SINGLETONS}
_MIME_SINGLETONS = {name.lower(): duplicate(name) for name in MIME_SINGLETONS}


class Part(Protocol):
    """What is asked of a part."""

    start: int
    body_start: int
    end: int
    preamble_end: int | None
    epilogue_start: int | None

    @property
    def parent(self) -> "Part | None": ...
    @property
    def children(self) -> Sequence["Part"]: ...
    @property
    def buffer(self) -> Octets: ...
    @property
    def fields(self) -> tuple[FieldView, ...]: ...
    @property
    def declared_type(self) -> Parameterised: ...
    @property
    def declared_disposition(self) -> Parameterised: ...
    @property
    def header_problems(self) -> frozenset[str]: ...
    @property
    def problems(self) -> frozenset[str]: ...
    @property
    def content_type(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def boundary(self) -> bytes | None: ...
    @property
    def is_multipart(self) -> bool: ...
    def field(self, name: str) -> FieldView | None: ...


class Message(Protocol):
    """What is asked of a message."""

    @property
    def lines(self) -> LineFacts: ...
    @property
    def header_octets(self) -> bytes: ...
    @property
    def fields(self) -> tuple[FieldView, ...]: ...
    @property
    def author_lists(self) -> tuple[AddressList, ...]: ...
    @property
    def authors(self) -> tuple[Mailbox, ...]: ...
    @property
    def repeated_names(self) -> Iterator[str]: ...
    def all(self, name: str) -> tuple[FieldView, ...]: ...
    def parts(self) -> Iterator[Part]: ...


def of_header_block(part: Part) -> Iterator[str]:
    """What of its header is beyond the budgets, and so not read."""
    if part.body_start - part.start > budgets.HEADER_OCTETS:
        yield "HEADER_BLOCK_TOO_BIG"
    if len(part.fields) == budgets.FIELDS and part.fields[-1].end < part.body_start - 2:
        yield "TOO_MANY_FIELDS"
    if any(len(field.raw) > budgets.FIELD_OCTETS for field in part.fields):
        yield "FIELD_TOO_BIG"


def of_part(part: Part) -> set[str]:
    """What is odd in one part: its header, the encoding of its body, and where its delimiter lines stand."""
    found = set(part.declared_type.problems | part.declared_disposition.problems | part.header_problems)
    if any(field.is_malformed for field in part.fields):
        found.add("MALFORMED_FIELD")
    if any(_hides_mime_field(field, part.parent is not None) for field in part.fields):
        found.add("HIDDEN_MIME_FIELD")
    names = [name for field in part.fields if (name := field.name.lower()) in _MIME_SINGLETONS]
    found |= {_MIME_SINGLETONS[name] for name, count in Counter(names).items() if count > 1}
    declared = part.field("Content-Type")
    if declared and _TYPE.match(declared.value) is None:
        found.add("MALFORMED_CONTENT_TYPE")
    encoding = part.field("Content-Transfer-Encoding")
    if encoding and _ENCODING.fullmatch(encoding.raw) is None:
        found.add("MALFORMED_ENCODING")
    if part.parent is not None and not _header_ends(part):
        found.add("HEADER_WITHOUT_END")
    if part.is_multipart:
        found.update(_of_multipart(part))
    elif not part.children:
        found.update(_of_leaf(part))
    elif part.encoding not in IDENTITY:
        # RFC 2046 section 5.2.1 forbids it, yet clients open it.
        found.add("ENCODED_MESSAGE")
    return found


def _hides_mime_field(field: FieldView, is_in_part: bool) -> bool:
    """Whether some reader could see another field of MIME: behind a bad name or one with a comment, or on a folded line."""
    name = field.name.lower()
    if field.is_malformed:
        return is_in_part or "content-" in name
    return name.startswith("content-") and ("(" in name or _FIELD_IN_FOLD.search(field.raw) is not None)


def _header_ends(part: Part) -> bool:
    """Whether an empty line ends the header, which may be the line end of a delimiter; some readers read on beyond that."""
    octets, at = part.buffer, part.body_start
    # Where the delimiter comes right behind it, the empty line is the delimiter's own.
    tail = bytes(octets[max(part.start, at - 3) : at])
    if tail.endswith((b"\n\r\n", b"\n\n")) or (at - part.start <= 2 and tail in (b"\r\n", b"\n")):
        return True
    return (not tail or tail.endswith(b"\n")) and octets[at : at + 2].startswith((b"\r\n", b"\n"))


def _of_multipart(part: Part) -> Iterator[str]:
    if part.encoding not in IDENTITY:
        # RFC 2045 section 6.4 forbids it, and readers differ: most take the body as it stands.
        yield "ENCODED_MULTIPART"
    if part.boundary is None:
        return
    declared = part.field("Content-Type")
    if declared and not _is_plain_boundary(part.boundary, declared.raw):
        yield "AMBIGUOUS_BOUNDARY"
    above = part.parent
    while above is not None:
        if above.boundary is not None and (part.boundary.startswith(above.boundary) or above.boundary.startswith(part.boundary)):
            yield "NESTED_BOUNDARY"
            break
        above = above.parent
    if part.epilogue_start is not None:
        line = b"\n--" + part.boundary
        if find(part.buffer, line, part.epilogue_start - 1, part.end) >= 0:
            yield "PARTS_AFTER_CLOSE"
    aside = ((part.body_start, part.preamble_end), (part.epilogue_start, part.end))
    if any(looks_like_part(part.buffer, start, end) for start, end in aside if start is not None and end is not None):
        yield "PART_OUTSIDE"


def _is_plain_boundary(boundary: bytes, raw: bytes) -> bool:
    """Whether it stands right behind its name, not folded, in pieces, encoded or near a comment: others find another or none."""
    at = raw.lower().find(b"boundary=")
    behind = raw[at + len(b"boundary=") :]
    return at >= 0 and behind.startswith((boundary, b'"' + boundary + b'"')) and strip_comments(raw) == raw


def _of_leaf(part: Part) -> Iterator[str]:
    if _FIELDS_AGAIN.match(bytes(part.buffer[part.body_start : min(part.end, part.body_start + _SAMPLE_OCTETS)])):
        yield "FIELDS_IN_BODY"
    if not is_sound(part.buffer, part.body_start, part.end, part.encoding):
        yield "BROKEN_BASE64" if part.encoding == "base64" else "BROKEN_QUOTED_PRINTABLE"
    if part.content_type.startswith("text/") and has_inline_file(part.buffer, part.body_start, part.end):
        yield "INLINE_FILE"
    if part.content_type in FRAGMENT_TYPES:
        yield "PARTIAL_MESSAGE"
    if "boundary" in part.declared_type.parameters and not part.declared_type.value.startswith("multipart/"):
        yield "BOUNDARY_WITHOUT_MULTIPART"


def of_message(view: Message) -> set[str]:
    """What is odd in a message: its lines, its header, its authors, and every part of it."""
    lines = view.lines
    found = {name for name, there in (("BARE_CR", lines.bare_cr), ("BARE_LF", lines.bare_lf), ("NUL", lines.nul)) if there}
    found.update(_of_header(view), _of_authors(view))
    for part in view.parts():
        found |= part.problems
    return found


def _of_header(view: Message) -> Iterator[str]:
    if view.lines.eight_bit and not view.header_octets.isascii():
        yield "HEADER_8BIT"
    if view.fields and view.fields[0].raw[:1] in (b" ", b"\t"):
        # Whatever is put above it would swallow this line.
        yield "LEADING_CONTINUATION"
    yield from (_SINGLETONS[name] for name in view.repeated_names if name in _SINGLETONS)
    for name in _SHOWN:
        for field in view.all(name):
            yield from read_words(field.value).problems
    for field in view.all("Date"):
        if (date := read_date(field.value)) is None or date.is_malformed:
            yield "MALFORMED_DATE"


def _of_authors(view: Message) -> Iterator[str]:
    lists = view.author_lists
    if not view.authors:
        yield "MISSING_FROM"
    if any(addresses.is_malformed for addresses in lists) or any(field.is_malformed for field in view.all("From")):
        yield "MALFORMED_FROM"
    if any(addresses.has_ambiguous_domains or addresses.shows_other_domains for addresses in lists):
        yield "FROM_AMBIGUOUS"
    if len({mailbox.address.domain for mailbox in view.authors if mailbox.address}) > 1:
        yield "MULTIPLE_FROM_DOMAINS"
    if any(mailbox.has_other_address_in_name for mailbox in view.authors):
        yield "ADDRESS_IN_NAME"
    if any(addresses.is_cut for addresses in lists):
        yield "TOO_MANY_ADDRESSES"
