"""Mailbox names on the wire, and LIST patterns."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.protocol.imap.names import NameRefused, Pattern, decode_name, encode_name

GOOD = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/%*"), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 section 5.1.3
        (b"inbox", "INBOX"),
        (b"A&-B", "A&B"),
        (b"&AOk-t&AOk-", "été"),
        (b"&2D3eCQ-", "\U0001f609"),
    ],
)
def test_modified_utf7(wire: bytes, name: str) -> None:
    assert decode_name(wire) == name
    if name != "INBOX":
        assert encode_name(name) == wire


@given(st.lists(GOOD, min_size=1, max_size=4).map("/".join))
def test_names_survive_the_wire(name: str) -> None:
    name = unicodedata.normalize("NFC", name)
    wire = encode_name(name)
    assert wire.isascii()
    try:
        assert decode_name(wire) == ("INBOX" if name.upper() == "INBOX" else name)
    except NameRefused:
        assert any(level in (".", "..") for level in name.split("/"))


@pytest.mark.parametrize(
    "wire",
    [
        b"", b"/", b"/a", b"a/", b"a//b", b".", b"..", b"../../etc", b"a/../b", b"&AAA", b"&AAA-", b"&", b"&AGE-", b"&AAAA-",
        b"a\xc3\xa9", b"&2D0-", b"&AOk-&AOk-", b"&U,BTFw-&ZeVnLIqe-", b"&*-", b"a%b", b"a*b", b"a\r\nb", b"&AA0ACg-",
        b"x" * 10_000, b"/".join([b"a"] * 1000), b"&AOk",
    ],
)  # fmt: skip
def test_t_imap_13_impossible_names_are_refused(wire: bytes) -> None:
    with pytest.raises(NameRefused):
        decode_name(wire)


def test_t_imap_13_two_ways_to_write_a_name_are_one_mailbox() -> None:
    assert decode_name(encode_name("e\u0301")) == decode_name(encode_name("\u00e9"))


@given(st.text("ab/*%", max_size=10), st.text("ab/", max_size=10))
def test_patterns_mean_what_the_rfc_says(pattern: str, name: str) -> None:
    expected = "".join(".*" if c == "*" else "[^/]*" if c == "%" else re.escape(c) for c in pattern)
    assert Pattern(pattern).matches(name) == bool(re.fullmatch(expected, name, re.DOTALL))


@given(st.text("ab/*%", max_size=10), st.text("ab", min_size=1, max_size=3), st.text("ab/", max_size=6))
def test_what_a_pattern_cannot_match_below_a_level_it_does_not(pattern: str, level: str, rest: str) -> None:
    matcher = Pattern(pattern)
    assert matcher.may_match_below(level) or not (matcher.matches(f"{level}/{rest}") or matcher.matches(level))
    # What is left of the pattern behind the level is itself one name that fits.
    fits = {level, *(f"{level}/{pattern[at:].replace('*', '').replace('%', '')}" for at in range(len(pattern) + 1))}
    assert not matcher.may_match_below(level) or any(map(matcher.matches, fits))


@pytest.mark.parametrize("pattern", ["inbox", "INB%", "inb*", "*", "%", "i%x"])
def test_inbox_has_no_case(pattern: str) -> None:
    assert Pattern(pattern).matches("INBOX")


@pytest.mark.parametrize("pattern", ["*%" * 4000 + "a", "*a" * 4000, "%a%" * 2000, "a*" * 200 + "b"])
def test_t_imap_06_wildcards_cost_no_more_than_their_length(pattern: str) -> None:
    names = [f"{'a' * 40}/{n}" for n in range(10_000)]
    start = time.process_time()
    matcher = Pattern(pattern)
    assert not any(matcher.matches(name) for name in names) or pattern.startswith("*%")
    assert time.process_time() - start < 5


def test_once_utf_8_is_enabled_names_are_that() -> None:
    assert decode_name("Entwürfe & mehr".encode(), utf8=True) == "Entwürfe & mehr"
    assert decode_name("Entwu\u0308rfe".encode(), utf8=True) == "Entwürfe"
    assert decode_name(b"Entw&APw-rfe", utf8=True) == "Entw&APw-rfe"
    with pytest.raises(NameRefused):
        decode_name(b"Entw\xfcrfe", utf8=True)
