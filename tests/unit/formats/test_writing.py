"""Header fields as they are written: RFC 5322 sections 2.1.1 and 2.2.3, RFC 2047."""

import pytest

from mailward.formats.header import FieldView
from mailward.formats.writing import fold_field


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


def test_a_first_word_that_fits_on_a_line_of_its_own_gets_one() -> None:
    assert fold_field("Message-ID", f"<{'a' * 60}@example>") == b"Message-ID:\r\n <" + b"a" * 60 + b"@example>\r\n"
    assert fold_field("X-Token", "a" * 100) == b"X-Token: " + b"a" * 100 + b"\r\n"
