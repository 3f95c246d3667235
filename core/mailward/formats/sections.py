"""Which octets of a message does BODY[...] mean? (RFC 9051 section 6.4.5, RFC 3501 section 6.4.5)

Answers are spans, so that FETCH can pass a mapped message through without a copy of it.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from mailward.formats.header import FieldView, split_header
from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.transfer import ENCODED, IDENTITY

SectionKind = Literal["", "HEADER", "TEXT", "MIME", "HEADER.FIELDS", "HEADER.FIELDS.NOT"]
Span = tuple[int, int]
"""Where octets of a message begin and end."""


def section_span(view: MessageView, path: Sequence[int], kind: SectionKind) -> Span | None:
    """Where BODY[path.kind] lies; None for what the message does not have. The kinds that take names are their whole header.

    path: part numbers counted from 1, () for the message itself.
    """
    part = _part_at(view.root, path)
    if part is None:
        return None
    if not path:
        message, whole = part, (0, view.size_octets)
    else:
        if kind == "MIME":
            return part.start, part.body_start
        if kind and not part.is_message:
            return None
        message, whole = part.children[0] if kind else part, (part.body_start, part.end)
    if kind == "":
        return whole
    if kind == "MIME":
        return None
    return (message.body_start, message.end) if kind == "TEXT" else (message.start, message.body_start)


def section_spans(
    view: MessageView,
    path: Sequence[int],
    kind: SectionKind,
    names: Iterable[str] = (),
    partial: tuple[int, int] | None = None,
) -> tuple[Span, ...]:
    """Where the octets of BODY[path.kind]<partial> lie, in order; () for what the message does not have.

    names: field names for the two kinds that take some. partial: first octet and how many, cut to what there is.
    """
    span = section_span(view, path, kind)
    if span is None:
        return ()
    spans: tuple[Span, ...] = (span,)
    if kind in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        spans = _field_spans(view, span, names, wanted=kind == "HEADER.FIELDS")
    return spans if partial is None else _cut(spans, *partial)


def section(
    view: MessageView,
    path: Sequence[int],
    kind: SectionKind,
    names: Iterable[str] = (),
    partial: tuple[int, int] | None = None,
) -> bytes:
    """The octets themselves; b"" for what the message does not have."""
    return b"".join([view.octets[start:end] for start, end in section_spans(view, path, kind, names, partial)])


def decoded(view: MessageView, path: Sequence[int]) -> bytes | None:
    """The content of a part, its transfer encoding undone (RFC 3516 section 4.3); b"" for what the message does not have.

    None where nobody knows the encoding.
    """
    part = _part_at(view.root, path)
    if part is None:
        return b""
    if part.is_multipart or part.encoding in IDENTITY:
        return part.body_octets
    return part.decode() if part.encoding in ENCODED else None


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


def _field_spans(view: MessageView, header: Span, names: Iterable[str], *, wanted: bool) -> tuple[Span, ...]:
    """The fields with (or without) these names, and the empty line where there is one.

    All fields of the block, not only those within the budgets of a reading: what HEADER gives, its subsets give.
    """
    listed = {name.lower() for name in names}
    start, end = header
    fields, empty_line = split_header(bytes(view.octets[start:end]))
    found: list[Span] = []
    for raw in fields:
        if (FieldView.of(raw).name.lower() in listed) == wanted:
            found.append((start, start + len(raw)))
        start += len(raw)
    # RFC 9051 section 6.4.5: the blank line is included, except for a message that has none.
    return (*found, (end - len(empty_line), end)) if empty_line else tuple(found)


def _cut(spans: Iterable[Span], first: int, length: int) -> tuple[Span, ...]:
    """What is left of the spans when only `length` octets from the `first` on are asked for."""
    found: list[Span] = []
    for start, end in spans:
        begin = start + first
        if begin < end and length > 0:
            stop = min(end, begin + length)
            found.append((begin, stop))
            length -= stop - begin
        first = max(0, first - (end - start))
    return tuple(found)
