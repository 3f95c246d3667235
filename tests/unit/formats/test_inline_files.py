"""uuencode, yEnc and BinHex, declared or standing in the text: T-MIME-18."""

import base64
import binascii
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats import chunks
from mailward.formats.inline_files import InlineFile, find_inline_files, has_inline_file
from mailward.formats.transfer import decode_transfer, other_decodings

CONTENT = bytes(range(256)) * 2 + b"\x90\x90\x90 and \0\0\0\0\0\0\0\0 the end"
HQX = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def lines_of(octets: bytes, size: int) -> list[bytes]:
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def uu_lines(content: bytes) -> bytes:
    return b"".join(binascii.b2a_uu(line) for line in lines_of(content, 45)).replace(b"\n", b"\r\n")


def uu(content: bytes, name: bytes = b"a.exe") -> bytes:
    return b"begin 644 " + name + b"\r\n" + uu_lines(content) + b"`\r\nend\r\n"


def yenc(content: bytes, name: bytes = b"a.exe") -> bytes:
    """The encoding as its draft 1.3 has it: every octet plus 42, what a line cannot hold escaped by an equals sign."""
    octets = [(octet + 42) & 0xFF for octet in content]
    escaped = b"".join(bytes([0x3D, (octet + 64) & 0xFF]) if octet in (0, 10, 13, 0x3D) else bytes([octet]) for octet in octets)
    body = b"\r\n".join(lines_of(escaped, 128))
    size = len(content)
    return b"=ybegin line=128 size=%d name=%s\r\n%s\r\n=yend size=%d\r\n" % (size, name, body, size)


def binhex(content: bytes, name: bytes = b"a.exe", resource: bytes = b"", runs: bool = True) -> bytes:
    """RFC 1741 appendix A: a header, the forks, runs shortened, six bits a letter. The checksums are left zero."""
    header = (
        bytes([len(name)])
        + name
        + b"\0TEXTttxt\0\0"
        + len(content).to_bytes(4, "big")
        + len(resource).to_bytes(4, "big")
        + b"\0\0"
    )
    packed = (header + content + b"\0\0" + resource + b"\0\0").replace(b"\x90", b"\x90\0")
    if runs:
        packed = packed.replace(b"\0\0\0\0\0\0\0\0", b"\0\x90\x08")
    letters = base64.b64encode(packed).rstrip(b"=").translate(bytes.maketrans(BASE64, HQX))
    return b"(This file must be converted with BinHex 4.0)\r\n:" + b"\r\n".join(lines_of(letters, 64)) + b":\r\n"


def found_in(text: bytes) -> list[tuple[str, str, bytes]]:
    return [(found.kind, found.name, found.decode(text, 1_000_000)) for found in find_inline_files(text, 0, len(text))]


BLOCKS = {
    "uuencode": uu(CONTENT),
    "base64": b"begin-base64 644 a.exe\r\n" + base64.encodebytes(CONTENT).replace(b"\n", b"\r\n") + b"====\r\n",
    "yenc": yenc(CONTENT),
    "binhex": binhex(CONTENT),
}


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("before", [b"", b"Look at this:\r\n\r\n", b"begin the day with\r\n: this\r\n"])
def test_t_mime_18_a_block_is_found_wherever_it_stands(kind: str, before: bytes) -> None:
    text = before + BLOCKS[kind] + b"\r\nBye\r\n"
    assert found_in(text) == [(kind, "a.exe", CONTENT)]
    (found,) = find_inline_files(text, 0, len(text))
    assert text[found.start : found.end] == BLOCKS[kind]
    assert has_inline_file(text, 0, len(text))
    assert find_inline_files(text, 0, len(before)) == ()
    assert not has_inline_file(text, len(before) + 1, len(text))


@pytest.mark.parametrize("kind", BLOCKS)
def test_t_mime_18_bare_line_feeds_will_do(kind: str) -> None:
    if kind != "yenc":
        assert found_in(BLOCKS[kind].replace(b"\r\n", b"\n")) == [(kind, "a.exe", CONTENT)]


def test_t_mime_18_several_blocks() -> None:
    text = b"".join(BLOCKS.values()) + uu(b"second", b"b c.txt") + b"between\r\n" + yenc(b"third")
    assert [kind for kind, _, _ in found_in(text)] == [*BLOCKS, "uuencode", "yenc"]
    assert found_in(text)[-2:] == [("uuencode", "b c.txt", b"second"), ("yenc", "a.exe", b"third")]


def test_t_mime_18_a_block_without_end_goes_on_to_the_next() -> None:
    cut = uu(CONTENT).removesuffix(b"`\r\nend\r\n")
    assert found_in(cut + uu(b"second")) == [("uuencode", "a.exe", CONTENT), ("uuencode", "a.exe", b"second")]


def test_t_mime_18_lines_that_are_none_are_skipped() -> None:
    lines = uu(CONTENT).split(b"\r\n")
    text = b"\r\n\r\njunk in lower case\r\n".join([b"\r\n".join(lines[:2]), b"\r\n".join(lines[2:])])
    assert found_in(text) == [("uuencode", "a.exe", CONTENT)]


def test_t_mime_18_talk_about_a_file_is_none() -> None:
    for text in (
        b"begin 644 a.exe\r\nis how it starts\r\n",
        b"begin 2026 with\r\nA SHOUT\r\n",
        b"(This file must be converted with BinHex)\r\n",
    ):
        assert find_inline_files(text, 0, len(text)) == ()
        assert not has_inline_file(text, 0, len(text))


