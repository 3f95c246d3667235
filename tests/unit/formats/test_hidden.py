"""What looks encoded, whatever the structure says."""

import time

import pytest

from mailward.formats.hidden import (
    Span,
    base64_runs,
    gaps,
    has_base64_line,
    has_escapes,
    has_hidden_field,
    is_binary,
    named_encodings,
)

FIELD = b"Content-Transfer-Encoding:"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (FIELD + b" base64\r\n", {"base64"}),
        (FIELD + b" bASe64\r\n", {"base64"}),
        (FIELD + b" base645\r\n", {"base64"}),
        (FIELD + b" base64-\r\n", {"base64"}),
        (FIELD + b" b ase64\r\n", {"base64"}),
        (FIELD + b" bas\0e64\r\n", {"base64"}),
        (FIELD + b' "base64"\r\n', {"base64"}),
        (FIELD + b" bas(com\r\n ment)e64\r\n", {"base64"}),
        (FIELD + b" (c)base64\r\n", {"base64"}),
        (FIELD + b"\r\n\tbase64\r\n", {"base64"}),
        (FIELD + b" =?us-ascii?q?=62ase64?=\r\n", {"base64"}),
        (b"Content-Transfer-Enc(x)oding: base64\r\n", {"base64"}),
        (b"Content-Transfer-Encoding base64\r\n", {"base64"}),
        (b" Content-Transfer-Encoding : base64\r\n", {"base64"}),
        (FIELD + b" base64, quoted-printable\r\n", {"base64", "quoted-printable"}),
        (FIELD + b" 7bit\r\n" + FIELD + b" base64\r\n", {"base64", "7bit"}),
        (FIELD + b" x-uuencode\r\n", {"uuencode"}),
        (FIELD + b" x-yencode\r\n", {"yenc"}),
        (FIELD + b" mac-binhex40\r\n", {"binhex"}),
        (FIELD + b" 8bit\r\n", {"7bit"}),
        (b"Subject: encoding\r\nX-A: base64\r\n", set()),
        (b"DKIM-Signature: h=from:content-transfer-encoding:to; b=qUu64\r\n", set()),
    ],
)
def test_t_mime_13_every_encoding_that_a_header_may_name(header: bytes, expected: set[str]) -> None:
    assert set(named_encodings(header)) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b" Content-Type: text/plain\r\n", True),
        (b"A: b\r\n Content-Type: text/plain\r\n", True),
        (b"A: b\rContent-Type: text/plain\r\n", True),
        (b"A: b\r\n\vContent-Transfer-Encoding: base64\r\n", True),
        (b"A: b\r\n:Content-Type: multipart/mixed\r\n", True),
        (b"A: b\r\n\0Content-Type: text/x\r\n", True),
        (b"A: b\r\nContent-Type: text/plain\r\n", False),
        (b"Content-Type: text/plain\r\n", False),
        (b"DKIM-Signature: h=from:\r\n content-type:content-transfer-encoding:to;\r\n", False),
        (b"Subject: the Content-Type: text/plain field\r\n", False),
    ],
)
def test_t_mime_12_a_field_hidden_in_another_one(header: bytes, expected: bool) -> None:
    assert has_hidden_field(header) is expected


def test_runs_of_base64_are_found_and_words_are_not() -> None:
    text = b"Some words here, and a/path/of/some/length\r\n" + b"QUJD" * 15 + b"\r\n" + b"QUJD" * 5 + b"\r\nend of it."
    run, from_its_line = base64_runs(text, [Span(0, len(text))])
    assert text[from_its_line.start :].startswith(b"QUJD") and from_its_line.end == run.end
    assert b"QUJD" * 15 + b"\r\n" + b"QUJD" * 5 in text[run.start : run.end]
    assert has_base64_line(text, Span(0, len(text)))
    assert not has_base64_line(b"words\r\n" * 100, Span(0, 700))
    assert list(base64_runs(text, [Span(0, 40)])) == []


def test_escapes_and_binary_content() -> None:
    assert has_escapes(b"=41=42=43", [Span(0, 9)]) and not has_escapes(b"=41=42=43", [Span(0, 6)])
    assert is_binary(b"PK=03=04", 0, 8, "quoted-printable") and not is_binary(b"a =3D b", 0, 7, "quoted-printable")
    assert is_binary(b"PK\3\4", 0, 4, "7bit") and not is_binary(b"text\t\r\n", 0, 7, "7bit")


def test_gaps_are_what_no_span_covers() -> None:
    assert list(gaps(0, 10, [Span(6, 8), Span(2, 4)])) == [(0, 2), (4, 6), (8, 10)]
    assert list(gaps(3, 10, [Span(0, 12)])) == []


@pytest.mark.parametrize(
    "unit", [b"Content-Transfer-Encoding:(", b" content-type:", b"=?encoding?=", b"\r content-t:\0", b"A" * 59 + b" "]
)
def test_t_mime_12_13_hostile_headers_cost_no_more_than_their_size(unit: bytes) -> None:
    def seconds(octets: bytes) -> float:
        started = time.process_time()
        named_encodings(octets)
        has_hidden_field(octets)
        list(base64_runs(octets, [Span(0, len(octets))]))
        return time.process_time() - started

    seconds(unit)
    assert seconds(unit * 10_000) < 30 * max(seconds(unit * 1000), 0.005)
