"""Paragraphs of flowed text: RFC 3676."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.flowed import unflow


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a \r\nb\r\nc", "a b\nc"),
        ("a \nb \nc\n", "a b c\n"),
        # section 4.2 and 4.4: a stuffed line is no quote, From is stuffed
        (" >a \n From b", ">a From b"),
        # section 4.5: quotes
        (">a \n> b\n>> c \n>d\ne", "> a b\n> > c \n> d\ne"),
        ("a \n>b", "a \n> b"),
        # section 4.3: the signature
        ("a \n-- \nb \nc", "a \n-- \nb c"),
        (">a \n> -- \n>b", "> a \n> -- \n> b"),
        ("a \n\nb", "a \nb"),
        ("", ""),
        (" ", ""),
    ],
)
def test_flowed_lines_are_joined(text: str, seen: str) -> None:
    assert unflow(text) == seen


def test_delsp_takes_the_blank_away() -> None:
    # section 4.1, for scripts without blanks between words
    assert unflow("\u65e5 \n\u672c \n>x ", deletes_space=True) == "\u65e5\u672c\n> x"
    assert unflow("-- \nx", deletes_space=True) == "-- \nx"


@pytest.mark.parametrize("deletes_space", [False, True])
@given(text=st.text(st.sampled_from("ab> -\r\n"), max_size=60))
def test_no_text_is_lost(text: str, deletes_space: bool) -> None:
    """Joined lines leave out the marks of quoting and the blanks of flowing, and nothing else."""
    assert re.sub(r"[> \r\n]", "", unflow(text, deletes_space=deletes_space)) == re.sub(r"[> \r\n]", "", text)


def test_hostile_text_is_read_in_linear_time() -> None:
    begun = time.process_time()
    unflow("> \n" * 300_000)
    unflow(">" * 300_000 + " \n")
    unflow("a \n" * 300_000)
    assert time.process_time() - begun < 3
