"""One rule for names, and what comes from elsewhere is brought under it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.mailbox_names import fitting, problem_of_name


@pytest.mark.parametrize("name", ["INBOX", "Lists/a.b", "Entwürfe", "a/...", "~root", "a\\b", "/".join("abcdefghijklmnopqrst")])
def test_names(name: str) -> None:
    assert problem_of_name(name) == ""
    assert fitting(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "/", "a//b", "../x", "a/..", ".", "a/./b", "a\0b", "a\r\nb", "*", "50%", "a/" * 20 + "a", "x" * 256, "ä/" * 200 + "x"],
)
def test_t_imap_13_no_names(name: str) -> None:
    assert problem_of_name(name)


@given(st.text() | st.lists(st.sampled_from(["..", ".", "/", "a", "ä" * 300, "%", "\0", "//"]), max_size=60).map("".join))
def test_t_imap_13_what_comes_from_elsewhere_fits(name: str) -> None:
    made = fitting(name)
    assert problem_of_name(made) == ""
    assert fitting(made) == made
    if problem_of_name(name) == "":
        assert made == unicodedata.normalize("NFC", name)
