"""Charsets: a list of our own (T-HDR-17, T-MIME-26)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.charsets import _CODECS, OVERLONG, codec_of, decode_charset, refused_family


def test_charsets_come_from_a_list_of_our_own() -> None:
    assert decode_charset(b"\x80 caf\xe9", "ISO-8859-1") == "€ café"
    assert decode_charset("грамота".encode("koi8-r"), "KOI8-R") == "грамота"
    assert decode_charset(b"+ADw-script+AD4-", "utf-7") == "+ADw-script+AD4-"
    assert decode_charset(b"caf\xc3\xa9", "no-such") == "café"
    assert decode_charset(b"caf\xe9", "") == "café"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        (" 'Windows-1251' ", "cp1251"),
        ("iso8859-2", "iso-8859-2"),
        ("ks_c_5601-1987", "cp949"),
        ("gb2312", "gb18030"),
        ("ascii", "utf-8"),
        *((name, "utf-16le") for name in ("utf_16_le", "utf-16-le", "UTF16-LE", "csUTF16LE", "x-utf-16le", "ucs2", "UCS_2")),
        *((name, "utf-16be") for name in ("utf_16_be", "UTF16-BE", "csUTF16BE")),
        *((name, "iso-2022-jp-3") for name in ("iso-2022-jp-3", "ISO2022_JP_3")),
        ("csISO2022JP2", "iso-2022-jp-2"),
        ("iso2022jp-ext", "iso-2022-jp-ext"),
        ("shift_jis", "cp932"),
        ("utf-7", None),
        ("cs", None),
        ("x", None),
        ("idna", None),
        ("unicode_escape", None),
        ("zip", None),
        ("cp037", None),
        ("utf-8-overlong", None),
        ("x" * 9999, None),
        ("", None),
    ],
)
def test_t_hdr_17_names_of_charsets(name: str, codec: str | None) -> None:
    assert codec_of(name) == codec


@pytest.mark.parametrize("unit", ["imap", "utf7", "cs", "x", "-", "1", "cp", "hz", "\u0130"])
def test_t_hdr_17_a_long_name_is_looked_up_in_linear_time(unit: str) -> None:
    begun = time.process_time()
    refused_family(unit * (1_000_000 // len(unit)))
    assert time.process_time() - begun < 1


def test_a_byte_order_mark_is_no_text_and_names_the_order() -> None:
    assert decode_charset(b"\xef\xbb\xbfx", "utf-8") == "x"
    assert decode_charset("\ufeffxy".encode("utf-16-be"), "utf-16") == "xy"
    assert decode_charset("\ufeffxy".encode("utf-16-le"), "utf-16") == "xy"
    assert decode_charset("xy".encode("utf-16-be"), "utf-16") == decode_charset("xy".encode("utf-16-le"), "utf-16") == "xy"


@given(st.binary(max_size=200), st.sampled_from([*_CODECS, OVERLONG, "no-such"]))
def test_any_octets_are_read(octets: bytes, charset: str) -> None:
    assert isinstance(decode_charset(octets, charset), str)


@pytest.mark.parametrize("charset", sorted({*_CODECS.values(), OVERLONG}))
@pytest.mark.parametrize("unit", [b"\xff", b"\x1b$", b"\x81", b"\xc0", b"\x0e", b"a\xe3"])
def test_broken_octets_are_read_in_linear_time(charset: str, unit: bytes) -> None:
    begun = time.process_time()
    decode_charset(unit * 200_000, charset)
    assert time.process_time() - begun < 1
