"""xtext and the utf-8 address type, by the RFCs' own words and for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.xtext import decode_xtext, encode_xtext, utf8_address_of_octets, utf8_address_xtext

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
BAD = ["a=b", "a b", "+", "+2", "+2b", "+G1", "+00", "a+0D+0A", "+7F", "+FC", "\u00fc", "a\r", "\x7f"]


@given(PRINTABLE)
def test_t_relay_19_printable_ascii_survives_the_way_there_and_back(text: str) -> None:
    xtext = encode_xtext(text)
    assert decode_xtext(xtext) == text
    assert not set(xtext) & set(" =") and xtext.count("+") == sum(text.count(c) for c in " +=")


@given(st.text())
def test_t_relay_19_any_input_is_refused_or_is_what_would_be_written_again(text: str) -> None:
    try:
        decoded = decode_xtext(text)
    except ValueError:
        return
    assert decoded.isascii() and (decoded.isprintable() or not decoded)
    assert decode_xtext(encode_xtext(decoded)) == decoded


def test_the_plus_itself_is_written_in_hexadecimal() -> None:
    assert encode_xtext("bob+lists=a b@example.org") == "bob+2Blists+3Da+20b@example.org"  # RFC 3461 section 4


@pytest.mark.parametrize("text", BAD)
def test_t_relay_19_what_is_no_xtext_of_printable_ascii_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="xtext"):
        decode_xtext(text)


def test_a_utf8_address_is_kept_in_the_form_that_is_safe_everywhere() -> None:
    safe = "\\x{8776}\\x{2026}@example.org"  # RFC 6533 section 3
    assert utf8_address_xtext("\u8776\u2026@example.org") == utf8_address_xtext(safe) == safe
    for bad in ("a b@example.org", "a+b@example.org", "a\\b", "a\\x{41G}", "a\\x{2026", ""):
        with pytest.raises(ValueError, match="utf-8"):
            utf8_address_xtext(bad)


def test_a_utf8_address_may_come_octet_by_octet() -> None:
    assert utf8_address_of_octets("j+C3+B6rg+2Ba+5Cb@example.org") == "j\\x{F6}rg\\x{2B}a\\x{5C}b@example.org"
    for bad in ("+C3", "+FF+FE", "+ED+A0+80", "j+C2+85", "j+E2+80+AE", "j+C3+B6\\+00", "+c3+b6", "\u00f6"):
        with pytest.raises(ValueError, match=r"xtext|utf-8"):
            utf8_address_of_octets(bad)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_octet_by_octet_it_is_the_same_address(text: str) -> None:
    octets = "".join(f"+{octet:02X}" for octet in text.encode())
    if text.isprintable():
        assert utf8_address_xtext(utf8_address_of_octets(octets)) == utf8_address_of_octets(octets)
