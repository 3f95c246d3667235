"""What does a header block look like after its fields were edited? All other octets of it stay as they were received.

The block is composed of whole fields, never of buffers: a stored CR or an unfinished last line cannot meet ours (T-SMTP-11).
"""

from dataclasses import dataclass

from mailward.formats.header import fields_of
from mailward.formats.writing import fold_field, with_prefix

CRLF = b"\r\n"


@dataclass(slots=True)
class _Field:
    """name: in lower case. raw: b"" once it is deleted."""

    name: str
    raw: bytes
    is_received: bool = True


class HeaderBlock:
    """The fields of one header block on their way to others. block: as received, with its empty line if it has one.

    Every method raises ValueError for a name or value that `fold_field` cannot write.
    """

    def __init__(self, block: bytes) -> None:
        received = fields_of(block, 0, most=len(block))
        self._fields = [_Field(field.name.lower(), field.raw) for field in received]
        self._empty_line = block[received[-1].end :] if received else block

    def octets(self, *, with_empty_line: bool = False) -> bytes:
        """The block as it is now. with_empty_line: it gets one where it had none, since a body follows."""
        raw_fields = [field.raw for field in self._fields if field.raw]
        empty_line = self._empty_line or (CRLF if with_empty_line else b"")
        for place, raw in enumerate(raw_fields):
            # Only the last field of a message without an empty line can be unfinished; ours may stand below it now.
            if not raw.endswith(b"\n") and (empty_line or place < len(raw_fields) - 1):
                raw_fields[place] = raw + CRLF
        return b"".join((*raw_fields, empty_line))

    def insert(self, name: str, value: str) -> None:
        """A field above all others; but below a first line that begins with a blank, which would become its end."""
        is_continuation = bool(self._fields) and self._fields[0].raw[:1] in (b" ", b"\t")
        self._fields.insert(int(is_continuation), _Field(name.lower(), fold_field(name, value), is_received=False))

    def remove(self, name: str, nth: int | None = None) -> None:
        """All fields of this name, or of those received the nth, from 0."""
        for field in self._named(name) if nth is None else self._nth(name, nth):
            field.raw = b""

    def remove_at(self, index: int) -> None:
        """The field received at this index, from 0."""
        for field in [field for field in self._fields if field.is_received][index : index + 1]:
            field.raw = b""

    def replace(self, name: str, value: str, nth: int) -> None:
        """Of the fields of this name received the nth, unless it is not there or no more."""
        written = fold_field(name, value)
        for field in self._nth(name, nth):
            field.raw = written if field.raw else b""

    def put(self, name: str, value: str) -> None:
        """This value and no other: where the first field of this name stands, else below all others."""
        written = _Field(name.lower(), fold_field(name, value), is_received=False)
        standing = [field for field in self._named(name) if field.raw]
        if not standing:
            self._fields.append(written)
            return
        standing[0].raw = written.raw
        for other in standing[1:]:
            other.raw = b""

    def prefix(self, name: str, text: str) -> None:
        """Text before the value of every field of this name, since readers may show any of several; else a new field."""
        standing = [field for field in self._named(name) if field.raw]
        if not standing:
            self.insert(name, text)
        for field in standing:
            field.raw = with_prefix(field.raw, text)

    def has(self, name: str) -> bool:
        return any(field.raw for field in self._named(name))

    def _named(self, name: str) -> list[_Field]:
        return [field for field in self._fields if field.name == name.lower()]

    def _nth(self, name: str, nth: int) -> list[_Field]:
        return [field for field in self._named(name) if field.is_received][nth : nth + 1]
