"""Edits touch only what they name; what is written is read back; pieces joined are the message."""

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from mailward.formats.edits import part_of_number, render, render_pieces
from mailward.formats.header import FieldView, split_header
from mailward.formats.message import MessageView
from mailward.formats.replacing import encode_content
from mailward.formats.transfer import decode_transfer
from mailward.formats.writing import fold_field
from mailward.model.edits import (
    AddHeader,
    PartEncoding,
    PrefixSubject,
    RecordedEdit,
    RemoveFieldAt,
    RemoveHeader,
    ReplaceHeader,
    ReplacePart,
)
from property.test_formats_properties import MAIL, NAMES, TEXT

_ENCODINGS = st.sampled_from(["quoted-printable", "base64"])
_CONTENT = st.lists(
    st.one_of(st.binary(max_size=90), st.sampled_from([b"--a", b"--a--", b"\r\n--b", b"\n", b"\r", b"-" * 99]))
).map(b"".join)
_VALUES = TEXT.filter(lambda value: not set(value) & set("\r\n\0"))
_ANY_NAME = st.one_of(NAMES, st.sampled_from(["From", "To", "Subject", "Content-Type", "content-transfer-encoding"]))
_STRUCTURE = st.sampled_from(
    [
        *(b"\r\n--a\r\n", b"\r\n--a--\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\n--a\n", b"--a\r\n", b"\r\n--ab\r\n", b"--a"),
        *(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"\r\n", b"\r\n\r\n"),
        *(b"Content-Type: text/html\r\n", b"Content-Transfer-Encoding: base64\r\n", b"X-A: b\r\n", b" ", b"words", b"\r", b"\n"),
    ]
)
_PARTED = st.lists(_STRUCTURE, max_size=40).map(
    lambda pieces: b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + b"".join(pieces)
)
EDITS: st.SearchStrategy[RecordedEdit] = st.one_of(
    st.builds(AddHeader, _ANY_NAME, _VALUES),
    st.builds(RemoveHeader, _ANY_NAME, st.one_of(st.none(), st.integers(0, 3))),
    st.builds(ReplaceHeader, _ANY_NAME, _VALUES, st.integers(0, 3)),
    st.builds(PrefixSubject, _VALUES),
    st.builds(RemoveFieldAt, st.integers(0, 9)),
)


def lines_of(header: bytes) -> list[bytes]:
    """The fields, the line end of the last one completed."""
    return [raw if raw.endswith(b"\n") else raw + b"\r\n" for raw in split_header(header)[0]]


@given(MAIL, st.integers(0, 20))
def test_removing_a_field_leaves_all_other_octets(octets: bytes, index: int) -> None:
    view = MessageView(octets)
    fields, empty_line = split_header(view.header_octets)
    kept = [raw for place, raw in enumerate(fields) if place != index]
    assert render(octets, [RemoveFieldAt(index)]) == b"".join(kept) + empty_line + view.body_octets


@given(MAIL, NAMES, TEXT)
def test_adding_a_field_leaves_all_other_octets(octets: bytes, name: str, value: str) -> None:
    assume(not set(value) & set("\r\n\0"))
    rendered = render(octets, [AddHeader(name, value)])
    if octets.startswith((b" ", b"\t")):  # it would continue what is put above it
        first = split_header(MessageView(octets).header_octets)[0][0]
        first_line = first if first.endswith(b"\n") else first + b"\r\n"
        assert rendered == first_line + fold_field(name, value) + octets[len(first) :]
    else:
        assert rendered == fold_field(name, value) + octets


@given(MAIL)
def test_removing_by_name_removes_those_and_no_others(octets: bytes) -> None:
    before = MessageView(octets)
    rendered = render(octets, [RemoveHeader("Subject")])
    kept = [raw for raw in split_header(before.header_octets)[0] if FieldView.of(raw).name.lower() != "subject"]
    assert rendered.startswith(b"".join(kept))
    assert rendered.endswith(before.body_octets)


@given(MAIL, st.text("[]abcü ", min_size=1, max_size=30))
def test_a_prefix_changes_no_field_but_subject(octets: bytes, prefix: str) -> None:
    before = split_header(MessageView(octets).header_octets)[0]
    after = render(octets, [PrefixSubject(prefix)])
    for raw in before:
        if FieldView.of(raw).name.lower() != "subject":
            assert raw in after
    assert after.endswith(MessageView(octets).body_octets)


