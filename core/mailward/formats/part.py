"""What is one part of a message? A header, a body, and what the header says about the body (RFC 2045 section 2.4)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mailward.formats.charsets import decode_charset
from mailward.formats.header import FieldView, Octets
from mailward.formats.parameters import Parameterised, parse_parameterised, strip_comments
from mailward.formats.transfer import decode_transfer, is_sound_base64, is_sound_quoted_printable

MESSAGE_TYPES = frozenset({"message/rfc822", "message/global"})
_TYPE = re.compile(r"([!#$%&'*+\-.0-9a-z^_`{|}~]+)[ \t]*/[ \t]*([!#$%&'*+\-.0-9a-z^_`{|}~]+)")
_WORD = re.compile(rb"[A-Za-z0-9-]+")
_INLINE_FILE = re.compile(rb"\n(?:=ybegin |begin(?:-base64)? [0-7]{3,4} \S)")
"""A file that stands in the text itself: yEnc or uuencode. Some clients offer to save it (T-MIME-18)."""
_ENCODINGS = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable"})
_SINGLETONS = ("content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-description")
_NOTHING = parse_parameterised(b"")


def first_field(fields: Iterable[FieldView], name: str) -> FieldView | None:
    """The first field of this name, compared without case; None when there is none."""
    wanted = name.lower()
    return next((found for found in fields if found.name.lower() == wanted), None)


def parameterised_of(fields: Iterable[FieldView], name: str) -> Parameterised:
    """The value and parameters of the first field of this name; empty when there is none."""
    found = first_field(fields, name)
    return parse_parameterised(found.value) if found else _NOTHING


def content_type_of(declared: Parameterised, default: str) -> tuple[str, bool]:
    """The media type as "type/subtype", and whether the field kept to the grammar (RFC 2045 section 5.1).

    No field: the default, which is sound. Something that starts like a type: that. Anything else: text/plain.
    """
    if not declared.value and not declared.received:
        return default, True
    found = _TYPE.match(declared.value)
    if found is None:
        return "text/plain", False
    return f"{found.group(1)}/{found.group(2)}", found.end() == len(declared.value.rstrip())


def transfer_encoding_of(fields: Iterable[FieldView]) -> str:
    """The Content-Transfer-Encoding in lower case, without comments, quotes and what follows; "7bit" when not given."""
    found = first_field(fields, "Content-Transfer-Encoding")
    word = _WORD.search(strip_comments(found.value)) if found else None
    return word.group().decode("ascii").lower() if word else "7bit"


@dataclass(frozen=True, eq=False)
class PartView:
    """One entity: a header and a body (RFC 2045 section 2.4). The root is the message itself.

    content_type: "text/plain"; in lower case; what it is read as, which is text/plain for a multipart that cannot be split.
    depth: 0 for the root. children: the parts of a multipart, or the one root of a message/rfc822.
    buffer, start, body_start, end: where it lies; an encoded message/rfc822 has its children in a buffer of their own.
    header_octets: the empty line included. body_octets: as received, not decoded, without the line end before a delimiter.
    """

    fields: tuple[FieldView, ...]
    content_type: str
    depth: int
    buffer: Octets = field(repr=False)
    start: int
    body_start: int
    end: int
    children: tuple["PartView", ...] = ()

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")

    @property
    def is_message(self) -> bool:
        """An attached message; `children[0]` is its root."""
        return self.content_type in MESSAGE_TYPES

    @property
    def header_octets(self) -> bytes:
        return bytes(self.buffer[self.start : self.body_start])

    @property
    def body_octets(self) -> bytes:
        return bytes(self.buffer[self.body_start : self.end])

    @property
    def octets(self) -> bytes:
        """Header and body."""
        return bytes(self.buffer[self.start : self.end])

    @property
    def size_octets(self) -> int:
        """The length of the body as received."""
        return self.end - self.body_start

    def field(self, name: str) -> FieldView | None:
        """The first field of this name, compared without case; None when there is none."""
        return first_field(self.fields, name)

    @cached_property
    def _content_type(self) -> Parameterised:
        return parameterised_of(self.fields, "Content-Type")

    @cached_property
    def _disposition(self) -> Parameterised:
        return parameterised_of(self.fields, "Content-Disposition")

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of Content-Type, names in lower case, values decoded."""
        return self._content_type.parameters

    @property
    def type_octets(self) -> tuple[tuple[bytes, bytes], ...]:
        """The parameters of Content-Type as received, unquoted."""
        return self._content_type.received

    @property
    def disposition(self) -> str:
        """ "inline", "attachment" or another word in lower case; "" when the part does not say."""
        return self._disposition.value

    @property
    def disposition_octets(self) -> tuple[tuple[bytes, bytes], ...]:
        """The parameters of Content-Disposition as received, unquoted."""
        return self._disposition.received

    @property
    def charset(self) -> str:
        """In lower case; "" when the part does not say."""
        return self._content_type.parameters.get("charset", "").lower()

    @cached_property
    def encoding(self) -> str:
        """The Content-Transfer-Encoding in lower case, "7bit" when the part does not say."""
        return transfer_encoding_of(self.fields)

    @property
    def filename(self) -> str | None:
        """The name most clients show; None when there is none. It is a stranger's text: never use it as a path."""
        return next(iter(self.filenames), None)

    @cached_property
    def filenames(self) -> tuple[str, ...]:
        """Every name that some client may show (T-MIME-23), the likeliest first."""
        found = (*self._disposition.readings.get("filename", ()), *self._content_type.readings.get("name", ()))
        return tuple(dict.fromkeys(name for name in found if name))

    def decode(self) -> bytes:
        """The content, transfer encoding undone as leniently as any client does it."""
        return decode_transfer(self.body_octets, self.encoding)

    @cached_property
    def text(self) -> str:
        """The content in the charset the part names; of any type, HTML stays HTML."""
        return decode_charset(self.decode(), self.charset)

    @cached_property
    def problems(self) -> frozenset[str]:
        """What in this part two readers could take differently: MALFORMED_FIELD, DUPLICATE_CONTENT_TYPE, BROKEN_BASE64 ..."""
        found = set(self._content_type.problems | self._disposition.problems)
        if any(f.is_malformed for f in self.fields):
            found.add("MALFORMED_FIELD")
        counts = Counter(f.name.lower() for f in self.fields)
        found |= {f"DUPLICATE_{name.upper().replace('-', '_')}" for name in _SINGLETONS if counts[name] > 1}
        if not content_type_of(self._content_type, "text/plain")[1]:
            found.add("MALFORMED_CONTENT_TYPE")
        declared = self.field("Content-Transfer-Encoding")
        if declared and (declared.value.lower() != self.encoding.encode() or self.encoding not in _ENCODINGS):
            found.add("MALFORMED_ENCODING")
        if not self.children:
            found |= self._body_problems()
        return frozenset(found)

    def _body_problems(self) -> set[str]:
        found = set()
        octets = self.body_octets
        if self.encoding == "base64" and not is_sound_base64(octets):
            found.add("BROKEN_BASE64")
        if self.encoding == "quoted-printable" and not is_sound_quoted_printable(octets):
            found.add("BROKEN_QUOTED_PRINTABLE")
        if self.content_type.startswith("text/") and _INLINE_FILE.search(b"\n" + octets):
            found.add("INLINE_FILE")
        if "boundary" in self.parameters and not self._content_type.value.startswith("multipart/"):
            found.add("BOUNDARY_WITHOUT_MULTIPART")
        return found

    def walk(self) -> Iterator["PartView"]:
        """This part and all below it, depth first."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))
