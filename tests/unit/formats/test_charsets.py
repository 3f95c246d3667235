"""Charsets: a list of our own (T-HDR-17, T-MIME-26)."""

from mailward.formats.charsets import decode_charset


def test_charsets_come_from_a_list_of_our_own() -> None:
    assert decode_charset(b"\x80 caf\xe9", "ISO-8859-1") == "€ café"
    assert decode_charset("грамота".encode("koi8-r"), "KOI8-R") == "грамота"
    assert decode_charset(b"+ADw-script+AD4-", "utf-7") == "+ADw-script+AD4-"
    assert decode_charset(b"caf\xc3\xa9", "no-such") == "café"
    assert decode_charset(b"caf\xe9", "") == "café"
