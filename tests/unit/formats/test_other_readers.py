"""What readers show that go by another type, name, line or charset than we do: it is among the readings for scanners."""

import base64
import binascii
import time

import pytest

from mailward.formats.message import MessageView
from support import ber

MARK = b"this text is what a scanner must see, however it is hidden from it"
TOP = b"From: a@example.net\r\nMIME-Version: 1.0\r\n"
LEAF = b"Content-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: "


def encoded(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def multipart(*parts: bytes) -> bytes:
    body = b"".join(b"--BBB\r\n" + part + b"\r\n" for part in parts)
    return TOP + b"Content-Type: multipart/mixed; boundary=BBB\r\n\r\n" + body + b"--BBB--\r\n"


def is_seen(octets: bytes) -> bool:
    return any(MARK in b"".join(reading.chunks()) for reading in MessageView(octets).readings())


@pytest.mark.parametrize("junk", [b"", b"\x0c\r\n"])
@pytest.mark.parametrize("type", [b"message/rfc822", b"message/news"])
def test_t_mime_15_an_attached_header_that_ends_at_a_line_that_is_no_field(type: bytes, junk: bytes) -> None:
    spaced = b" ".join(encoded(MARK).replace(b"\r\n", b"")[at : at + 4] for at in range(0, 200, 4)).rstrip()
    inner = LEAF + b"base64\r\n" + junk + spaced + b"\r\n"
    assert is_seen(multipart(b"Content-Type: text/plain\r\n\r\nhi", b"Content-Type: " + type + b"\r\n\r\n" + inner))


@pytest.mark.parametrize("line", [b"--_._\x0c", b"--_._\x0b", b"--_._\0", b"--_._--\x0c", b"--_._\x0c--"])
def test_t_mime_09_a_line_that_is_a_delimiter_to_some_readers_alone(line: bytes) -> None:
    whole = encoded(MARK).replace(b"\r\n", b"")
    content = whole[:40] + b"\r\n" + line + b"\r\n\r\n" + whole[40:]
    part = b'Content-Type: multipart/mixed; boundary="_._"\r\n\r\n--_._\r\n' + LEAF + b"base64\r\n\r\n" + content
    assert is_seen(TOP + part + b"\r\n--_._--\r\n")


@pytest.mark.parametrize("name", [b"a.p7m", b"a.p7z", b"winmail.dat", b"a.txt"])
def test_t_mime_23_a_name_adds_a_look_and_replaces_none(name: bytes) -> None:
    text = encoded(MARK.decode().encode("utf-16"))
    head = b"Content-Type: text/plain; charset=utf-16; name=" + name + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert is_seen(TOP + head + text)
    message = encoded(LEAF + b"base64\r\n\r\n" + encoded(MARK))
    head = b"Content-Type: message/news; name=" + name + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert is_seen(TOP + head + message)


@pytest.mark.parametrize("first", [b"application/octet-stream", b"text/plain", b"image/png"])
@pytest.mark.parametrize(
    ("second", "content"),
    [
        (b"message/rfc822", LEAF + b"base64\r\n\r\n" + encoded(MARK)),
        (b"multipart/mixed; boundary=x", b"--x\r\n" + LEAF + b"base64\r\n\r\n" + encoded(MARK) + b"--x--\r\n"),
        (b"text/plain; charset=utf-16le", MARK.decode().encode("utf-16le")),
    ],
)
def test_t_mime_10_the_second_content_type_opens_as_well(first: bytes, second: bytes, content: bytes) -> None:
    head = b"Content-Type: " + first + b"\r\nContent-Type: " + second + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert is_seen(TOP + head + encoded(content))
    assert is_seen(multipart(head + encoded(content)))


@pytest.mark.parametrize(
    "type",
    [
        *(b"multipart /mixed; boundary=x", b"(c)multipart/mixed; boundary=x", b'"multipart/mixed"; boundary=x'),
        *(b'"message/rfc822"', b"application/rfc822", b"text/rfc822", b"application/octet-stream; name=x.eml"),
        *(b'application/octet-stream; name="x.EML "', b'application/octet-stream; name="x.eml."'),
    ],
)
def test_t_mime_12_a_type_that_is_oddly_written_and_encoded(type: bytes) -> None:
    inner = LEAF + b"base64\r\n\r\n" + encoded(MARK)
    content = b"--x\r\n" + inner + b"--x--\r\n" if b"multipart" in type else inner
    head = b"Content-Type: " + type + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert is_seen(multipart(head + encoded(content)))


@pytest.mark.parametrize("before", [b"", b"\r\n" * 60, b"\r\n" * 3000, b" " * 5000 + b"\r\n", b"!!!!\r\n" * 30, b"!" * 90])
@pytest.mark.parametrize("type", [b"application/octet-stream", b"application/ms-tnef"])
def test_t_mime_23_content_is_known_by_its_beginning_whatever_says_nothing_before_it(type: bytes, before: bytes) -> None:
    signed = encoded(ber.signed(ber.value(0x24, b"".join(ber.value(4, MARK[at : at + 7]) for at in range(0, len(MARK), 7)))))
    head = b"Content-Type: " + type + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert is_seen(multipart(head + before + signed))


def test_t_mime_18_lines_of_uuencoding_that_end_in_cr_alone() -> None:
    lines = [binascii.b2a_uu(MARK[at : at + 45]).rstrip(b"\n") for at in range(0, len(MARK), 45)]
    content = b"\r".join([b"begin 644 a.com", *lines, b"`", b"end"])
    assert is_seen(multipart(LEAF + b"x-uuencode\r\n\r\n" + content))


_FAR = "\u4e2d" * 900
"""So much that no zero stands near the beginning."""
_TEXT = MARK.decode()


@pytest.mark.parametrize(
    ("charset", "octets"),
    [
        *((name, (_FAR + _TEXT).encode("utf-16-le")) for name in ("utf_16_le", "utf-16-le", "UTF16-LE", "csUTF16LE", "ucs2", "")),
        ("utf-16-be", (_FAR + _TEXT).encode("utf-16-be")),
        ("us-ascii; charset=utf-16le", _TEXT.encode("utf-16-le")),
        *((name, _TEXT.encode("utf-32-le")) for name in ("csUTF32", "x-utf-32", "")),
        *((name, b"+AHQ-" + MARK[1:]) for name in ("csUTF7", "x-utf-7", "unicode-1-1-utf7", "us-ascii; charset=utf-7")),
        *((name, MARK[:10] + b"\x1b(B" + MARK[10:]) for name in ("iso-2022-jp", "iso-2022-jp-3", "iso-2022-kr", "")),
        ("iso-2022-kr", MARK[:10] + b"\x0e\x0f" + MARK[10:]),
        *((name, b"&AHQ-" + MARK[1:]) for name in ("utf7-imap", "x-imap4-modified-utf7")),
        ("hz-gb-2312", MARK[:10] + b"~\n" + MARK[10:]),
        ("hz", MARK[:10] + b"~{~}" + MARK[10:]),
        *((name, _TEXT.encode("cp037")) for name in ("cp037", "ibm037", "ebcdic-us", "037")),
        ("utf-8", b"\xc1\xb4" + MARK[1:]),
    ],
)
@pytest.mark.parametrize("type", ["text/plain", "text/html"])
def test_t_mime_26_ascii_that_is_not_written_as_ascii(type: str, charset: str, octets: bytes) -> None:
    head = f"Content-Type: {type}; charset={charset}" if charset else f"Content-Type: {type}"
    assert is_seen(TOP + head.encode() + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(octets))


@pytest.mark.parametrize("parameter", ["charset*=us-ascii''utf%2D7", "charset*0=ut; charset*1=f-7"])
def test_t_mime_26_a_charset_whose_name_is_encoded_or_in_pieces(parameter: str) -> None:
    head = f"Content-Type: text/plain; {parameter}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert is_seen(TOP + head.encode() + encoded(b"+AHQ-" + MARK[1:]))


@pytest.mark.parametrize("name", [b"utf-7", b"x-utf-7", b"csUTF7"])
def test_t_mime_26_a_charset_that_the_markup_names(name: bytes) -> None:
    head = b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert is_seen(TOP + head + encoded(b"<meta charset=" + name + b">+AHQ-" + MARK[1:]))


def test_t_mime_26_links_of_a_text_in_a_charset_of_an_odd_spelling() -> None:
    head = b"Content-Type: text/plain; charset=utf_16_le\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    text = encoded((_FAR + " http://hidden.example/").encode("utf-16-le"))
    assert [link.url for link in MessageView(TOP + head + text).links()] == ["http://hidden.example/"]


@pytest.mark.parametrize("charset", ["euc-kr", "iso-8859-1", "koi8-r", "shift_jis"])
def test_a_text_of_letters_has_one_reading(charset: str) -> None:
    head = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert len(MessageView(TOP + head + bytes(range(0xC0, 0xDF)) * 2 + b"\xc0\xbc\xc1\xb4\r\n").readings()) == 1


def test_a_plain_text_has_one_reading() -> None:
    assert len(MessageView(TOP + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "für\r\n".encode()).readings()) == 1


def test_t_mime_09_boundaries_that_begin_alike_cost_no_more_than_one() -> None:
    boundaries = b"; ".join(b"boundary=" + b"a" * length for length in range(1, 25))
    odd = (b"Content-Type: a/b;" + b'x*0*="=?u?q?%41?=(";name=*%%4;' * 999)[:500]
    block = b"--" + b"a" * 24 + b"\n" + odd + b"\n\nY: z\n\nY: z\n\nY: z\n\nzz\n"
    message = TOP + b"Content-Type: multipart/mixed; " + boundaries + b"\r\n\r\n" + block * 18
    begun = time.process_time()
    assert len(MessageView(message).readings()) > 50
    assert time.process_time() - begun < 0.3, "it took 0.6 s when each block was read for each boundary"