def test_t_mime_18_talk_about_very_many_files_is_one() -> None:
    text = b"begin 644 x\nno\n" * 5000
    (file,) = find_inline_files(text, 0, len(text))
    assert (file.start, file.end) == (199 * 15 - 1, len(text))
    assert has_inline_file(text, 0, len(text))


def test_t_mime_18_names_are_text_whatever_their_octets() -> None:
    assert [name for _, name, _ in found_in(uu(b"x", b"\xff\xfe") + uu(b"x", "ä".encode()))] == ["ÿþ", "ä"]


def test_t_mime_18_a_little_binhex_stands_for_no_more_than_asked() -> None:
    bomb = binhex(b"\0" * 8 + CONTENT)
    (found,) = find_inline_files(bomb, 0, len(bomb))
    assert found.decode(bomb, 3) == b"\0\0\0"


def test_binhex_resource_fork_and_long_runs() -> None:
    text = binhex(b"\x90" * 600 + b"data", resource=b"resource", runs=False)
    assert found_in(text) == [("binhex", "a.exe", b"\x90" * 600 + b"dataresource")]
    packed = base64.b64encode(b"\x01a\0TEXTttxt\0\0" + (255).to_bytes(4, "big") + b"\0\0\0\0\0\0" + b"x\x90\xff")
    letters = packed.rstrip(b"=").translate(bytes.maketrans(BASE64, HQX))
    assert other_decodings("binhex")[0].decode(b":" + letters + b":") == b"x" * 255


@pytest.mark.parametrize("encoding", ["uuencode", "x-uuencode", "x-uue", "uue", "x-uu"])
def test_t_mime_18_declared_uuencode(encoding: str) -> None:
    assert decode_transfer(BLOCKS["uuencode"], encoding) == BLOCKS["uuencode"]
    for body in (BLOCKS["uuencode"], uu_lines(CONTENT), b"\r\n" + uu_lines(CONTENT) + b"end"):
        assert other_decodings(encoding)[0].decode(body) == CONTENT


def test_t_mime_18_broken_length_octets() -> None:
    content = CONTENT[: 45 * 5]
    broken = uu_lines(content).replace(b"M", b"#", 1).replace(b"\r\nM", b"\r\n'")
    by_length, whole = (decoding.decode(broken) for decoding in other_decodings("uuencode"))
    assert len(by_length) < len(content)
    assert whole == content


@pytest.mark.parametrize("encoding", ["yenc", "x-yenc", "x-yencode"])
def test_t_mime_18_declared_yenc(encoding: str) -> None:
    assert [decoding.decode(BLOCKS["yenc"]) for decoding in other_decodings(encoding)] == [CONTENT]


@pytest.mark.parametrize("encoding", ["binhex", "binhex40", "mac-binhex40", "x-mac-binhex40"])
def test_t_mime_18_declared_binhex(encoding: str) -> None:
    body = BLOCKS["binhex"]
    assert [decoding.decode(body) for decoding in other_decodings(encoding)] == [CONTENT]
    assert other_decodings(encoding)[0].decode(body[body.index(b":") :]) == CONTENT


@given(st.binary(), st.sampled_from(["uuencode", "yenc", "binhex"]))
def test_pieces_are_the_whole(content: bytes, encoding: str) -> None:
    body = {"uuencode": uu, "yenc": yenc, "binhex": binhex}[encoding](content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_OCTETS", 100)
        found = list(other_decodings(encoding)[0].chunks(body, 0, len(body)))
    assert b"".join(found) == content
    assert b"" not in found


TOKENS = [
    b"begin 644 a\n",
    b"begin-base64 644 b\r\n",
    b"=ybegin name=c\n",
    b"(This file must be converted with BinHex\n",
    b":",
    b"end\n",
    b"=yend",
    b"M!!\n",
    b"====\n",
    b"\x90",
    b"=",
    b"\n",
]


@given(st.lists(st.sampled_from(TOKENS)).map(b"".join))
def test_whatever_comes_the_blocks_lie_one_behind_the_other(text: bytes) -> None:
    found = find_inline_files(text, 0, len(text))
    assert bool(found) == has_inline_file(text, 0, len(text))
    at = 0
    for file in found:
        assert at <= file.start < file.body_start <= file.body_end <= file.end <= len(text)
        assert isinstance(file.decode(text, 1000), bytes)
        at = file.end


@given(st.binary(), st.sampled_from(["uu", "yenc", "binhex"]))
def test_no_octets_raise(octets: bytes, encoding: str) -> None:
    for decoding in other_decodings(encoding):
        decoding.decode(b":" + octets)


@pytest.mark.parametrize(
    "line",
    [
        b"begin 644 a\n",
        b"\n=ybegin a",
        b"(This file must be converted with BinHex\n:",
        b"AB\n",
        b"\n",
        b"begin 644 a\nAB \r\r",
        b"=}",
    ],
)
def test_t_mime_18_looking_for_files_is_linear(line: bytes) -> None:
    text = b"begin 644 a\n" + line * (300_000 // len(line))
    started = time.process_time()
    for file in find_inline_files(text, 0, len(text)):
        assert isinstance(file, InlineFile)
        file.decode(text, 100)
    for encoding in ("uu", "yenc", "binhex"):
        for decoding in other_decodings(encoding):
            decoding.decode(text)
    assert time.process_time() - started < 10
