"""Every way in which the parts of a message may be read: each trick of T-MIME leaves the payload in at least one reading."""

import binascii
import mmap
import time
import tracemalloc
from base64 import b64encode, encodebytes
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.formats.budgets import READING_OCTETS, READING_TIMES, READINGS
from mailward.formats.message import MessageView
from mailward.formats.readings import Reading, Readings
from support.ber import signed, value
from support.tnef import attribute, packed, properties, sized

PAYLOAD = b"MZ\x90\x00 the payload that nobody should miss, whatever the structure says \x00\xff"
BASE64 = b64encode(PAYLOAD)
LINES = b"\r\n".join(BASE64[at : at + 60] for at in range(0, len(BASE64), 60)) + b"\r\n"
TOP = b"From: a@example.net\r\nTo: b@example.org\r\nMIME-Version: 1.0\r\n"
FILE = b"Content-Type: application/octet-stream; name=a.exe\r\nContent-Transfer-Encoding: base64\r\n\r\n" + LINES
TEXT = b"Content-Type: text/plain\r\n\r\nhello\r\n"


def readings(octets: bytes) -> Readings:
    return MessageView(octets).readings()


def content(reading: Reading) -> bytes:
    return b"".join(reading.chunks())


def shows(octets: bytes, payload: bytes = PAYLOAD) -> bool:
    return any(payload in content(reading) for reading in readings(octets))


def multipart(*parts: bytes, boundary: bytes = b"A", declared: bytes = b"boundary=A") -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + part for part in parts) + b"--" + boundary + b"--\r\n"
    return TOP + b"Content-Type: multipart/mixed; " + declared + b"\r\n\r\n" + body


def single(encoding: bytes, body: bytes = LINES) -> bytes:
    return TOP + b"Content-Type: application/octet-stream\r\n" + encoding + b"\r\n" + body


def test_honest_mail_has_its_declared_readings_and_no_others() -> None:
    found = readings(multipart(TEXT, FILE))
    assert [(r.part, r.how, r.content_type, r.filenames) for r in found] == [
        ("1", "as it stands", "text/plain", ()),
        ("2", "as base64", "application/octet-stream", ("a.exe",)),
    ]
    assert all(r.is_declared and not r.is_rival for r in found) and content(found[1]) == PAYLOAD
    assert content(found[1]) == PAYLOAD  # it may be taken again
    assert not found.is_cut and not found.has_encrypted


DECLARATIONS = {
    "T-MIME-01 two": b"boundary=X; boundary=A",
    "T-MIME-01 comma": b"boundary=X, boundary=A",
    "T-MIME-01 two fields": b"boundary=X\r\nContent-Type: multipart/mixed; boundary=A",
    "T-MIME-02 section": b"boundary*0=A; boundary=X",
    "T-MIME-02 extended": b"boundary*=us-ascii''A; boundary=X",
    "T-MIME-02 plain beside extended": b"boundary*=us-ascii''X; boundary=A",
    "T-MIME-03": b'boundary="=?us-ascii?Q?A?="',
    "T-MIME-04": b"x:y=1 boundary=A",
    "T-MIME-05": b"boundary((c))=X; boundary=A",
    "T-MIME-06 blank": b'boundary=" A"',
    "T-MIME-06 NUL": b"boundary=\x00A",
    "T-MIME-07 open": b'boundary="A',
    "T-MIME-07 double": b'boundary=""A',
    "T-MIME-07 single": b"boundary='A'",
    "T-MIME-11": b"boundary=X",
    "T-MIME-12": b"charset=x",
}


@pytest.mark.parametrize("name", DECLARATIONS)
def test_t_mime_01_to_12_whatever_boundary_is_declared(name: str) -> None:
    assert shows(multipart(TEXT, FILE, declared=DECLARATIONS[name]))


def test_t_mime_08_an_empty_boundary() -> None:
    assert shows(multipart(TEXT, FILE, boundary=b"", declared=b"boundary="))


@pytest.mark.parametrize(
    "body",
    [
        b" --A\r\n" + FILE + b"--A--\r\n",
        b"--A\r\n" + TEXT + b"--A-- \r\n\r\n" + b"--A\r\n" + FILE,
        b"--A\r\n" + FILE,
        FILE + b"--A\r\n" + TEXT + b"--A--\r\n",
        b"--A\r\n" + TEXT + b"--A--\r\n" + FILE,
        b"--Ajunk\r\n" + FILE + b"--A--\r\n",
        b"\n\r--A\r\n" + FILE + b"--A--\r\n",
        b" \r--A\r\n" + FILE + b"--A--\r\n",
    ],
)
def test_t_mime_09_odd_delimiter_lines_preamble_and_epilogue(body: bytes) -> None:
    assert shows(TOP + b"Content-Type: multipart/mixed; boundary=A\r\n\r\n" + body)