@given(MAIL, _ANY_NAME, _VALUES, st.integers(0, 3))
def test_replacing_a_field_leaves_all_other_octets(octets: bytes, name: str, value: str, nth: int) -> None:
    view = MessageView(octets)
    raw_fields, empty_line = split_header(view.header_octets)
    same = [place for place, raw in enumerate(raw_fields) if FieldView.of(raw).name.lower() == name.lower()]
    if nth < len(same):
        raw_fields[same[nth]] = fold_field(name, value)
    assert render(octets, [ReplaceHeader(name, value, nth)]) == b"".join(raw_fields) + empty_line + view.body_octets


@given(MAIL, _ANY_NAME, st.integers(0, 3))
def test_removing_one_field_of_a_name_leaves_all_other_octets(octets: bytes, name: str, nth: int) -> None:
    view = MessageView(octets)
    raw_fields, empty_line = split_header(view.header_octets)
    same = [place for place, raw in enumerate(raw_fields) if FieldView.of(raw).name.lower() == name.lower()]
    kept = [raw for place, raw in enumerate(raw_fields) if place not in same[nth : nth + 1]]
    assert render(octets, [RemoveHeader(name, nth)]) == b"".join(kept) + empty_line + view.body_octets


@given(MAIL, st.lists(EDITS, max_size=6))
def test_t_hdr_11_no_edit_makes_a_field_that_it_does_not_name(octets: bytes, edits: list[RecordedEdit]) -> None:
    rendered = b"".join(render_pieces(octets, edits))
    assert rendered == render(octets, edits)
    before, after = MessageView(octets), MessageView(rendered)
    assert after.body_octets == before.body_octets
    ours = {edit.name.lower() for edit in edits if isinstance(edit, AddHeader | ReplaceHeader)} | {"subject"}
    known = lines_of(before.header_octets)
    for raw in lines_of(after.header_octets):
        assert raw in known or FieldView.of(raw).name.lower() in ours


@given(st.one_of(MAIL, _PARTED), st.integers(0), _CONTENT, _ENCODINGS)
def test_replacing_a_part_leaves_all_octets_around_it_and_its_content_is_read_back(
    octets: bytes, place: int, content: bytes, encoding: PartEncoding
) -> None:
    view = MessageView(octets)
    parts = [part for part in view.root.walk() if part_of_number(view, part.number)]
    assume(parts)
    part = parts[place % len(parts)]
    rendered = render(octets, [ReplacePart(part.number, "text/plain", content, encoding)])
    inside = rendered
    if part.depth:
        before, after = octets[: part.start], octets[part.end :]
        assert rendered.startswith(before) and rendered.endswith(after)
        inside = rendered[len(before) : len(rendered) - len(after)]
        if part.parent and part.parent.is_message and not split_header(part.parent.header_octets)[1]:
            inside = inside.removeprefix(b"" if before.endswith(b"\n") or not before else b"\r\n").removeprefix(b"\r\n")
    new = MessageView(inside)
    assert (new.root.content_type, new.root.encoding, list(new.root.children)) == ("text/plain", encoding, [])
    expected = content if encoding == "base64" else re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    assert new.root.decode() in (expected, expected + b"\r\n")
    kept = [raw for raw in lines_of(part.header_octets) if not FieldView.of(raw).name.lower().startswith("content-")]
    assert [raw for raw in lines_of(new.header_octets) if raw in kept] == kept


@given(_PARTED, st.integers(0), _CONTENT, _ENCODINGS)
def test_t_mime_01_a_replaced_part_changes_no_other_part(
    octets: bytes, place: int, content: bytes, encoding: PartEncoding
) -> None:
    before = MessageView(octets)
    numbers = [part.number for part in before.root.walk() if part.number and part_of_number(before, part.number)]
    assume(numbers)
    number = numbers[place % len(numbers)]
    after = MessageView(render(octets, [ReplacePart(number, "text/plain", content, encoding)]))
    assert others(before, number) == others(after, number.replace("TEXT", "1"))


def others(message: MessageView, number: str) -> list[bytes]:
    """The parts without parts of their own that are neither this one nor inside it."""
    part = part_of_number(message, number)
    assert part is not None
    inside = {id(one) for one in part.walk()}
    return [one.octets for one in message.root.walk() if id(one) not in inside and not one.children]


@given(_CONTENT, _ENCODINGS)
def test_encoded_content_is_mail_and_is_read_back(content: bytes, encoding: PartEncoding) -> None:
    written = encode_content(content, encoding)
    assert all(len(line) <= 76 and not line.startswith(b"--") for line in written.split(b"\r\n"))
    assert not set(written.replace(b"\r\n", b"")) & set(b"\r\n\0") and written.isascii()
    expected = content if encoding == "base64" else re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    assert decode_transfer(written, encoding) == expected
