"""The texts of header fields in which SEARCH looks: decoded, without case, blanks as one blank."""

import re
from collections.abc import Iterable, Iterator, Sequence

from mailward.access.imap.projection import projection
from mailward.formats.address_lists import read_address_list
from mailward.formats.common_fields import UNKNOWN, cut
from mailward.formats.header import FieldView, split_header
from mailward.formats.searched import folded
from mailward.store.base import AccountStore

_ADDRESS_FIELDS = frozenset(("from", "sender", "reply-to", "to", "cc", "bcc"))
_READ_OTHERWISE = bytes([*range(10), 11, 12, *range(14, 32), *range(127, 256)])
"""What a reading leaves out or decodes, a tab among it."""
_NOT_ONE_FIELD = re.compile(rb"\n[^ \r]|\r[^\n]")
_ADDRESS_OTHERWISE = re.compile(rb'\(|\\|"@|\s[@.]|[@.]\s')
"""Where an address may be written in other octets than it has: comments, quotes, blanks."""
_NOT_AS_IT_STANDS = bytes([*range(9), 11, 12, *range(14, 32), 0x5C, *range(127, 256)])
_BROKEN_NAME = re.compile(rb"\n[!-9;-~]+[ \t][^:\n]*:")
_BETWEEN = re.compile(r"[\s:@.]")
"""Where a reading may write more, or less, than stands there: folded lines, "name: value", comments within an address."""


def field_texts(store: AccountStore, name: str, messages: Sequence[int]) -> Iterator[str]:
    """Of each message what `texts_of` says of its fields of this name."""
    name = name.lower()
    take = cut((name,))
    if take is None:
        project = projection((name,), without=False) if name.isascii() else None
        needle = name.encode("utf-8", "replace")
        for headers in header_blocks(store, messages):
            if needle in headers.lower():
                yield texts_of((project(headers) if project is not None else None) or headers, name)
            else:
                yield ""
        return
    for message, (kept,) in zip(messages, store.meta(messages, ("common_fields",)), strict=True):
        if isinstance(kept, bytes):
            yield texts_of(take(kept) if kept != UNKNOWN else next(header_blocks(store, (message,))), name)


def texts_of(header: bytes, name: str) -> str:
    """A line feed and the text of each field of this name, in lower case, within a header; "" where there is none.

    Each address of an address field that its text does not show follows on such a line: "a (comment) @ b" is the address a@b.
    """
    colon = len(name)
    if (
        header[colon : colon + 1] == b":"
        and header[:colon].lower() == name.encode("utf-8", "replace")
        and b"=?" not in header
        and len(header.translate(None, _READ_OTHERWISE)) == len(header)
        and _NOT_ONE_FIELD.search(header) is None
        and not (name in _ADDRESS_FIELDS and _ADDRESS_OTHERWISE.search(header))
    ):
        return "\n" + " ".join(header[colon + 1 :].decode("ascii").upper().split())
    lines: list[str] = []
    for field in _fields(header):
        if field.name.lower() == name:
            lines.append(text := folded(field.text))
            if name in _ADDRESS_FIELDS:
                lines += [address for address in _addresses(field.value) if address not in text]
    return "".join(f"\n{line}" for line in lines)


def _addresses(value: bytes) -> Iterator[str]:
    for mailbox in read_address_list(value).mailboxes:
        if not mailbox.domain_octets:
            continue
        yield folded((mailbox.local_part_octets + b"@" + mailbox.domain_octets).decode("utf-8", "replace"))


def is_in_header(headers: bytes, wanted: str) -> bool:
    """Whether some field has the folded text in its "name: text"."""
    return _may_be_in(headers, wanted) and any(wanted in folded(f"{field.name}: {field.text}") for field in _fields(headers))


def _may_be_in(headers: bytes, wanted: str) -> bool:
    """By a look at the octets: False is sure, and spares to read most headers.

    Only what stands in the block as it is compared can be looked for so: no encoded-words, nothing that a reading leaves out.
    """
    if not wanted.isascii() or b"=?" in headers:
        return True
    if len(headers.translate(None, _NOT_AS_IT_STANDS)) < len(headers) or _BROKEN_NAME.search(b"\n" + headers):
        return True
    upper = headers.upper()
    return all(piece.encode("ascii") in upper for piece in _BETWEEN.split(wanted))


def _fields(header: bytes) -> Iterable[FieldView]:
    return map(FieldView.of, split_header(header)[0])


def header_blocks(store: AccountStore, messages: Sequence[int]) -> Iterator[bytes]:
    """Of each message, its final empty line included."""
    return (headers for (headers,) in store.meta(messages, ("headers",)) if isinstance(headers, bytes))
