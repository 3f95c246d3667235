"""ENVELOPE, BODY and BODYSTRUCTURE: RFC 3501 and 9051 sections 7.4.2, 7.5.2 and 8."""

import re
import time

import pytest

from mailward.formats import imap
from mailward.formats.message import MessageView
from support.imap_data import Data, folded, parse_imap
from support.imap_structure import numbered

# RFC 3501 section 8 and RFC 9051 section 8: the message of the sample connection (its body is not shown there)
GRAY = (
    b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
    b"From: Terry Gray <gray@cac.washington.edu>\r\n"
    b"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
    b"To: imap@cac.washington.edu\r\n"
    b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
    b"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
    b"\r\n" + b"x" * 30 + b"\r\n" + b"yy\r\n" * 91
)


def test_rfc_3501_section_8_envelope_and_body() -> None:
    view = MessageView(GRAY)
    assert parse_imap(imap.envelope(view)) == parse_imap(
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>")'
    )
    assert folded(parse_imap(imap.body(view))) == folded(
        parse_imap(b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" %d 92)' % (32 + 4 * 91))
    )


def _lines(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


# A multipart in a multipart, and messages in both
NESTED = MessageView(
    _lines(
        "Subject: outer",
        "Content-Type: multipart/mixed; boundary=a",
        "",
        "--a",
        "Content-Type: text/plain",
        "",
        "1",
        "--a",
        "Content-Type: application/octet-stream",
        "",
        "2",
        "--a",
        "Content-Type: message/rfc822",
        "Content-Description: an attached message",
        "",
        "Subject: third",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "3.1",
        "--b",
        "Content-Type: application/octet-stream",
        "",
        "3.2",
        "--b--",
        "--a",
        "Content-Type: multipart/mixed; boundary=c",
        "",
        "--c",
        "Content-Type: image/gif",
        "Content-ID: <gif@example.org>",
        "",
        "4.1",
        "--c",
        "Content-Type: message/rfc822",
        "",
        "Subject: fourth",
        "X-Two: 2",
        "",
        "4.2.1",
        "--c--",
        "--a--",
        "",
    )
)


def test_rfc_9051_section_7_5_2_the_structure_of_a_nested_message() -> None:
    text = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" %d 0 NIL NIL NIL NIL)'
    octet_stream = b'("application" "octet-stream" NIL NIL NIL "7BIT" %d NIL NIL NIL NIL)'
    third = NESTED.root.children[2]
    expected = b"".join(
        [
            b"(",
            text % 1,
            octet_stream % 1,
            b'("message" "rfc822" NIL NIL "an attached message" "7BIT" %d (NIL "third" NIL NIL NIL NIL NIL NIL NIL NIL) '
            % third.size_octets,
            b"(" + text % 3 + octet_stream % 3 + b' "mixed" ("boundary" "b") NIL NIL NIL) %d NIL NIL NIL NIL)' % 10,
            b'(("image" "gif" NIL "<gif@example.org>" NIL "7BIT" 3 NIL NIL NIL NIL)',
            b'("message" "rfc822" NIL NIL NIL "7BIT" 34 (NIL "fourth" NIL NIL NIL NIL NIL NIL NIL NIL) '
            + text % 5
            + b" 3 NIL NIL NIL NIL)",
            b' "mixed" ("boundary" "c") NIL NIL NIL)',
            b' "mixed" ("boundary" "a") NIL NIL NIL)',
        ]
    )
    assert parse_imap(imap.bodystructure(NESTED)) == parse_imap(expected)


def test_rfc_9051_section_7_5_2_a_text_of_48_lines() -> None:
    view = MessageView(
        b"Content-Type: text/plain; charset=US-ASCII\r\n\r\n" + b"x" * 45 + b"\r\n" * 2 + b"%045d\r\n" % 0 * 46 + b"y" * 68
    )
    expected = b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)'
    assert folded(parse_imap(imap.body(view))) == folded(parse_imap(expected))


def test_rfc_9051_section_7_5_2_a_text_and_a_text_attachment() -> None:
    view = MessageView(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=US-ASCII\r\n\r\n"
        + b"%048d\r\n" % 0 * 22
        + b"%050d\r\n" % 0
        + b"\r\n--b\r\nContent-Type: text/plain; charset=US-ASCII; name=cc.diff\r\n"
        b"Content-ID: <960723163407.20117h@cac.washington.edu>\r\nContent-Description: Compiler diff\r\n"
        b"Content-Transfer-Encoding: BASE64\r\n\r\n" + b"%060d\r\n" % 0 * 73 + b"%028d" % 0 + b"\r\n--b--\r\n"
    )
    expected = (
        b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff")'
        b' "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED")'
    )
    assert folded(parse_imap(imap.body(view))) == folded(parse_imap(expected))


def _envelope(*fields: bytes) -> list[Data]:
    (data,) = parse_imap(imap.envelope(MessageView(b"\r\n".join((*fields, b"", b"")))))
    assert isinstance(data, list)
    return data


def test_t_hdr_01_every_author_is_in_the_envelope() -> None:
    found = _envelope(b"From: a@one.test", b"To: x@three.test", b"From: B <b@two.test>", b"To: y@three.test")
    a, b = [None, None, b"a", b"one.test"], [b"B", None, b"b", b"two.test"]
    assert found[2:5] == [[a, b]] * 3
    assert found[5] == [[None, None, b"x", b"three.test"], [None, None, b"y", b"three.test"]]


def test_rfc_9051_section_7_5_2_absent_is_nil_and_empty_is_the_empty_string() -> None:
    assert _envelope(b"X: y") == [None] * 10
    assert _envelope(b"Date:", b"Subject: ", b"From:", b"Sender: ", b"Message-ID:", b"In-Reply-To:") == [
        *(b"", b"", None, None, None, None, None, None, b"", b""),
    ]


def test_rfc_9051_section_7_5_2_an_empty_sender_is_the_from() -> None:
    found = _envelope(b"From: a@b.test", b"Sender: ", b"Reply-To: Team:;")
    assert found[2] == found[3] == [[None, None, b"a", b"b.test"]]
    assert found[4] == [[None, None, b"Team", None], [None, None, None, None]]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b'text/x; name*0=a; name*1="b c"', [b"name", b"ab c"]),
        (b"text/x; name*1=b; name*0=a", [b"name", b"ab"]),
        # RFC 2231 section 4.1: the example
        (
            b"text/x; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
            [b"title*", b"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!"],
        ),
        (b"text/x; name*0=a%; name*1*=%41", [b"name*", b"''a%25%41"]),
        (b"text/x; name*1=a; name*2=b", [b"name*1", b"a", b"name*2", b"b"]),
        (b"text/x; name*0=a; name*2=b", [b"name*0", b"a", b"name*2", b"b"]),
        (b"text/x; name*0=a; name*0=b", [b"name*0", b"a", b"name*0", b"b"]),
        (b"text/x; name*00=a", [b"name*00", b"a"]),
        (b"text/x; name*=utf-8''a%20", [b"name*", b"utf-8''a%20"]),
        (b'text/x; name="\xc3\xa9 \'"', [b"name*", b"utf-8''%C3%A9%20%27"]),
        (b"text/x; name=\xe9", [b"name*", b"''%E9"]),
        (b"text/x; name*=latin-1''\xe9%20", [b"name*", b"latin-1''%E9%20"]),
    ],
)
def test_rfc_2231_section_6_parameters_of_sections_are_joined(content_type: bytes, expected: list[bytes]) -> None:
    view = MessageView(b"Content-Type: %b; charset=x\r\nContent-Disposition: inline%b\r\n\r\n" % (content_type, content_type[6:]))
    (data,) = parse_imap(imap.bodystructure(view))
    assert isinstance(data, list)
    assert data[2] == [*expected, b"charset", b"x"]
    assert data[9] == [b"inline", expected]


