"""Unique-ids as other servers write them: their documented formats, and formats that cannot be."""

import pytest

from mailward.app.moving.uidl_format import CYRUS, DOVECOT, UidlFormat, UidlFormatError


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (DOVECOT, "0000000749ef523a"),
        (CYRUS, "1240420922.7"),
        (UidlFormat("%08Xv%08Xu"), "49ef523a00000007"),  # UW ipop3d
        (UidlFormat("%v-%u"), "1240420922-7"),  # Courier, version 2
        (UidlFormat("UID%u-%v"), "UID7-1240420922"),
        (UidlFormat("%f"), "1500000000.a,S=7"),  # qmail-pop3d
    ],
    ids=["dovecot", "cyrus", "uw-ipop3d", "courier", "words", "qmail"],
)
def test_formats_of_servers(made: UidlFormat, told: str) -> None:
    assert made.of(7, 0x49EF523A, "1500000000.a,S=7") == told


def test_what_no_client_was_told_is_none() -> None:
    assert DOVECOT.of(0, 7) is None and DOVECOT.of(7, 0) is None
    assert UidlFormat("%f").of(0, 0, "a") == "a"
    assert UidlFormat("%f").of(0, 0, "a" * 71) is None and UidlFormat("%f").of(0, 0, "ä") is None


@pytest.mark.parametrize(("text", "said"), [("%x", "before u, v or f"), ("%8Xu", "before u"), ("", "neither"), ("%v", "neither")])
def test_formats_that_cannot_be(text: str, said: str) -> None:
    with pytest.raises(UidlFormatError, match=said):
        UidlFormat(text)