def test_t_mime_10_the_same_boundary_inside_and_outside() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n" + FILE + b"--A--\r\n"
    assert shows(multipart(TEXT, inner)) and shows(multipart(inner, TEXT))


@pytest.mark.parametrize(
    "field",
    [
        b" Content-Type: multipart/mixed; boundary=A",
        b"Content-Type : multipart/mixed; boundary=A",
        b"X: y\r\n Content-Type: multipart/mixed; boundary=A",
        b"\0Content-Type: multipart/mixed; boundary=A",
        b"Content-Type: multipart; boundary=A",
        b": multipart/mixed; boundary=A",
        b"Content-Type: Content-Type: multipart/mixed; boundary=A",
    ],
)
def test_t_mime_12_a_damaged_content_type(field: bytes) -> None:
    body = b"--A\r\n" + TEXT + b"--A\r\n" + FILE + b"--A--\r\n"
    assert shows(TOP + field + b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n",
        b"Content-Transfer-Encoding: base64, quoted-printable\r\n",
        b'Content-Transfer-Encoding: "base64"\r\n',
        b"Content-Transfer-Encoding: base645\r\n",
        b"Content-Transfer-Encoding: bas\0e64\r\n",
        b"Content-Transfer-Encoding: bas(com\r\n ment)e64\r\n",
        b"Content-Transfer-Encoding: x-unknown\r\nContent-Transfer-Encoding: base64\r\n",
    ],
)
def test_t_mime_13_contradictory_encodings(fields: bytes) -> None:
    assert shows(single(fields))
    plain = b"plain payload, not encoded at all\r\n"
    if fields.count(b"7bit"):
        assert shows(single(fields, plain), plain.strip())


def test_t_mime_13_the_encoding_that_is_not_declared_is_a_rival() -> None:
    fields = b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n"
    rivals = [r for r in readings(single(fields)) if r.is_rival]
    assert [content(r) for r in rivals] == [PAYLOAD] and rivals[0].how == "as base64"


def test_t_mime_14_a_multipart_or_message_with_an_encoding() -> None:
    inner = b"--A\r\n" + FILE + b"--A--\r\n"
    field = b"Content-Type: multipart/mixed; boundary=A\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert shows(TOP + field + b64encode(inner))
    assert shows(TOP + field + inner)
    field = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert shows(TOP + field + b64encode(multipart(TEXT, FILE)))
    assert shows(TOP + field + b64encode(TOP + field + b64encode(multipart(TEXT, FILE))))


@pytest.mark.parametrize("newline", [b"\r", b"\n\r", b"\r\r\n", b"\n", b"\r\x0b\n"])
def test_t_mime_15_header_lines_that_end_in_other_ways(newline: bytes) -> None:
    part = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n".replace(b"\n", newline) + LINES
    assert shows(multipart(TEXT, part))


def test_t_mime_15_an_empty_line_between_fields() -> None:
    assert shows(multipart(TEXT, b"Content-Type: text/plain\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\n" + LINES))


def test_t_mime_16_broken_base64() -> None:
    field = b"Content-Transfer-Encoding: base64\r\n"
    for letters in (BASE64.replace(b"A", b"A#"), b"=".join(BASE64[at : at + 4] for at in range(0, len(BASE64), 4)), BASE64[:-1]):
        assert shows(single(field, letters + b"\r\n"), PAYLOAD[:-3]), letters


@pytest.mark.parametrize("escape", [b"=%02x", b"==%02X", b"=0=%02X", b"=0X=%02X"])
def test_t_mime_17_broken_quoted_printable(escape: bytes) -> None:
    body = b"=\r\n".join(b"".join(escape % octet for octet in PAYLOAD[at : at + 10]) for at in range(0, len(PAYLOAD), 10))
    assert shows(single(b"Content-Transfer-Encoding: quoted-printable\r\n", body + b"\r\n"))


def test_t_mime_18_files_in_the_text() -> None:
    lines = b"begin 644 a.exe\r\n#86)C\r\n`\r\nend\r\n"
    (found,) = [r for r in readings(TOP + b"\r\nLook:\r\n" + lines) if r.how == "uuencode in the text"]
    assert content(found) == b"abc" and found.filenames == ("a.exe",) and found.is_rival


def test_base64_that_was_pasted_into_a_text_is_read_too() -> None:
    assert shows(TOP + b"\r\nHere it is:\r\n" + LINES)


def test_t_mime_19_fragments_are_read_as_they_stand() -> None:
    field = b"Content-Type: message/partial; id=x; number=2; total=1000000000\r\n"
    found = readings(TOP + field + b"\r\n" + LINES)
    assert [r.content_type for r in found if r.is_declared] == ["message/partial"]