def test_t_imap_11_the_lines_of_nested_messages_are_counted_once() -> None:
    octets = b"Content-Type: message/rfc822\r\n\r\n" * 31 + b"\r\n" + b"x\r\n" * 400_000
    started = time.process_time()
    made = imap.bodystructure(MessageView(octets))
    assert time.process_time() - started < 8
    assert re.findall(rb" ([0-9]+) NIL NIL NIL NIL\)", made) == [b"%d" % (400_000 + n) for n in (0, *range(1, 62, 2))]


def test_all_extension_fields() -> None:
    view = MessageView(
        _lines(
            'Content-Type: image/png; name="a \\"b\\".png"',
            "Content-Transfer-Encoding: Base64",
            "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
            "Content-Disposition: Attachment; filename*0=a; filename*1=b",
            "Content-Language: mi, en (English)",
            "Content-Location: http://example.org/a.png",
            "",
            "AAAA",
        )
    )
    assert parse_imap(imap.bodystructure(view)) == parse_imap(
        b'("image" "png" ("name" "a \\"b\\".png") NIL NIL "BASE64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" '
        b'("attachment" ("filename" "ab")) ("mi" "en") "http://example.org/a.png")'
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"Content-Type: multipart/mixed\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\nno part",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n====",
        b"Content-Type: text/plain; charset\r\n\r\n",
        b"Content-Type: text/plain; =x; name=caf\xe9; \xff=y\r\nContent-Transfer-Encoding:\r\n\r\n",
        b"Subject: caf\xc3\xa9 \xff\0\r\nFrom: \xff <\xff@\xff>, \r\nTo: x:;,;\r\nDate: \x01\r\n\r\n",
        b"Content-Disposition: ;x=y\r\nContent-Language: ()\r\nContent-ID: " + b"a" * 5000 + b"\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n" * 200,
        b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(200)),
    ],
)
def test_t_imap_11_and_19_hostile_structures_are_seven_bit_and_of_the_grammar(octets: bytes) -> None:
    view = MessageView(octets)
    for made in (imap.envelope(view), imap.body(view), imap.bodystructure(view)):
        assert made.isascii()
        assert b"\0" not in made
        (data,) = parse_imap(made)
        assert isinstance(data, list)
    described = numbered(parse_imap(imap.bodystructure(view))[0], extended=True)
    assert all(items["encoding"] for items in described.values() if items["type"] != b"multipart")


