"""winmail.dat, made here octet by octet after MS-OXTNEF: T-MIME-28."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.budgets import DEPTH, TNEF_FILES
from mailward.formats.lzfu import unpack_rtf
from mailward.formats.tnef import is_tnef, read_tnef
from support.tnef import attachment, attribute, packed, padded, properties, sized

HEAD = b"\x78\x9f\x3e\x22\x01\x00"
MESSAGE_IID = bytes.fromhex("0703020000000000c000000000000046")
STORAGE_IID = bytes.fromhex("0b00000000000000c000000000000046")


def listed(octets: bytes) -> list[tuple[str, str, bytes]]:
    return [(file.name, file.type, b"".join(file.chunks(octets))) for file in read_tnef(octets).files]


def test_t_mime_28_attachments_with_their_names() -> None:
    octets = HEAD + attribute(0x00089006, b"\0\0\1\0", 1)
    octets += attachment(
        b"SHORT~1.EXE", b"MZ1", sized(0x1F, 0x3707, "länger.exe\0".encode("utf-16le")), sized(0x1E, 0x370E, b"Image/PNG\0")
    )
    octets += attachment(b"plain.txt", b"two") + attachment(b"empty", b"")
    assert is_tnef(octets)
    assert listed(octets) == [("länger.exe", "image/png", b"MZ1"), ("plain.txt", "", b"two"), ("empty", "", b"")]
    found = read_tnef(octets)
    assert found.files[0].names == ("länger.exe", "SHORT~1.EXE")
    assert octets[found.files[1].start : found.files[1].end] == b"two"
    assert not found.is_damaged and not found.is_cut


def test_t_mime_28_it_may_start_anywhere() -> None:
    octets = HEAD + attachment(b"a", b"x")
    assert read_tnef(b"before" + octets + b"behind", 6, 6 + len(octets)).files[0].start == 6 + read_tnef(octets).files[0].start


def test_t_mime_28_properties_of_every_type_are_stepped_over() -> None:
    fixed = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0xA: 4, 0xB: 4, 0x14: 8, 0x40: 8, 0x48: 16}
    found = [struct.pack("<HH", kind, 0x0E00 + kind) + bytes(size) for kind, size in fixed.items()]
    found += [struct.pack("<HHI", kind | 0x1000, 0x0E00, 3) + bytes(3 * size) for kind, size in fixed.items()]
    found += [sized(0x101E, 0x6001, b"one\0", b"another\0"), sized(0x1102, 0x6002)]
    guid = bytes(16)
    found.append(struct.pack("<HH", 3, 0x8001) + guid + struct.pack("<II", 0, 7) + bytes(4))
    name = padded("named\0".encode("utf-16le"))
    found.append(
        struct.pack("<HH", 0x1F, 0x8002) + guid + struct.pack("<II", 1, 12) + name + struct.pack("<II", 1, 2) + padded(b"x\0")
    )
    octets = HEAD + attachment(b"title", b"data", *found, sized(0x1E, 0x3707, b"last.exe\0"))
    assert listed(octets) == [("last.exe", "", b"data")]
    assert not read_tnef(octets).is_damaged


def test_t_mime_28_bodies() -> None:
    body = properties(
        sized(0x1E, 0x1000, b"text\0"), sized(0x102, 0x1013, b"<p>html"), sized(0x102, 0x1009, packed(b"", b"{\\rtf1 x}"))
    )
    octets = HEAD + attribute(0x0002800C, b"old text", 1) + attribute(0x00069003, body, 1)
    assert listed(octets) == [
        ("body.txt", "text/plain", b"old text"),
        ("body.txt", "text/plain", b"text\0"),
        ("body.html", "text/html", b"<p>html"),
        ("body.rtf", "application/rtf", b"{\\rtf1 x}"),
    ]


def test_t_mime_28_an_icon_is_no_attachment() -> None:
    octets = HEAD + attribute(0x00069002, bytes(14)) + attribute(0x00068011, b"icon") + attribute(0x00018010, b"a.exe\0")
    assert listed(octets) == [("", "image/wmf", b"icon")]


def nested(depth: int) -> bytes:
    octets = HEAD + attachment(b"inner.exe", b"MZ")
    for _ in range(depth):
        octets = HEAD + attachment(b"message", None, sized(0x0D, 0x3701, MESSAGE_IID + octets))
    return octets


def test_t_mime_28_messages_inside() -> None:
    octets = HEAD + attachment(b"one", None, sized(0x0D, 0x3701, MESSAGE_IID + nested(1)), sized(0x102, 0x3701, b"plain"))
    octets += attachment(b"ole", None, sized(0x0D, 0x3701, STORAGE_IID + b"content"))
    assert [(name, content) for name, _, content in listed(octets) if name not in ("one", "message")] == [
        ("ole", b"content"),
        ("inner.exe", b"MZ"),
    ]
    assert [file.is_message for file in read_tnef(octets).files] == [True, False, False, True, False]


def test_t_mime_28_depth_and_number_are_bounded() -> None:
    assert listed(nested(DEPTH - 1))[-1] == ("inner.exe", "", b"MZ")
    assert not read_tnef(nested(DEPTH - 1)).is_cut
    found = read_tnef(nested(DEPTH + 5))
    assert found.is_cut and len(found.files) == DEPTH
    many = HEAD + attachment(b"a", b"x") * (TNEF_FILES + 1)
    assert read_tnef(many).is_cut and len(read_tnef(many).files) == TNEF_FILES
    assert not read_tnef(HEAD + attachment(b"a", b"x") * TNEF_FILES).is_cut


@pytest.mark.parametrize(
    ("octets", "contents"),
    [
        (b"", []),
        (b"\x78\x9f\x3e\x22", []),
        (b"PK\x03\x04" + attachment(b"a", b"x"), []),
        (HEAD + b"\x02", []),
        (HEAD + attribute(0x0006800F, b"whole") + b"\x03" + bytes(20), [b"whole"]),
        (HEAD + attribute(0x0006800F, b"cut short")[:-6], [b"cut s"]),
        (HEAD + struct.pack("<BII", 2, 0x0006800F, 0xFFFFFFFF) + b"bad length", [b"bad length"]),
        (HEAD + attachment(b"a", None, struct.pack("<HHII", 0x102, 0x3701, 1, 0xFFFFFFF0) + b"rest"), [b"rest"]),
        (HEAD + attachment(b"a", b"x", struct.pack("<HH", 0x77, 1), sized(0x1E, 0x3707, b"unread")), [b"x"]),
    ],
)
def test_t_mime_28_damaged_streams(octets: bytes, contents: list[bytes]) -> None:
    assert read_tnef(octets).is_damaged
    assert [content for _, _, content in listed(octets)] == contents


def test_t_mime_28_a_property_list_that_lies_about_its_length() -> None:
    for count in (0, 0xFFFFFFFF):
        octets = HEAD + attribute(0x00069002, bytes(14)) + attribute(0x0006800F, b"x")
        octets += attribute(0x00069005, struct.pack("<I", count) + sized(0x1E, 0x3707, b"name\0"))
        assert listed(octets) == [("name" if count else "", "", b"x")]
    values = HEAD + attachment(b"a", None, struct.pack("<HHI", 0x101E, 0x3707, 0xFFFFFFFF) + struct.pack("<I", 0) * 3)
    assert listed(values) == []


def test_names_are_read_in_the_code_page_of_the_stream() -> None:
    assert listed(HEAD + attribute(0x00069007, struct.pack("<II", 1251, 0), 1) + attachment(b"\xef", b""))[0][0] == "п"
    assert listed(HEAD + attribute(0x00069007, struct.pack("<II", 99999, 0), 1) + attachment(b"\xef", b""))[0][0] == "ï"


@given(st.integers(0, 2000), st.binary(max_size=4), st.integers(0, 3))
def test_t_mime_28_no_octets_raise(at: int, noise: bytes, depth: int) -> None:
    octets = bytearray(nested(depth) + attachment(b"b", b"y", sized(0x102, 0x1009, packed(b"", b"rtf"))))
    at %= len(octets)
    octets[at : at + len(noise)] = noise
    found = read_tnef(bytes(octets))
    for file in found.files:
        assert 0 <= file.start <= file.end <= len(octets)
        b"".join(file.chunks(bytes(octets)))


@pytest.mark.parametrize(
    "octets",
    [
        HEAD + attribute(0x00069002, b"") * 30_000,
        HEAD + attachment(b"a", b"x", *([struct.pack("<HH", 3, 1) + bytes(4)] * 40_000)),
        HEAD + attachment(b"a", b"x", struct.pack("<HHI", 0x101E, 1, 0xFFFFFF) + bytes(300_000)),
        HEAD
        + attachment(b"a", b"x", *([struct.pack("<HH", 3, 0x8001) + bytes(16) + struct.pack("<II", 1, 0xFFFFFFFF)] * 10_000)),
        nested(300),
    ],
)
def test_t_mime_28_reading_is_linear(octets: bytes) -> None:
    started = time.process_time()
    read_tnef(octets)
    assert time.process_time() - started < 12


def unpacked(octets: bytes) -> bytes:
    return b"".join(unpack_rtf(octets, 0, len(octets)))


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (
            "2d000000 2b000000 4c5a4675 f1c5c7a7 03000a00 72637067 31323542 320af320 68656c09 00206277 05b06c64 7d0a800f a0",
            b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
        ),
        ("1a000000 1c000000 4c5a4675 e2d44b51 41000420 5758595a 0d6e7d01 0eb0", b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),
    ],
    ids=["MS-OXRTFCP section 3.1.1", "MS-OXRTFCP section 3.1.2, a reference into what it writes"],
)
def test_compressed_rtf(octets: str, text: bytes) -> None:
    assert unpacked(bytes.fromhex(octets)) == text
    assert text.startswith(unpacked(bytes.fromhex(octets)[:-4]))


def test_compressed_rtf_that_is_none() -> None:
    assert unpacked(struct.pack("<II4sI", 15, 3, b"MELA", 0) + b"abc") == b"abc"
    assert unpacked(b"{\\rtf1 as it is") == b"{\\rtf1 as it is"
    assert unpacked(b"") == b""


def test_compressed_rtf_in_pieces_is_whole() -> None:
    text = bytes(range(32, 127)) * 2000
    found = list(unpack_rtf(packed(b"", text), 0, len(packed(b"", text))))
    assert b"".join(found) == text and len(found) > 3
    assert max(map(len, found)) < 64 * 1024


@given(st.binary(max_size=300))
def test_no_compressed_rtf_raises(tokens: bytes) -> None:
    assert len(unpacked(packed(tokens))) <= 17 * len(tokens)
