"""ENVELOPE, BODY, BODYSTRUCTURE and sections: RFC 3501 and 9051 sections 6.4.5, 7.5.2, 8."""

import pytest

from mailward.formats import imap
from mailward.formats.message import MessageView
from mailward.formats.sections import SectionKind, section
from support.imap_data import folded, parse_imap

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


# The shape of the part numbering example in RFC 3501 section 6.4.5
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


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ((1,), "", b"1"),
        ((2,), "", b"2"),
        ((3,), "HEADER", b"Subject: third\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
        ((3,), "MIME", b"Content-Type: message/rfc822\r\nContent-Description: an attached message\r\n\r\n"),
        ((3, 1), "", b"3.1"),
        ((3, 2), "", b"3.2"),
        ((4, 1), "", b"4.1"),
        ((4, 1), "MIME", b"Content-Type: image/gif\r\nContent-ID: <gif@example.org>\r\n\r\n"),
        ((4, 2), "HEADER", b"Subject: fourth\r\nX-Two: 2\r\n\r\n"),
        ((4, 2), "TEXT", b"4.2.1"),
        ((4, 2, 1), "", b"4.2.1"),
        ((4, 2), "", b"Subject: fourth\r\nX-Two: 2\r\n\r\n4.2.1"),
        ((5,), "", b""),
        ((0,), "", b""),
        ((1, 1), "", b""),
        ((1,), "TEXT", b""),
        ((4, 2, 1, 1), "", b""),
        ((4, 2, 2), "", b""),
    ],
)
def test_rfc_3501_section_6_4_5_part_numbers(path: tuple[int, ...], kind: SectionKind, expected: bytes) -> None:
    assert section(NESTED, path, kind) == expected


def test_sections_of_the_whole_message() -> None:
    assert section(NESTED, (), "") == NESTED.octets
    assert section(NESTED, (), "HEADER") + section(NESTED, (), "TEXT") == NESTED.octets
    assert section(NESTED, (), "HEADER.FIELDS", ("SUBJECT", "X-None")) == b"Subject: outer\r\n\r\n"
    assert section(NESTED, (), "HEADER.FIELDS.NOT", ("subject",)) == b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    assert section(NESTED, (4, 2), "HEADER.FIELDS", ("x-two",)) == b"X-Two: 2\r\n\r\n"


def test_a_message_of_one_part_is_part_1() -> None:
    view = MessageView(b"Subject: x\r\n\r\nbody\r\n")
    assert section(view, (1,), "") == b"body\r\n"
    assert section(view, (1,), "MIME") == b"Subject: x\r\n\r\n"
    assert section(view, (2,), "") == b""


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
    _assert_body(parse_imap(imap.bodystructure(view))[0])


def _assert_body(data: object) -> None:
    """RFC 9051 section 9: body-type-mpart is one or more bodies and a string; the others begin with two strings."""
    assert isinstance(data, list)
    if isinstance(data[0], list):
        children = [each for each in data if isinstance(each, list)][
            : next(i for i, each in enumerate(data) if isinstance(each, bytes))
        ]
        for child in children:
            _assert_body(child)
        return
    assert isinstance(data[0], bytes)
    assert isinstance(data[1], bytes)
    assert data[0] != b"multipart"
    assert data[2] is None or all(isinstance(each, bytes) for each in data[2])
    assert isinstance(data[5], bytes)
    assert data[5]
    assert isinstance(data[6], int)
    if (data[0], data[1]) == (b"message", b"rfc822"):
        assert len(data[7]) == 10
        _assert_body(data[8])
        assert isinstance(data[9], int)
    elif data[0] == b"text":
        assert isinstance(data[7], int)


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
