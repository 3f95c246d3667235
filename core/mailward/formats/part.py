"""What is one part of a message? A header, a body, and what the header says about the body (RFC 2045 section 2.4)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mailward.formats import budgets, oddities
from mailward.formats.charsets import decode_charset
from mailward.formats.filenames import filenames
from mailward.formats.header import FieldView, fields_of
from mailward.formats.kept import kept
from mailward.formats.octets import Octets
from mailward.formats.parameters import Parameterised, parse_parameterised, strip_comments
from mailward.formats.transfer import decode_chunks, decode_transfer

MESSAGE_TYPES = frozenset({"message/rfc822", "message/global"})
_TYPE = re.compile(r"([!#$%&'*+\-.0-9a-z^_`{|}~]+)[ \t]*/[ \t]*([!#$%&'*+\-.0-9a-z^_`{|}~]+)")
_MECHANISM = re.compile(
    rb"[\s\"]*(?:(7bit|8bit|binary|base64|quoted-printable)(?![A-Za-z0-9])|([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+))", re.IGNORECASE
)
"""One of the five there are, else the whole token (RFC 2045 section 6.1)."""
_NOTHING = parse_parameterised(b"")
_NO_FIELDS = frozenset({b"\r\n", b"\n", b""})


def content_type_of(declared: Parameterised, default: str) -> str:
    """The media type as "type/subtype" (RFC 2045 section 5.1).

    No field: the default. Something that starts like a type: that. Anything else: text/plain.
    """
    if not declared.value and not declared.received:
        return default
    found = _TYPE.match(declared.value)
    return f"{found.group(1)}/{found.group(2)}" if found else "text/plain"


def transfer_encoding_of(fields: Iterable[FieldView]) -> str:
    """What these fields say, in lower case, without comments, quotes and what follows; "7bit" when none says it."""
    for field in fields:
        if field.value:
            found = _MECHANISM.match(strip_comments(field.value))
            return (found[1] or found[2]).decode("ascii").lower() if found else "7bit"
    return "7bit"


class PartView:
    """One entity: a header and a body (RFC 2045 section 2.4). The root is the message itself. To be read only.

    start, body_start, end: where it lies in the message; what lies in an attached message that was encoded, where in that.
    depth: 0 for the root. children: the parts of a multipart, or the one root of a message/rfc822 as its octets stand.
    parent: what it is a part of. preamble_end, epilogue_start: of a multipart, where its first delimiter line begins and where
    the line after its close delimiter begins; None where there is none.
    """

    preamble_end: int | None = None
    epilogue_start: int | None = None
    _content_type: str | None = None
    _noted: tuple[str, ...] = ()

    def __init__(
        self, octets: Octets, start: int, body_start: int, depth: int, default_type: str, parent: "PartView | None"
    ) -> None:
        self._octets = octets
        self.start = start
        self.body_start = body_start
        self.end = body_start
        self.depth = depth
        self.parent = parent
        self.children: list[PartView] = []
        self._default_type = default_type
        self._position = 1 if parent is None else len(parent.children) + 1

    def __repr__(self) -> str:
        return f"PartView({self.number!r}, {self.content_type!r}, {self.start}, {self.body_start}, {self.end})"

    def note(self, problem: str) -> None:
        """Something odd in the structure, found while the tree was made."""
        self._noted = (*self._noted, problem)

    @property
    def number(self) -> str:
        """As IMAP counts parts (RFC 9051 section 6.4.5.1): "2.1"; "" for the root. A multipart that is all of an attached
        message has no number of its own: "2.TEXT"."""
        if self.parent is None:
            return ""
        if self.parent.is_message:
            return f"{self.parent.number or '1'}.{'TEXT' if self.is_multipart else '1'}"
        above = self.parent
        inside = (above.parent.number or "1") if above.parent is not None and above.parent.is_message else above.number
        return f"{inside}.{self._position}" if inside else str(self._position)

    @property
    def may_hold_parts(self) -> bool:
        """False only where no reading of the header makes this a multipart or a message; cheaper than to ask for the type."""
        if self._default_type in MESSAGE_TYPES or self.parent is None:
            return True
        block = bytes(self._octets[self.start : self.body_start])
        if block in _NO_FIELDS:
            return False
        block = block.lower()
        return b"multipart" in block or b"message" in block or b"(" in block

    @property
    def content_type(self) -> str:
        """ "text/plain"; in lower case; what it is read as, which is text/plain for a multipart that cannot be split."""
        if self._content_type is None:
            self._content_type = content_type_of(self.declared_type, self._default_type)
        return self._content_type

    @content_type.setter
    def content_type(self, read_as: str) -> None:
        self._content_type = read_as

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")

    @property
    def is_message(self) -> bool:
        """An attached message; `children[0]` is its root."""
        return self.content_type in MESSAGE_TYPES

    @property
    def header_octets(self) -> bytes:
        """The header block, its empty line included."""
        return bytes(self._octets[self.start : self.body_start])

    @property
    def body_octets(self) -> bytes:
        """The body as received, not decoded, without the line end before a delimiter."""
        return bytes(self._octets[self.body_start : self.end])

    def between(self, start: int, end: int) -> bytes:
        """Octets of what `start`, `body_start` and `end` are places in."""
        return bytes(self._octets[start:end])

    @property
    def octets(self) -> bytes:
        """Header and body."""
        return bytes(self._octets[self.start : self.end])

    @property
    def buffer(self) -> Octets:
        """The octets in which the offsets of this part count: the whole message, not copied."""
        return self._octets

    @property
    def size_octets(self) -> int:
        """The length of the body as received."""
        return self.end - self.body_start

    @kept
    def fields(self) -> tuple[FieldView, ...]:
        """The header fields in order, within the budgets."""
        stop = min(self.body_start, self.start + budgets.HEADER_OCTETS)
        return fields_of(bytes(self._octets[self.start : stop]), self.start, budgets.FIELDS)

    @kept
    def fields_by_name(self) -> Mapping[str, Sequence[FieldView]]:
        """The header fields by their names in lower case, those of one name in order."""
        found: dict[str, list[FieldView]] = {}
        for field in self.fields:
            found.setdefault(field.name.lower(), []).append(field)
        return found

    def all(self, name: str) -> Sequence[FieldView]:
        """Every field of this name in order, compared without case."""
        return self.fields_by_name.get(name.lower(), ())

    def field(self, name: str) -> FieldView | None:
        """The first field of this name, compared without case; None when there is none."""
        return next(iter(self.all(name)), None)

    @kept
    def declared_type(self) -> Parameterised:
        """What the first Content-Type says."""
        return self._parameterised("Content-Type")

    @kept
    def declared_disposition(self) -> Parameterised:
        """What the first Content-Disposition says (RFC 2183)."""
        return self._parameterised("Content-Disposition")

    def _parameterised(self, name: str) -> Parameterised:
        """The value and parameters of the first field of this name; empty when there is none."""
        found = self.field(name)
        return parse_parameterised(found.value) if found else _NOTHING

    @property
    def boundary(self) -> bytes | None:
        """The boundary its delimiter lines are looked for with; None when none is given."""
        declared = self.declared_type.boundary
        return None if declared is None else declared.rstrip(b" \t\r\n")[: budgets.BOUNDARY_OCTETS]

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of Content-Type, names in lower case, values decoded."""
        return self.declared_type.parameters

    @property
    def type_octets(self) -> tuple[tuple[bytes, bytes], ...]:
        """The parameters of Content-Type as received, unquoted."""
        return self.declared_type.received

    @property
    def disposition(self) -> str:
        """ "inline", "attachment" or another word in lower case; "" when the part does not say."""
        return self.declared_disposition.value

    @property
    def disposition_octets(self) -> tuple[tuple[bytes, bytes], ...]:
        """The parameters of Content-Disposition as received, unquoted."""
        return self.declared_disposition.received

    @property
    def charset(self) -> str:
        """In lower case; "" when the part does not say."""
        return self.declared_type.parameters.get("charset", "").lower()

    @kept
    def encoding(self) -> str:
        """The Content-Transfer-Encoding in lower case, "7bit" when the part does not say."""
        return transfer_encoding_of(self.all("Content-Transfer-Encoding"))

    @property
    def filename(self) -> str | None:
        """The name most clients show; None when there is none. It is a stranger's text: never use it as a path."""
        return next(iter(self.filenames), None)

    @kept
    def filenames(self) -> tuple[str, ...]:
        """Every name that some client may show (T-MIME-23), the likeliest first."""
        return filenames(self.declared_disposition, self.declared_type)

    def decode(self) -> bytes:
        """The content, transfer encoding undone as leniently as any client does it."""
        return decode_transfer(self.body_octets, self.encoding)

    def chunks(self) -> Iterator[bytes]:
        """The same in pieces, made while they are taken, for content of any size."""
        return decode_chunks(self._octets, self.body_start, self.end, self.encoding)

    @kept
    def text(self) -> str:
        """The content in the charset the part names; of any type, HTML stays HTML."""
        return decode_charset(self.decode(), self.charset)

    @kept
    def header_problems(self) -> frozenset[str]:
        """What of the header is beyond the budgets, and so not read."""
        return frozenset(oddities.of_header_block(self))

    @kept
    def problems(self) -> frozenset[str]:
        """What in this part two readers could take differently: MALFORMED_FIELD, DUPLICATE_CONTENT_TYPE, BROKEN_BASE64 ..."""
        return frozenset(self._noted) | oddities.of_part(self)

    def walk(self) -> Iterator["PartView"]:
        """This part and all below it as their octets stand, depth first."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))
