"""Transfer encodings as the most forgiving client reads them: RFC 2045 sections 6.7 and 6.8."""

import base64
import quopri
import time

import pytest

from mailward.formats.transfer import decode_base64, decode_quoted_printable, is_sound_base64

TEXT = b"X5O!P%@AP is a text that a scanner must see"
ENCODED = base64.b64encode(TEXT)


@pytest.mark.parametrize(
    "octets",
    [
        b".".join([ENCODED[:10], ENCODED[10:]]),
        b"-#".join([ENCODED[:10], ENCODED[10:]]).replace(b"-", b"#"),
        b"\r\n".join(ENCODED[i : i + 6] for i in range(0, len(ENCODED), 6)),
        ENCODED.rstrip(b"="),
        b"=".join([base64.b64encode(TEXT[:4]), base64.b64encode(TEXT[4:])]),
        base64.b64encode(TEXT[:2]) + b"\r\n" + base64.b64encode(TEXT[2:]),
        b"".join(base64.b64encode(TEXT[i : i + 1]) for i in range(len(TEXT))),
        b"\xff\0" + ENCODED,
        ENCODED + b"!!!!",
    ],
    ids=[
        "dots",
        "hashes",
        "6 a line",
        "no padding",
        "extra padding",
        "padding inside",
        "many streams",
        "8-bit junk",
        "junk after",
    ],
)
def test_t_mime_16_base64_with_noise(octets: bytes) -> None:
    assert decode_base64(octets).startswith(TEXT)


def test_t_mime_16_url_safe_letters() -> None:
    assert decode_base64(base64.urlsafe_b64encode(b"\xfb\xff\xfe~~")) == b"\xfb\xff\xfe~~"


@pytest.mark.parametrize("octets", [b"", ENCODED, ENCODED[:8] + b"\r\n" + ENCODED[8:] + b"\r\n", b"QQ==", b"QUI=\r\n"])
def test_sound_base64(octets: bytes) -> None:
    assert is_sound_base64(octets)


@pytest.mark.parametrize("octets", [b"Q", b"QQ", b"QQ=", b"QQ==QUI=", b"QQ==\r\nx", b"Q-==", b"=QQQ", b"QQQQ===="])
def test_broken_base64(octets: bytes) -> None:
    assert not is_sound_base64(octets)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"a=3Db=\r\nc", b"a=bc"),
        (b"a=3db", b"a=b"),
        (b"soft=  \r\nbreak", b"softbreak"),
        (b"soft=\nbreak", b"softbreak"),
        (b"trailing  \r\nblanks\t\r\n", b"trailing\r\nblanks\r\n"),
        (b"=zz =4 ==41 =", b"=zz =4 =A "),
        (b"=", b""),
        (b"", b""),
        (b"_ stays", b"_ stays"),
    ],
)
def test_t_mime_17_quoted_printable(octets: bytes, text: bytes) -> None:
    assert decode_quoted_printable(octets) == text


def test_quoted_printable_reads_what_another_library_wrote() -> None:
    text = bytes(range(256)) * 3
    assert decode_quoted_printable(quopri.encodestring(text, quotetabs=True)) == text


@pytest.mark.parametrize("octets", [b"=" * 2_000_000, b"= " * 500_000, b" " * 1_000_000, b"QQ==" * 400_000])
def test_decoding_is_linear(octets: bytes) -> None:
    started = time.perf_counter()
    decode_base64(octets)
    decode_quoted_printable(octets)
    assert time.perf_counter() - started < 3