def test_groups_in_an_envelope() -> None:
    # RFC 9051 section 7.5.2: a group is between an address with a NIL host name and one of NILs only
    view = MessageView(b"To: Team: a@b.test;, Nobody:;\r\n\r\n")
    assert parse_imap(imap.envelope(view))[0][5] == [  # type: ignore[index]
        [None, None, b"Team", None],
        [None, None, b"a", b"b.test"],
        [None, None, None, None],
        [None, None, b"Nobody", None],
        [None, None, None, None],
    ]


def test_an_envelope_in_utf_8_has_what_stands_in_the_message() -> None:
    view = MessageView(
        'From: "Jürgen" <jürgen@example.org>\r\nTo: Grüppe: a@exämple.org;\r\nSubject: Grüße "\\"\r\nMessage-ID: <1>\r\n\r\n'.encode()
    )
    (written,) = parse_imap(imap.utf8_envelope(view))
    expected = '(NIL "Grüße \\"\\\\\\"" (("Jürgen" NIL "jürgen" "example.org"))'
    assert imap.utf8_envelope(view).startswith(expected.encode())
    assert isinstance(written, list)
    assert len(written) == 10
    assert imap.utf8_envelope(MessageView(b"Subject: Gr\xfc\xdfe\r\n\r\n")).isascii(), "Latin-1 stays in 7 bits"