def test_t_mime_28_files_of_a_winmail_dat_need_no_structure() -> None:
    stream = b"\x78\x9f\x3e\x22\x01\x00" + b"\xff" * 40
    part = b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64encode(stream)
    assert content(readings(multipart(TEXT, part + b"\r\n"))[1]) == stream


def test_t_mime_29_opaque_signed_content_is_opened_and_encrypted_content_is_named() -> None:
    def value(tag: int, inner: bytes) -> bytes:
        return bytes([tag, 0x82]) + len(inner).to_bytes(2, "big") + inner

    signed = bytes.fromhex("06092a864886f70d010702")
    data = bytes.fromhex("06092a864886f70d010701") + value(0xA0, value(0x04, FILE))
    made = value(0x30, signed + value(0xA0, value(0x30, b"\x02\x01\x01" + value(0x31, b"") + value(0x30, data))))
    field = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    found = readings(TOP + field + b64encode(made))
    assert [(r.part, content(r)) for r in found if r.is_declared][1] == (" signed, ", PAYLOAD)
    encrypted = value(0x30, bytes.fromhex("06092a864886f70d010703") + value(0xA0, b""))
    assert readings(TOP + field + b64encode(encrypted)).has_encrypted


def test_binary_content_whose_line_ends_were_changed_on_the_way() -> None:
    octets = b"PK\x03\x04 ab\ncd"
    message = multipart(TEXT, b"Content-Type: application/zip\r\n\r\n" + octets.replace(b"\n", b"\r\n") + b"\r\n")
    assert octets in [content(r) for r in readings(message)]


def test_t_mime_20_a_payload_deeper_than_parts_are_read() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(150))
    assert shows(TOP + nested + FILE)


def test_t_mime_21_a_payload_behind_more_parts_than_are_read() -> None:
    assert shows(multipart(*[b"\r\n"] * 30_000, FILE))
    assert shows(multipart(*[b"\r\n"] * 30_000, FILE.replace(b"base64", b"x"), declared=b"boundary=X"))


def test_what_is_beyond_the_budget_is_said() -> None:
    body = b"".join(b"--%d\r\n" % number + FILE for number in range(3000))
    found = readings(TOP + b"Content-Type: multipart/mixed; boundary=X; boundary=Y\r\n\r\n" + body)
    assert found.is_cut and len([r for r in found if not r.is_declared]) <= READINGS


PIECES = (
    b'--A\r\n|--A--\r\n|--B\n|\r\n|\r|Content-Type: |multipart/mixed; boundary=|A|B|(|"|Content-Transfer-Encoding: |base64\r\n|'
    b"quoted-printable\r\n|UEsDBAo=|=41=4|\0|message/rfc822\r\n|begin 644 a\r\n|=ybegin line=128 size=3 name=x\r\n|\xff|"
    b"application/pkcs7-mime\r\n"
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES.split(b"|")), max_size=60))
def test_any_octets_have_bounded_readings_and_nothing_raises(pieces: list[bytes]) -> None:
    octets = TOP + b"".join(pieces)
    found = readings(octets)
    budget = READING_OCTETS + READING_TIMES * len(octets)
    assert sum(r.size_octets for r in found if not r.is_declared) <= budget
    for reading in found:
        assert len(content(reading)) <= reading.size_octets


UNITS = [
    b"--A\r\n\r\n",
    b"--A\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n",
    b"\r\n--",
    b"--b--\r\n",
    b"QUJD\r\n",
    b"=41",
    b"\r",
]
UNITS += [
    b"boundary=A;",
    b"--A\r\nContent-Transfer-Encoding: base64\r\n\r\n=\r\n",
    b"(",
    b"begin 644 a\r\n",
    b"--A\r\n:\r\n\r\n:\r\n\r\n",
]


