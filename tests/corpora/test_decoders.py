"""Files in TNEF, uuencode and BinHex as other programs extracted them, and what hides behind broken transfer encodings."""

import base64
import re

import pytest

from mailward.formats.inline_files import find_inline_files
from mailward.formats.tnef import read_tnef
from mailward.formats.transfer import decode_transfer, other_decodings
from support.corpora import corpus_members
from support.mail import crlf

_OLE_STORAGE = bytes.fromhex("0b00000000000000c000000000000046")
"""Some programs take the interface that an object has for its first octets."""
_BODY = re.compile(rb"\r?\n\r?\n(.*?)(?:\r?\n--[^\n]*+|\Z)", re.DOTALL)
_ENCODING = tuple(f"multipart-basic-singlepart-{kind}" for kind in ("b64h", "bin", "gzip", "mac", "noenc", "qp", "uu", "x-"))
"""The messages whose header and structure are sound, but for the encoding."""


def plain(content: bytes) -> bytes:
    return content.removeprefix(_OLE_STORAGE).replace(b"\r\n", b"\n").rstrip(b"\0")


def test_t_mime_28_tnef_files_are_those_that_others_extract() -> None:
    members = corpus_members("clients", "tnef.tar.xz")
    streams = {name.removesuffix(".tnef"): octets for name, octets in members.items() if name.endswith(".tnef")}
    compared = 0
    for stem, octets in streams.items():
        found = read_tnef(octets)
        assert not found.is_damaged and not found.is_cut
        contents = {plain(b"".join(file.chunks(octets))) for file in found.files}
        expected = {name: content for name, content in members.items() if name.startswith(f"{stem}/")}
        assert {name for name, content in expected.items() if plain(content) not in contents} == set()
        compared += len(expected)
        listed = members.get(f"{stem}.list", b"").decode().split("\n")
        # Outlook's own name has blanks and brackets where a program that writes files has none.
        names = {re.sub(r"[ ()]", "_", file.name) for file in found.files}
        assert {re.sub(r"[ ()]", "_", name) for name in listed if name} <= names
    assert compared >= 20


def test_t_mime_18_files_in_the_text_of_real_messages() -> None:
    found = {}
    for archive in ("stalwart-mail-parser", "gmime", "mime-tools"):
        for octets in corpus_members("mime", f"{archive}.tar.xz").values():
            for file in find_inline_files(octets, 0, len(octets)):
                found[file.kind, file.name] = file.decode(octets, 1_000_000)
    assert found["uuencode", "photo.jpg"][:3] == b"\xff\xd8\xff"
    assert found["uuencode", "raptors.png"][:3] == b"\xff\xd8\xff"
    assert found["binhex", "blueball.png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert found["binhex", "HasenundFrösche.txt"] == found["uuencode", "HasenundFrösche.txt"].replace(b"\r\n", b"\r")


def test_quoted_printable_of_another_library() -> None:
    named = {name.rsplit("/", 1)[-1]: octets for name, octets in corpus_members("mime", "gmime.tar.xz").items()}
    assert decode_transfer(named["wikipedia.qp"], "quoted-printable").split() == named["wikipedia.txt"].split()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_t_mime_16_17_18_some_reading_finds_what_is_hidden(line_end: bytes) -> None:
    members = corpus_members("mime-evasion", "hide-content.d.tar.xz")
    (plainest,) = (octets for name, octets in members.items() if name.endswith("basic-singlepart-b64h-basic-base64-basic.eml"))
    hidden = base64.b64decode(re.findall(rb"UEsDBB[A-Za-z0-9+/=\n]+", plainest)[0])
    missed = []
    for name, octets in members.items():
        if not name.rsplit("/", 1)[-1].startswith(_ENCODING):
            continue
        bodies = _BODY.findall(octets if line_end == b"\n" else crlf(octets), octets.index(b"\n\n"))
        if not any(hidden in reading for body in bodies for reading in readings(body)):
            missed.append(name)
    # A file that is compressed, and BinHex of a Perl reference instead of the file.
    assert {re.sub(r".*singlepart-", "", name) for name in missed} == {"gzip64.eml", "binhex.eml", "mac-binhex40.eml"}


def readings(body: bytes) -> list[bytes]:
    found = []
    for encoding in ("7bit", "base64", "quoted-printable", "uuencode", "yenc"):
        found.append(decode_transfer(body, encoding))
        found += [decoding.decode(body) for decoding in other_decodings(encoding)]
    return found
