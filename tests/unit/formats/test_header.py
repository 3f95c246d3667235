"""Fields in, fields out: RFC 5322 sections 2.2, 2.2.3, 3.6.8."""

import pytest

from mailward.formats.header import FieldView, fold_field, header_end, split_header


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


def test_a_long_value_is_folded_at_blanks() -> None:
    folded = fold_field("References", " ".join(f"<{n:030}@example.org>" for n in range(5)))
    lines = folded.split(b"\r\n")
    assert all(len(line) <= 78 for line in lines)
    assert all(line.startswith(b" ") for line in lines[1:-1])
    assert lines[-1] == b""


def test_text_that_is_not_ascii_becomes_encoded_words() -> None:
    folded = fold_field("X-Note", "grün " * 40)
    assert folded.isascii()
    assert all(len(line) <= 78 for line in folded.split(b"\r\n"))
    assert FieldView.of(folded).text == ("grün " * 40).strip()


@pytest.mark.parametrize("value", ["a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\0b"])
def test_t_hdr_11_a_value_with_a_line_end_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        fold_field("X-Note", value)


@pytest.mark.parametrize("name", ["", "X Note", "X:", "X\r\nY", "Grün"])
def test_t_hdr_11_a_name_that_is_no_field_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="field name"):
        fold_field(name, "x")
