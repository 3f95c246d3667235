"""Transfer encodings as the most forgiving client reads them, and as others do: RFC 2045 sections 6.7 and 6.8."""

import base64
import binascii
import mmap
import quopri
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats import chunks
from mailward.formats.transfer import Decoding, decode_chunks, decode_transfer, is_sound, other_decodings

TEXT = b"X5O!P%@AP is a text that a scanner must see"
ENCODED = base64.b64encode(TEXT)
READINGS = [Decoding("usual", partial(decode_chunks, encoding=name)) for name in ("base64", "quoted-printable")]
ALL = [*READINGS, *other_decodings("base64"), *other_decodings("quoted-printable")]


def is_sound_whole(octets: bytes, encoding: str) -> bool:
    return is_sound(octets, 0, len(octets), encoding)


def other(encoding: str, name: str) -> Callable[[bytes], bytes]:
    return next(decoding.decode for decoding in other_decodings(encoding) if decoding.name == name)


@pytest.mark.parametrize(
    "octets",
    [
        b".".join([ENCODED[:10], ENCODED[10:]]),
        b"-_".join([ENCODED[:10], ENCODED[10:]]),
        b"##".join([ENCODED[:10], ENCODED[10:]]),
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
        "hyphens",
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
    assert decode_transfer(octets, "base64").startswith(TEXT)


def test_t_mime_16_url_safe_letters_are_ignored_and_read_beside_that() -> None:
    """RFC 2045 section 6.8: what is not in the table must be ignored."""
    octets = base64.urlsafe_b64encode(b"\xfb\xff\xfe~~")
    assert decode_transfer(octets, "base64") == base64.b64decode(octets.translate(None, b"-_") + b"==") == b"~~"
    assert other("base64", "url-safe letters")(octets) == b"\xfb\xff\xfe~~"
    assert not is_sound_whole(octets, "base64")


def lines_of(octets: bytes, size: int) -> list[bytes]:
    return [octets[at : at + size] for at in range(0, len(octets), size)]


FOURS = [group.strip(b"=") for group in lines_of(ENCODED, 4)]
SIXES = base64.b64encode(TEXT + b"!!")


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("padding skipped", b"=".join(FOURS)),
        ("padding skipped", b"".join(b"==" + line + b"\r\n" for line in lines_of(ENCODED, 7))),
        ("padding skipped", b"-".join(lines_of(ENCODED, 1))),
        ("padding skipped", b"_".join(lines_of(ENCODED, 1))),
        ("ended by padding", ENCODED + b"\r\n" + base64.b64encode(b"that some never see")),
        ("padding as zeros", base64.b64encode(b"A\0\0B" + TEXT).replace(b"A", b"=")),
        ("groups of four", b"".join(b"%c=%c=" % (code[0], code[1]) for code in (base64.b64encode(b"%c" % o) for o in TEXT))),
        ("groups of four", b"".join(b"=" + base64.b64encode(pair)[:3] for pair in lines_of(TEXT[:42], 2)) + b"=P0="),
        ("line by line", b"".join(line + b"Q\r\n" for line in lines_of(ENCODED, 4))),
        ("line by line", b"AB\r\n\r\n" + ENCODED),
        ("line by line", b"".join(line + b"#junk that looks like letters\r\n" for line in lines_of(ENCODED, 8))),
        ("rest of a line skipped", b"".join(line + b"#junk that looks like letters\n" for line in lines_of(ENCODED, 7))),
    ],
)
def test_t_mime_16_another_reading_finds_the_text(name: str, octets: bytes) -> None:
    assert not is_sound_whole(octets, "base64")
    assert TEXT[:42] in other("base64", name)(octets)


@pytest.mark.parametrize(
    "octets", [b"", ENCODED, ENCODED[:8] + b"\r\n" + ENCODED[8:] + b"\r\n", b"QQ==", b"QUI=\r\n", b"Q Q\t=\r\n="]
)
def test_sound_base64(octets: bytes) -> None:
    assert is_sound_whole(octets, "base64")
    whole = decode_transfer(octets, "base64")
    assert {
        decoding.decode(octets)
        for decoding in other_decodings("base64")
        if decoding.name in ("padding skipped", "groups of four")
    } == {whole}


