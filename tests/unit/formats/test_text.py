"""No text of a stranger moves the cursor, reorders a line or passes for one of ours (T-SMTP-30, T-HDR-15)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.text import clean, one_line, plain

ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
HOSTILE = "\x1b]0;owned\x07 \x1b[2J \x9b31m \u202egnp.exe\u200b \u2028id forged"
ANY = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE + "\t\n\ud800")))


@pytest.mark.parametrize("name", ["clean", "plain", "one_line"])
def test_t_smtp_30_t_hdr_15_what_acts_is_gone(name: str) -> None:
    done = {"clean": clean(HOSTILE, 99), "plain": plain(HOSTILE), "one_line": one_line(HOSTILE)}[name]
    assert not ACTING.search(done) and "]0;owned" in done and "gnp.exe" in done


@given(ANY)
def test_plain_keeps_lines_tabs_and_whatever_is_seen(text: str) -> None:
    done = plain(text)
    assert not ACTING.search(done) and done.count("\n") == text.count("\n") and done.count("\t") == text.count("\t")
    assert plain(done) == done


@given(ANY, st.integers(0, 60))
def test_clean_text_keeps_its_length(text: str, limit: int) -> None:
    done = clean(text, limit)
    assert len(done) == min(len(text), limit) and not ACTING.search(done) and "\n" not in done


@given(ANY)
def test_one_line_is_printable_bounded_and_without_blanks_to_align_with(text: str) -> None:
    line = one_line(text, 50)
    assert line.isprintable() and len(line) <= 50 and "  " not in line and line == line.strip()


def test_what_is_cut_says_so() -> None:
    assert one_line("x" * 50, 50) == "x" * 50
    assert one_line("x" * 51, 50) == "x" * 47 + "..."
