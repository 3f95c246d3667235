"""What does a message look like after the edits recorded for it? Octets that no edit names stay as they were received."""

from collections.abc import Sequence

from mailward.formats.header import FieldView, header_end, split_header
from mailward.formats.octets import Octets
from mailward.formats.writing import fold_field, with_prefix
from mailward.model.edits import AddHeader, PrefixSubject, RecordedEdit, RemoveFieldAt, RemoveHeader


def render(octets: Octets, edits: Sequence[RecordedEdit]) -> bytes:
    """The message with the edits applied one after another.

    Raises ValueError where an AddHeader or PrefixSubject cannot be written (see `fold_field`); the index of a RemoveFieldAt
    that is not there is ignored. `check` finds the first of these before custody.
    """
    if not edits:
        return bytes(octets)
    body_start = header_end(octets)
    raw_fields, empty_line = split_header(bytes(octets[:body_start]))
    fields: list[tuple[int | None, bytes]] = list(enumerate(raw_fields))
    for edit in edits:
        match edit:
            case AddHeader(name, value):
                fields.insert(0, (None, fold_field(name, value)))
            case RemoveFieldAt(index):
                fields = [(place, raw) for place, raw in fields if place != index]
            case RemoveHeader(name):
                fields = [(place, raw) for place, raw in fields if FieldView.of(raw).name.lower() != name.lower()]
            case PrefixSubject(prefix):
                fields = _with_prefix(fields, prefix)
    return b"".join([*(raw for _, raw in fields), empty_line, octets[body_start:]])


def check(edit: RecordedEdit) -> None:
    """Raises ValueError for an edit that `render` could not apply."""
    match edit:
        case AddHeader(name, value):
            fold_field(name, value)
        case PrefixSubject(prefix):
            fold_field("Subject", prefix)


def _with_prefix(fields: list[tuple[int | None, bytes]], prefix: str) -> list[tuple[int | None, bytes]]:
    """Every Subject with the prefix before its value; readers may show any of several."""
    fold_field("Subject", prefix)
    is_subject = [FieldView.of(raw).name.lower() == "subject" for _, raw in fields]
    if not any(is_subject):
        return [(None, fold_field("Subject", prefix)), *fields]
    return [(place, with_prefix(raw, prefix) if found else raw) for (place, raw), found in zip(fields, is_subject, strict=True)]
