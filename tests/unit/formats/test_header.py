"""Fields in, fields out: RFC 5322 sections 2.2, 2.2.3, 3.6.8."""

import pytest

from mailward.formats.header import FieldView, header_end, split_header


def test_a_block_is_its_fields_and_its_empty_line() -> None:
    block = b"A: 1\r\nB: 2\r\n folded\r\n\tagain\r\nC:\r\n\r\n"
    assert split_header(block) == ([b"A: 1\r\n", b"B: 2\r\n folded\r\n\tagain\r\n", b"C:\r\n"], b"\r\n")


def test_a_message_that_starts_with_an_empty_line_has_no_field() -> None:
    assert header_end(b"\r\nbody\r\n\r\n") == 2
    assert split_header(b"\r\n") == ([], b"\r\n")


def test_the_first_of_two_empty_lines_ends_the_header_whatever_their_line_ends() -> None:
    for empty_line in (b"\n", b"\r\n"):
        for body in (b"\n", b"\r\n", b"\n\r\n", b"x"):
            assert header_end(b"A: 1\r\n" + empty_line + body) == len(b"A: 1\r\n" + empty_line)


def test_a_message_without_an_empty_line_is_all_header() -> None:
    assert header_end(b"A: 1\r\nB: 2") == 10
    assert split_header(b"A: 1\r\nB: 2") == ([b"A: 1\r\n", b"B: 2"], b"")


@pytest.mark.parametrize(
    "raw",
    [b"From : x\r\n", b" From: x\r\n", b"From\r\n : x\r\n", b"From\0: x\r\n", b"Fr\x01om: x\r\n", b"From\t: x\r\n"],
    ids=["T-HDR-02 blank", "leading blank", "folded name", "NUL", "control", "tab"],
)
def test_t_hdr_02_a_hidden_from_is_from_and_malformed(raw: bytes) -> None:
    field = FieldView.of(raw)
    assert (field.name, field.value, field.is_malformed) == ("From", b"x", True)


def test_a_field_is_unfolded_and_trimmed_but_not_decoded() -> None:
    field = FieldView.of(b"Subject:  =?utf-8?q?a?=\r\n\tb  \r\n")
    assert (field.value, field.text) == (b"=?utf-8?q?a?=\tb", "a\tb")