@pytest.mark.parametrize("unit", UNITS)
def test_t_mime_20_21_hostile_messages_cost_no_more_than_their_size(unit: bytes) -> None:
    def seconds(octets: int) -> float:
        message = multipart(unit * (octets // len(unit)), declared=b"boundary=A; boundary=B")
        started = time.process_time()
        for reading in readings(message):
            for _ in reading.chunks():
                pass
        return time.process_time() - started

    small = max(seconds(40_000), 0.02)
    assert seconds(400_000) < 40 * small


def test_a_mapped_message_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "big.eml"
    lines = (b"QUJD" * 19 + b"\r\n") * 1000
    with path.open("wb") as made:
        made.write(TOP + b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        for _ in range(400):
            made.write(lines)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        message = MessageView(octets)
        tracemalloc.start()
        (reading,) = message.readings()
        size = sum(len(piece) for piece in reading.chunks())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size == 400 * 1000 * 57 and peak < 8 * 1024 * 1024
        del message, reading


@pytest.mark.parametrize("junk", [b"!", b" !", b" " * 210 + b"!", b"-- !", b" " * 3000 + b"x"])
def test_t_mime_09_a_delimiter_line_with_junk_is_one_to_some_readers_only(junk: bytes) -> None:
    """Where others go on in the part, the base64 goes on behind that line."""
    head, tail = LINES[:40], LINES[40:]
    found = multipart(
        b"Content-Transfer-Encoding: base64\r\n\r\n" + head + b"\r\n--....", boundary=b"....", declared=b'boundary="...."'
    )
    octets = found.removesuffix(b"--....--\r\n") + junk + b"\r\n\r\n" + tail + b"\r\n--....--\r\n"
    view = MessageView(octets)
    assert {"DELIMITER_WITH_JUNK", "PARTS_AFTER_CLOSE"} & set(view.anomalies)
    assert any(PAYLOAD in content(reading) and reading.is_rival for reading in view.readings())


@pytest.mark.parametrize("kind", [b"news", b"http", b"feedback-report", b"x-unknown"])
def test_t_mime_14_whatever_is_called_a_message_is_opened(kind: bytes) -> None:
    short = b"\r\n".join(BASE64[at : at + 40] for at in range(0, len(BASE64), 40))
    inner = b"Subject: y\r\nContent-Transfer-Encoding: base64\r\n\r\n" + short + b"\r\n"
    assert shows(TOP + b"Content-Type: message/" + kind + b"\r\n\r\n" + inner)
    assert shows(multipart(TEXT, b"Content-Type: message/" + kind + b"\r\n\r\n" + inner))


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: application/octet-stream; name=smime.p7m\r\nContent-Disposition: attachment; filename=x.bin",
        b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=s.p7m; filename*=utf-8''x.bin",
        b"Content-Type: application/pkcs7-signature; name=smime.p7s",
        b"Content-Type: image/png",
    ],
)
def test_t_mime_23_29_a_signed_object_is_opened_whatever_it_is_called(header: bytes) -> None:
    encoded = b64encode(signed(value(0x04, FILE)))
    lines = b"\r\n".join(encoded[at : at + 72] for at in range(0, len(encoded), 72))
    assert shows(TOP + header + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines + b"\r\n")


def test_t_mime_29_a_signed_object_that_was_not_read_to_its_end_cuts_the_readings() -> None:
    encoded = b64encode(signed(value(0x24, b"\x04\x00" * 100_001 + value(0x04, FILE))))
    lines = b"\r\n".join(encoded[at : at + 72] for at in range(0, len(encoded), 72))
    octets = TOP + b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines
    assert readings(octets).is_cut


@pytest.mark.parametrize("name", [b"winmail.dat", b"x.bin"])
def test_t_mime_28_packed_text_of_a_tnef_is_unpacked(name: bytes) -> None:
    rtf = packed(b"", b"{\\rtf1 " + PAYLOAD + b"}")
    encoded = b64encode(b"\x78\x9f\x3e\x22\0\0" + attribute(0x69003, properties(sized(0x102, 0x1009, rtf)), 1))
    header = b"Content-Type: application/octet-stream; name=" + name + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert shows(TOP + header + encoded + b"\r\n")


@pytest.mark.parametrize("lines", [10, 40_000])
def test_t_mime_18_a_file_in_a_long_encoded_text_is_found(lines: int) -> None:
    uu = b"".join(binascii.b2a_uu(PAYLOAD[at : at + 45]) for at in range(0, len(PAYLOAD), 45))
    text = (
        b"an honest line of text, one of many\r\n" * lines + b"begin 644 a.exe\r\n" + uu.replace(b"\n", b"\r\n") + b"`\r\nend\r\n"
    )
    encoded = encodebytes(text).replace(b"\n", b"\r\n")
    assert shows(TOP + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded)


def test_t_mime_26_wide_text_is_read_as_text() -> None:
    encoded = encodebytes("<script>the payload</script>".encode("utf-16")).replace(b"\n", b"\r\n")
    octets = TOP + b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    assert shows(octets, b"<script>the payload</script>")


def test_t_mime_29_armoured_text_is_encrypted() -> None:
    assert readings(TOP + b"\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ==\r\n-----END PGP MESSAGE-----\r\n").has_encrypted


def test_t_mime_01_very_many_odd_boundaries_cut_the_readings() -> None:
    part = b"--a\r\nContent-Type: multipart/mixed;" + b";boundary=\\\"'x" * 16 + b"\r\n\r\n"
    octets = TOP + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + part * 100
    begun = time.process_time()
    assert readings(octets).is_cut
    assert time.process_time() - begun < 12
