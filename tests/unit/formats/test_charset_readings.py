"""In which charsets a text may be read, and when that matters (T-MIME-26)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.charset_readings import charset_readings, is_ambiguous
from mailward.formats.charsets import decode_charset

META = b'<html><meta http-equiv="Content-Type" content="text/html; charset=%s">'
JAPANESE = "\u65e5\u672c".encode("iso-2022-jp")


@pytest.mark.parametrize(
    ("octets", "declared", "is_html", "readings"),
    [
        (b"plain", "", False, ("utf-8",)),
        (b"plain", "iso-8859-1", False, ("cp1252",)),
        (b"plain", "no-such", False, ("utf-8",)),
        (b"", "", True, ("utf-8",)),
        (b"caf\xc3\xa9", "utf-8", False, ("utf-8",)),
        (b"caf\xc3\xa9", "iso-8859-1", False, ("cp1252", "utf-8")),
        (b"caf\xc3\xa9", "us-ascii", False, ("utf-8",)),
        (b"caf\xe9", "us-ascii", False, ("cp1252",)),
        (b"caf\xe9", "utf-8", False, ("utf-8", "cp1252")),
        (b"caf\xe9", "koi8-r", False, ("koi8-r",)),
        (b"\xef\xbb\xbfx\xc3\xa9", "koi8-r", False, ("koi8-r", "utf-8")),
        (META % b"windows-1251" + b"\xef", "", True, ("cp1251",)),
        (META % b"windows-1251" + b"\xef", "", False, ("cp1252",)),
        (META % b"windows-1251" + b"\xef", "koi8-r", True, ("koi8-r", "cp1251")),
        (META % b"utf-16" + b"x", "", True, ("utf-8",)),
        (b"<?xml version='1.0' encoding='koi8-r'?>\xef", "", True, ("koi8-r",)),
        (JAPANESE, "iso-2022-jp", False, ("iso-2022-jp",)),
        (JAPANESE, "iso-2022-jp-3", False, ("iso-2022-jp-3",)),
        ("<b>".encode("utf-16-le"), "utf_16_le", False, ("utf-16le",)),
        ("\u65e5\u672c".encode("shift_jis"), "shift_jis", False, ("cp932",)),
        (META % b"gb18030" + "<i>\u4f60\u597d\xe9</i>".encode(), "utf-8", True, ("utf-8", "gb18030")),
        ("<b>".encode("utf-16-le"), "utf-16", False, ("utf-16le",)),
        ("<b>".encode("utf-16-be"), "utf-16be", False, ("utf-16be",)),
    ],
)
def test_readings_are_ordered_and_agree_on_ascii(octets: bytes, declared: str, is_html: bool, readings: tuple[str, ...]) -> None:
    assert charset_readings(octets, declared, is_html) == readings
    assert not is_ambiguous(octets, declared, is_html, readings)


@pytest.mark.parametrize(
    ("octets", "declared", "is_html", "seen"),
    [
        ("<script>".encode("utf-16-le"), "", True, "<script>"),
        ("\ufeff<script>".encode("utf-16-be"), "utf-8", True, "<script>"),
        ("<script>".encode("utf-16-be"), "iso-8859-1", True, "<script>"),
        (b"<script>plain", "utf-16", True, "<script>"),
        (b"<scr" + b"\x1b$B\x1b(Bipt>", "us-ascii", True, "<script>"),
        (b"<scr\x1b(Jipt>", "utf-8", True, "<script>"),
        (b"\xc0\xbcscript\xe0\x80\xbe \xf0\x80\x80\xaf", "utf-8", True, "<script> /"),
        (JAPANESE, "", False, "\u65e5\u672c"),
        ("<script>".encode("utf-16-le"), "utf-16be", True, "<script>"),
        (("\u4e2d" * 900 + "<script>").encode("utf-16-le"), "utf_16_le", True, "<script>"),
        (("\u4e2d" * 900 + "<script>").encode("utf-16-be"), "csUTF16BE", True, "<script>"),
    ],
)
def test_t_mime_26_disagreement_about_ascii_is_seen(octets: bytes, declared: str, is_html: bool, seen: str) -> None:
    readings = charset_readings(octets, declared, is_html)
    assert is_ambiguous(octets, declared, is_html, readings)
    assert any(seen in decode_charset(octets, reading) for reading in readings)


@pytest.mark.parametrize(
    ("octets", "declared"),
    [
        (b"+ADw-script+AD4-", "utf-7"),
        (b"+ADw-script+AD4-", "utf_7"),
        (b"\\x3cscript>", "unicode_escape"),
        (b"\\u003cscript>", "raw_unicode_escape"),
        ("<script>".encode("utf-32"), "utf_32"),
        ("<script>".encode("cp037"), "037"),
        (b"+ADw-script+AD4-", "UNICODE-1-1-UTF-7"),
        (META % b"utf-7" + b"+ADw-script+AD4-", "us-ascii"),
        (META % b"UTF-7" + b"+ADw-script+AD4-", ""),
        (b"~{<:~}", "hz-gb-2312"),
        (b"<scr~\nipt>", "HZ_GB2312"),
        *((b"+ADw-script+AD4-", name) for name in ("csUTF7", "x-utf-7", "unicode-1-1-utf7", "unicode-2-0-utf-7")),
        (b"&ADw-script&AD4-", "utf7-imap"),
        (META % b"x-utf-7" + b"+ADw-script+AD4-", ""),
        ("<script>".encode("cp037"), "cp037"),
        ("<script>".encode("cp500"), "IBM500"),
        ("<script>".encode("utf-32"), "utf-32"),
    ],
)
def test_t_mime_26_utf_7_and_its_like_are_refused(octets: bytes, declared: str) -> None:
    readings = charset_readings(octets, declared, True)
    assert is_ambiguous(octets, declared, True, readings)
    assert not any(decode_charset(octets, reading).startswith("<script") for reading in readings)


@pytest.mark.parametrize("declared", ["utf-7", "hz", "x-unknown", "cp037", "utf-32"])
def test_a_refused_charset_that_hides_nothing_is_no_matter(declared: str) -> None:
    octets = b"" if declared in ("cp037", "utf-32") else b"Dear all, 1 + 1 = 2"
    assert not is_ambiguous(octets, declared, False, charset_readings(octets, declared, False))


@pytest.mark.parametrize("declared", ["8859-1", "ISO_8859_1", "x-cp20936", "x-cp50220", "cp-1252", "646"])
def test_names_that_honest_senders_give_are_not_refused(declared: str) -> None:
    octets = "Gr\xfc\xdfe".encode("latin-1")
    assert not is_ambiguous(octets, declared, False, charset_readings(octets, declared, False))


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "utf-16", "utf-7", "gbk", "iso-2022-jp", "\ud800"]), st.booleans())
def test_any_octets_have_readings(octets: bytes, declared: str, is_html: bool) -> None:
    readings = charset_readings(octets, declared, is_html)
    assert readings and len(set(readings)) == len(readings)
    is_ambiguous(octets, declared, is_html, readings)


@pytest.mark.parametrize("unit", [b"<meta ", b"<meta charset=", b"<?xml ", b"\x1b$", b"\x1b$B", b"\xc0", b"\0a", b"+A"])
@pytest.mark.parametrize("declared", ["", "utf-16", "utf-7", "iso-2022-jp"])
def test_hostile_octets_are_read_in_linear_time(unit: bytes, declared: str) -> None:
    octets = unit * (1_000_000 // len(unit))
    begun = time.process_time()
    is_ambiguous(octets, declared, True, charset_readings(octets, declared, True))
    assert time.process_time() - begun < 2
