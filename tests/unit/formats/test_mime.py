"""The tree of parts: RFC 2046 section 5.1, and structures that hide things (T-MIME)."""

import base64
import time

import pytest

from mailward.formats.message import MessageView


def _lines(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def _types(view: MessageView) -> list[tuple[int, str]]:
    return [(part.depth, part.content_type) for part in view.parts()]


def test_rfc_2046_section_5_1_1_example() -> None:
    view = MessageView(
        _lines(
            "From: Nathaniel Borenstein <nsb@bellcore.com>",
            "MIME-Version: 1.0",
            'Content-type: multipart/mixed; boundary="simple boundary"',
            "",
            "This is the preamble.  It is to be ignored, though it",
            "is a handy place for composition agents to include an",
            "explanatory note to non-MIME conformant readers.",
            "",
            "--simple boundary",
            "",
            "This is implicitly typed plain US-ASCII text.",
            "It does NOT end with a linebreak.",
            "--simple boundary",
            "Content-type: text/plain; charset=us-ascii",
            "",
            "This is explicitly typed plain US-ASCII text.",
            "It DOES end with a linebreak.",
            "",
            "--simple boundary--",
            "",
            "This is the epilogue.  It is also to be ignored.",
        )
    )
    first, second = view.root.children
    assert first.body_octets == b"This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak."
    assert second.body_octets.endswith(b"It DOES end with a linebreak.\r\n")
    assert (first.header_octets, second.charset) == (b"\r\n", "us-ascii")
    assert view.anomalies == ()


def test_a_digest_holds_messages_by_default() -> None:
    # RFC 2046 section 5.1.5
    view = MessageView(
        _lines(
            "Content-Type: multipart/digest; boundary=d",
            "",
            "--d",
            "",
            "From: a@example.org",
            "Subject: one",
            "",
            "text",
            "--d--",
            "",
        )
    )
    assert _types(view) == [(0, "multipart/digest"), (1, "message/rfc822"), (2, "text/plain")]
    inner = view.root.children[0].children[0]
    subject = inner.field("subject")
    assert subject is not None and (subject.text, inner.body_octets) == ("one", b"text")


def test_an_attached_message_is_opened_and_its_parts_too() -> None:
    view = MessageView(
        _lines(
            "Content-Type: multipart/mixed; boundary=out",
            "",
            "--out",
            "Content-Type: message/rfc822",
            "",
            "Subject: inner",
            "Content-Type: multipart/mixed; boundary=in",
            "",
            "--in",
            "Content-Transfer-Encoding: base64",
            "Content-Disposition: attachment; filename=x.com",
            "",
            base64.b64encode(b"EICAR").decode(),
            "--in--",
            "--out--",
            "",
        )
    )
    assert [depth for depth, _ in _types(view)] == [0, 1, 2, 3]
    assert [part.decode() for part in view.parts()][-1] == b"EICAR"
    assert "com" in view.attachment_types
    assert view.anomalies == ("MISSING_FROM",)


@pytest.mark.parametrize(
    ("encoding", "encode"), [("base64", base64.encodebytes), ("quoted-printable", lambda o: o.replace(b"=", b"=3D"))]
)
def test_an_encoded_attached_message_is_opened_too(encoding: str, encode: object) -> None:
    assert callable(encode)
    inner = b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nhidden\r\n--i--\r\n"
    view = MessageView(
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + encode(inner)
    )
    assert [part.text for part in view.texts()] == ["hidden"]
    assert "ENCODED_MESSAGE" in view.anomalies


@pytest.mark.parametrize(
    ("lines", "texts", "anomalies"),
    [
        (("Content-Type: multipart/mixed; boundary=a", "", "--a", "", "x"), ["x"], "UNCLOSED_MULTIPART"),
        (("Content-Type: multipart/mixed", "", "--a", "", "x", "--a--"), ["--a\r\n\r\nx\r\n--a--"], "MULTIPART_WITHOUT_BOUNDARY"),
        (("Content-Type: multipart/mixed; boundary=foo", "", "--faa", "", "x"), ["--faa\r\n\r\nx"], "MULTIPART_WITHOUT_PARTS"),
        (("Content-Type: multipart/mixed; boundary=a", "", "--a junk", "", "x", "--a--"), ["x"], "DELIMITER_WITH_JUNK"),
        (
            ("Content-Type: multipart/mixed; boundary=a", "", "--a", "", "x", "--a--", "--a", "", "y", "--a--"),
            ["x"],
            "PARTS_AFTER_CLOSE",
        ),
        (
            ("Content-Type: multipart/mixed; boundary=A; boundary=B", "", "--A", "", "x", "--A--"),
            ["x"],
            "AMBIGUOUS_BOUNDARY DUPLICATE_PARAMETER",
        ),
        (("Content-Type: text/plain", "Content-Type: text/html", "", "x"), ["x"], "DUPLICATE_CONTENT_TYPE"),
        (("Content-Type: text", "", "x"), ["x"], "MALFORMED_CONTENT_TYPE"),
        (("Content-Type : text/html", "", "<p>x"), ["x"], "HIDDEN_MIME_FIELD MALFORMED_FIELD"),
        (("Content-Transfer-Encoding: b ase64", "", "x"), ["x"], "MALFORMED_ENCODING"),
        (("Content-Transfer-Encoding: (c)base64", "", "eA=="), ["x"], "MALFORMED_ENCODING"),
        (('Content-Transfer-Encoding: "base64"', "", "eA=="), ["x"], "MALFORMED_ENCODING"),
        (("Content-Transfer-Encoding: base64", "", "e.A=="), ["x"], "BROKEN_BASE64"),
        (("Content-Transfer-Encoding: quoted-printable", "", "=41=4Xx=ZZ"), ["A=4Xx=ZZ"], "BROKEN_QUOTED_PRINTABLE"),
        (("Content-Transfer-Encoding: quoted-printable", "", "=4a"), ["J"], "BROKEN_QUOTED_PRINTABLE"),
        (("Content-Type: x-multipart/mixed; boundary=a", "", "--a", "", "x", "--a--"), [], "BOUNDARY_WITHOUT_MULTIPART"),
        (("", "=ybegin line=128 size=1 name=x.exe", "k"), ["=ybegin line=128 size=1 name=x.exe\r\nk"], "INLINE_FILE"),
        (("", "see", "begin 644 x.exe", "#86)C"), ["see\r\nbegin 644 x.exe\r\n#86)C"], "INLINE_FILE"),
        (
            ("Content-Type: multipart/mixed; boundary=a", "Content-Transfer-Encoding: base64", "", "--a", "", "x", "--a--"),
            ["x"],
            "ENCODED_MULTIPART",
        ),
        (('Content-Type: multipart/mixed; boundary=""', "", "--", "", "x", "----"), ["x"], "AMBIGUOUS_BOUNDARY"),
        (('Content-Type: multipart/mixed; boundary="a "', "", "--a ", "", "x", "--a--  "), ["x"], "AMBIGUOUS_BOUNDARY"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_t_mime_content_stays_in_sight_and_ambiguity_is_named(lines: tuple[str, ...], texts: list[str], anomalies: str) -> None:
    view = MessageView(_lines("From: a@example.org", *lines))
    assert [part.text for part in view.texts()] == texts
    assert view.anomalies == tuple(anomalies.split())


def test_t_mime_10_a_boundary_that_begins_like_another() -> None:
    view = MessageView(
        _lines(
            "Content-Type: multipart/mixed; boundary=foo",
            "",
            "--foo",
            "Content-Type: multipart/alternative; boundary=foobar",
            "",
            "--foobar",
            "",
            "one",
            "--foobar--",
            "--foo",
            "",
            "two",
            "--foo--",
        )
    )
    assert [(part.part.depth, part.text) for part in view.texts()] == [(2, "one"), (1, "two")]


def test_an_outer_delimiter_ends_inner_parts_that_were_left_open() -> None:
    view = MessageView(
        _lines(
            "Content-Type: multipart/mixed; boundary=o",
            "",
            "--o",
            "Content-Type: multipart/mixed; boundary=i",
            "",
            "--i",
            "Content-Type: text/plain",
            "--o",
            "",
            "after",
            "--o--",
        )
    )
    assert _types(view) == [(0, "multipart/mixed"), (1, "multipart/mixed"), (2, "text/plain"), (1, "text/plain")]
    assert [part.text for part in view.texts()] == ["", "after"]
    assert "UNCLOSED_MULTIPART" in view.anomalies


@pytest.mark.parametrize("count", [40, 1000, 10_000])
def test_t_mime_20_depth_ends_at_32(count: int) -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(count))
    messages = b"Content-Type: message/rfc822\r\n\r\n" * count
    for octets in (nested + b"\r\nEND", messages + b"END"):
        started = time.process_time()
        view = MessageView(octets)
        parts = list(view.parts())
        assert max(part.depth for part in parts) == 32
        assert "MIME_DEEP" in view.anomalies
        assert b"END" in parts[-1].body_octets
        assert time.process_time() - started < 4


@pytest.mark.parametrize("part", [b"--a\r\n", b"--a\r\n\r\n\r\n", b"--a\r\nContent-Type: message/rfc822\r\n\r\n\r\n"])
def test_t_mime_21_parts_end_at_2000(part: bytes) -> None:
    started = time.process_time()
    view = MessageView(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + part * 200_000 + b"END")
    parts = list(view.parts())
    assert len(parts) == 2000
    assert "MIME_PARTS" in view.anomalies
    assert any(b"END" in part.body_octets for part in parts[-2:])
    assert time.process_time() - started < 8


def test_t_mime_21_a_small_message_has_few_parts() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n\r\n" * 5000 + b"END"
    view = MessageView(octets)
    assert len(list(view.parts())) == 100 + len(octets) // 500
    assert "MIME_PARTS" in view.anomalies


@pytest.mark.parametrize("line", [b"--\r\n", b"--x\r\n", b"--a", b"\r\n--", b"\n"])
def test_lines_of_hyphens_take_linear_time(line: bytes) -> None:
    started = time.process_time()
    view = MessageView(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + line * 200_000)
    assert view.anomalies
    assert time.process_time() - started < 8


def test_t_mime_23_24_names_of_attachments() -> None:
    view = MessageView(
        _lines(
            'Content-Type: application/octet-stream; name="a.pdf.EXE. "',
            "Content-Disposition: attachment; filename*=utf-8''b%E2%80%AEtxt.scr; filename=c.js::$DATA",
            "",
            "x",
        )
    )
    assert view.root.filenames == ("b\u202etxt.scr", "c.js::$DATA", "c.js", "a.pdf.EXE. ")
    assert view.attachment_types == ("application/octet-stream", "exe", "js", "scr")


def test_a_message_whose_header_a_delimiter_cuts_lies_inside_its_part() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n--b--\r\n"
    _, part, inner = MessageView(octets).root.walk()
    assert part.octets == b"Content-Type: message/rfc822"
    assert part.start <= inner.start == inner.end == part.end
