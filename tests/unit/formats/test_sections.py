"""Sections of a message: RFC 9051 and RFC 3501 section 6.4.5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.message import MessageView
from mailward.formats.sections import SectionKind, section, section_span, section_spans


def _lines(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def _multipart(boundary: str, *parts: bytes) -> bytes:
    delimiter = b"--" + boundary.encode()
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return _lines(f"Content-Type: multipart/mixed; boundary={boundary}", "", "") + body + delimiter + b"--"


_INNER = _multipart("d", _lines("", "4.2.2.1"), _lines("Content-Type: text/richtext", "", "4.2.2.2"))
_FOURTH = b"Subject: fourth\r\nX-Two: 2\r\n" + _multipart("e", _lines("", "4.2.1"), _INNER)
_THIRD = b"Subject: third\r\n" + _multipart("b", _lines("", "3.1"), _lines("Content-Type: application/octet-stream", "", "3.2"))
# The example of RFC 9051 section 6.4.5.1
MESSAGE = MessageView(
    b"Subject: outer\r\n"
    + _multipart(
        "a",
        _lines("Content-Type: text/plain", "", "1"),
        _lines("Content-Type: application/octet-stream", "", "2"),
        b"Content-Type: message/rfc822\r\nContent-Description: attached\r\n\r\n" + _THIRD,
        _multipart(
            "c",
            _lines("Content-Type: image/gif", "Content-ID: <gif@example.org>", "", "4.1"),
            b"Content-Type: message/rfc822\r\n\r\n" + _FOURTH,
        ),
    )
    + b"\r\n"
)


def _body(octets: bytes) -> bytes:
    return octets.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ((), "", MESSAGE.octets),
        ((), "HEADER", b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"),
        ((), "TEXT", _body(bytes(MESSAGE.octets))),
        ((1,), "", b"1"),
        ((2,), "", b"2"),
        ((3,), "", _THIRD),
        ((3,), "HEADER", b"Subject: third\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
        ((3,), "TEXT", _body(_THIRD)),
        ((3,), "MIME", b"Content-Type: message/rfc822\r\nContent-Description: attached\r\n\r\n"),
        ((3, 1), "", b"3.1"),
        ((3, 2), "", b"3.2"),
        ((4, 1), "", b"4.1"),
        ((4, 1), "MIME", b"Content-Type: image/gif\r\nContent-ID: <gif@example.org>\r\n\r\n"),
        ((4,), "MIME", b"Content-Type: multipart/mixed; boundary=c\r\n\r\n"),
        ((4, 2), "", _FOURTH),
        ((4, 2), "HEADER", b"Subject: fourth\r\nX-Two: 2\r\nContent-Type: multipart/mixed; boundary=e\r\n\r\n"),
        ((4, 2), "TEXT", _body(_FOURTH)),
        ((4, 2, 1), "", b"4.2.1"),
        ((4, 2, 2), "", _body(_INNER)),
        ((4, 2, 2, 1), "", b"4.2.2.1"),
        ((4, 2, 2, 2), "", b"4.2.2.2"),
        ((4, 2, 2, 2), "MIME", b"Content-Type: text/richtext\r\n\r\n"),
    ],
)
def test_rfc_9051_section_6_4_5_1_the_example(path: tuple[int, ...], kind: SectionKind, expected: bytes) -> None:
    assert section(MESSAGE, path, kind) == expected
    span = section_span(MESSAGE, path, kind)
    assert span is not None
    assert MESSAGE.octets[span[0] : span[1]] == expected


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ((0,), ""),
        ((5,), ""),
        ((1, 1), ""),
        ((1,), "TEXT"),
        ((1,), "HEADER"),
        ((4,), "HEADER"),
        ((3, 3), ""),
        ((4, 2, 1, 1), ""),
        ((4, 2, 3), "MIME"),
        ((), "MIME"),
        ((1,) * 1000, ""),
    ],
)
def test_what_a_message_does_not_have(path: tuple[int, ...], kind: SectionKind) -> None:
    assert section_span(MESSAGE, path, kind) is None
    assert section_spans(MESSAGE, path, kind) == ()
    assert section(MESSAGE, path, kind) == b""


def test_header_fields() -> None:
    subject, content_type = b"Subject: outer\r\n", b"Content-Type: multipart/mixed; boundary=a\r\n"
    assert section(MESSAGE, (), "HEADER.FIELDS", ("SUBJECT", "X-None")) == subject + b"\r\n"
    assert section(MESSAGE, (), "HEADER.FIELDS.NOT", ("subject",)) == content_type + b"\r\n"
    assert section(MESSAGE, (4, 2), "HEADER.FIELDS", ("x-two",)) == b"X-Two: 2\r\n\r\n"
    assert section(MESSAGE, (), "HEADER.FIELDS", ("X-None",)) == b"\r\n"


def test_rfc_9051_section_6_4_5_1_no_blank_line_where_the_header_has_none() -> None:
    view = MessageView(b"A: 1\r\nB: 2\r\n")
    assert section(view, (), "HEADER.FIELDS", ("A",)) == b"A: 1\r\n"
    assert section(view, (), "HEADER.FIELDS.NOT", ("A",)) == b"B: 2\r\n"


def test_header_fields_beyond_the_budgets_are_there_too() -> None:
    octets = b"X: y\r\n" * 3000 + b"A: 1\r\n\r\nbody"
    assert section(MessageView(octets), (), "HEADER.FIELDS", ("A",)) == b"A: 1\r\n\r\n"
    assert section(MessageView(octets), (), "HEADER.FIELDS.NOT", ()) == octets[:-4]


def test_a_line_that_is_no_field_has_no_name() -> None:
    view = MessageView(b"From \r\nFrom: a\r\n\r\n")
    assert section(view, (), "HEADER.FIELDS", ("FROM",)) == b"From: a\r\n\r\n"
    assert section(view, (), "HEADER.FIELDS.NOT", ("FROM",)) == b"From \r\n\r\n"


def test_a_message_of_one_part_is_part_1() -> None:
    view = MessageView(b"Subject: x\r\n\r\nbody\r\n")
    assert section(view, (1,), "") == b"body\r\n"
    assert section(view, (1,), "MIME") == b"Subject: x\r\n\r\n"
    assert section(view, (2,), "") == b""


def test_rfc_2046_section_5_1_1_the_line_end_before_a_delimiter_is_no_part_of_a_part() -> None:
    attached = b"Content-Type: message/rfc822\r\n\r\n"
    view = MessageView(_multipart("b", attached + b"Subject: x", attached + b"Subject: x\r\n", attached[:-2], b""))
    assert [section(view, (n,), "") for n in (1, 2, 3)] == [b"Subject: x", b"Subject: x\r\n", b""]
    assert [section(view, (n,), "HEADER") for n in (1, 2, 3)] == [b"Subject: x", b"Subject: x\r\n", b""]
    assert [section(view, (n,), "MIME") for n in (1, 2, 3, 4)] == [attached, attached, attached[:-2], b""]


CASES = st.sampled_from(
    [((), ""), ((), "TEXT"), ((3,), "HEADER"), ((4, 2), "HEADER.FIELDS"), ((4, 2), "HEADER.FIELDS.NOT"), ((9,), ""), ((2,), "")]
)
NUMBERS = st.integers(0, 700) | st.just(4294967295)


@given(CASES, NUMBERS, NUMBERS)
def test_a_partial_fetch_is_a_slice_cut_to_what_there_is(
    case: tuple[tuple[int, ...], SectionKind], first: int, length: int
) -> None:
    path, kind = case
    names = ("X-Two", "Content-Type")
    whole = section(MESSAGE, path, kind, names)
    assert section(MESSAGE, path, kind, names, (first, length)) == whole[first : first + length]
    spans = section_spans(MESSAGE, path, kind, names, (first, length))
    assert all(start < end for start, end in spans)