@pytest.mark.parametrize(
    "octets", [b"Q", b"QQ", b"QQ=", b"QQ==QUI=", b"QQ==\r\nx", b"Q-==", b"=QQQ", b"QQQQ====", b"Q===", b"QQ=Q"]
)
@pytest.mark.parametrize("blanks", [0, 3, 40])
def test_broken_base64(octets: bytes, blanks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_OCTETS", 8)
    assert not is_sound_whole(octets, "base64")
    assert not is_sound_whole(octets[:2] + b" " * blanks + octets[2:] + b" " * blanks, "base64")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"a=3Db=\r\nc", b"a=bc"),
        (b"a=3db", b"a=b"),
        (b"soft=  \r\nbreak", b"softbreak"),
        (b"soft=\nbreak", b"softbreak"),
        (b"trailing  \r\nblanks\t\r\n", b"trailing\r\nblanks\r\n"),
        (b"before =\r\n  \r\n", b"before \r\n"),
        (b"=zz =4 ==41 =", b"=zz =4 =A "),
        (b"=4=\r\n1 ==\r\n41", b"=41 =41"),
        (b"=\r41", b"=\r41"),
        (b"=", b""),
        (b"= ", b""),
        (b"", b""),
        (b"_ stays", b"_ stays"),
    ],
)
def test_t_mime_17_quoted_printable(octets: bytes, text: bytes) -> None:
    assert decode_transfer(octets, "quoted-printable") == text


QUOTED = [b"=%02X" % octet for octet in TEXT]


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("stray signs dropped", b"=".join(QUOTED)),
        ("stray signs dropped", b"".join(b"%c" % octet if octet in b"aceA5" else b"=%c" % octet for octet in TEXT)),
        ("stray signs dropped with the next character", b"=0".join([b"", *QUOTED])),
        ("stray signs dropped with the next character", b"= ".join([b"", *QUOTED])),
        ("stray signs dropped with the next character", b"=\t".join([b"", *QUOTED])),
        ("stray signs dropped with the next character", b"=0X=0==0\r\n" + TEXT[1:].replace(b"P", b"=0P")),
        ("stray signs dropped with the next character", b"".join(b"=z%c" % octet for octet in TEXT)),
        ("stray signs dropped with the next character", b"".join(b"= %c" % octet for octet in TEXT)),
        ("illegal escapes dropped", b"=0X".join([b"", *QUOTED])),
        ("illegal escapes dropped", b"=0a".join([b"", *QUOTED])),
        ("illegal escapes dropped", b"=zz".join([b"", *QUOTED])),
        ("lower-case digits kept", TEXT + b"=3d"),
        ("doubled signs", TEXT + b"==3D"),
        ("any soft break", b"=\r".join([b"", *QUOTED])),
        ("any soft break", b"= \r\r\n".join([b"", *QUOTED])),
        ("any soft break", b"".join(escape[:2] + b"=\r\n" + escape[2:] for escape in QUOTED)),
        ("lines joined", b"".join(escape[:2] + b"\r\n" + escape[2:] for escape in QUOTED)),
    ],
)
def test_t_mime_17_another_reading_finds_the_text(name: str, octets: bytes) -> None:
    assert not is_sound_whole(octets, "quoted-printable")
    assert TEXT in other("quoted-printable", name)(octets)


def test_t_mime_17_lower_case_digits_can_be_kept() -> None:
    assert other("quoted-printable", "lower-case digits kept")(b"=3d=3D") == b"=3d="


def test_quoted_printable_reads_what_another_library_wrote() -> None:
    text = bytes(range(256)) * 3
    assert decode_transfer(quopri.encodestring(text, quotetabs=True), "quoted-printable") == text


def test_t_mime_13_gzip64_is_base64() -> None:
    assert [decoding.decode(ENCODED) for decoding in other_decodings("x-gzip64")] == [TEXT]
    assert other_decodings("7bit") == () == other_decodings("x-unknown")


@given(st.lists(st.sampled_from([b"Q", b"QUJD", b"=", b"==", b"-", b"\r\n", b"#"])))
def test_one_reading_is_that_of_the_standard_library(tokens: list[bytes]) -> None:
    octets = b"".join(tokens)
    try:
        expected = binascii.a2b_base64(octets)
    except binascii.Error:
        return
    assert other("base64", "ended by padding")(octets) == expected


@pytest.mark.parametrize("decoding", ALL, ids=lambda decoding: decoding.name)
@given(
    tokens=st.lists(
        st.sampled_from(
            [b"=", b"=4", b"=41", b"=3d", b"A", b"+/", b"-", b"#", b" ", b"\t", b"\r", b"\n", b"\r\n", b"==", b"\xff", b"QUJD"]
        )
    ),
    before=st.integers(0, 5),
)
def test_pieces_are_the_whole(decoding: Decoding, tokens: list[bytes], before: int) -> None:
    octets = b"".join(tokens)
    whole = decoding.decode(octets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_OCTETS", 16)
        found = list(decoding.chunks(b"=" * before + octets + b"=4", before, before + len(octets)))
    assert b"" not in found
    # In a line that is longer than a piece, what those take together may be cut apart.
    if decoding.name not in ("doubled signs", "stray signs dropped with the next character") or all(
        len(line) < 16 for line in octets.split(b"\n")
    ):
        assert b"".join(found) == whole


@given(st.binary(), st.sampled_from(["base64", "quoted-printable"]))
def test_what_is_sound_is_read_alike(octets: bytes, encoding: str) -> None:
    text = base64.encodebytes(octets) if encoding == "base64" else quopri.encodestring(octets, quotetabs=True)
    assert is_sound_whole(text, encoding)
    ours = decode_transfer(text, encoding)
    assert ours == octets
    unlike = {"line by line", "rest of a line skipped", "padding as zeros", "lines joined"}
    alike = {ours, ours.replace(b"\r\n", b"\n")} if encoding == "quoted-printable" else {ours}
    assert {decoding.decode(text) for decoding in other_decodings(encoding) if decoding.name not in unlike} <= alike


def test_a_body_is_read_from_a_file_piece_by_piece() -> None:
    body = base64.encodebytes(TEXT * 50_000)
    with tempfile.TemporaryFile() as file:
        file.write(b"Header: x\r\n\r\n" + body)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
            assert is_sound(octets, 13, len(octets), "base64")
            assert is_sound(octets, 0, len(octets), "quoted-printable")
            found = list(decode_chunks(octets, 13, len(octets), "base64"))
            assert b"".join(found) == TEXT * 50_000
            assert max(map(len, found)) <= chunks.CHUNK_OCTETS
            assert b"".join(decode_chunks(octets, 13, len(octets), "8bit")) == body


def test_memory_does_not_grow_with_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small objects made of one piece may weigh many times as much, but not as much as the body."""
    monkeypatch.setattr(chunks, "CHUNK_OCTETS", 16 * 1024)
    lines = [base64.b64encode(TEXT[:42]) + b"==\r\n"] * 1000
    with tempfile.TemporaryFile() as file:
        for _ in range(12):
            file.writelines(lines)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
            assert len(octets) > 40 * chunks.CHUNK_OCTETS
            for decoding in ALL:
                tracemalloc.start()
                assert sum(map(len, decoding.chunks(octets, 0, len(octets)))) > 20 * chunks.CHUNK_OCTETS
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                assert peak < 20 * chunks.CHUNK_OCTETS, decoding.name


@pytest.mark.parametrize(
    "octets",
    [
        b"=" * 300_000,
        b"= " * 150_000,
        b" " * 300_000,
        b"QQ==" * 75_000,
        b"Q=" * 150_000,
        b"\n" * 300_000,
        b"=4" * 150_000,
        b"= \t" * 100_000,
    ],
    ids=lambda octets: repr(octets[:4]),
)
def test_t_mime_16_17_every_reading_is_linear(octets: bytes) -> None:
    for decoding in ALL:
        started = time.process_time()
        decoding.decode(octets)
        assert time.process_time() - started < 12, decoding.name
