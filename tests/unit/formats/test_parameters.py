"""Content-Type and Content-Disposition: RFC 2045 section 5.1, RFC 2231."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats import parameters
from mailward.formats.parameters import parse_parameterised, strip_comments


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain; charset=us-ascii (Plain text)", {"charset": "us-ascii"}),
        (b'text/plain; charset="us-ascii"', {"charset": "us-ascii"}),
        # RFC 2231 section 3
        (
            b'message/external-body; access-type=URL; URL*0="ftp://";URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"',
            {"access-type": "URL", "url": "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"},
        ),
        # section 4
        (
            b"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            {"title": "This is ***fun***"},
        ),
        # section 4.1
        (
            b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; "
            b'title*2="isn\'t it!"',
            {"title": "This is even more ***fun*** isn't it!"},
        ),
        (b"a/b; n*2=c; n*0=a; n*1=b", {"n": "abc"}),
        (b"a/b; x = y ;; z= w", {"x": "y", "z": "w"}),
        (b'a/b; x="a\\"b;c"', {"x": 'a"b;c'}),
        (b"a/b", {}),
    ],
)
def test_well_formed(value: bytes, expected: dict[str, str]) -> None:
    found = parse_parameterised(value)
    assert found.parameters == expected
    assert not found.problems


def test_t_mime_04_a_semicolon_forgotten_behind_a_quoted_value() -> None:
    found = parse_parameterised(b'text/plain; format=flowed; charset="koi8-r"\treply-type=original; x="a" b')
    assert found.parameters == {"format": "flowed", "charset": "koi8-r", "reply-type": "original", "x": "ab"}
    assert found.problems == {"MALFORMED_PARAMETER"}


@pytest.mark.parametrize(
    "parameter", [b"n*=abc", b"n*0*=abc", b"n*0*=abc; n*1*=utf-8''d", b"n*0=a; n*2=b", b"n*1=a", b"n*0=a; n*0=b"]
)
def test_t_mime_02_sections_that_rfc_2231_does_not_allow(parameter: bytes) -> None:
    assert parse_parameterised(b"a/b; " + parameter).problems & {"MALFORMED_PARAMETER", "DUPLICATE_PARAMETER"}


def test_t_mime_23_every_reading_of_a_name_is_kept() -> None:
    found = parse_parameterised(b"attachment; filename=a.txt; filename*=utf-8''b.exe; filename=c.pdf")
    assert found.readings["filename"] == ("b.exe", "a.txt", "c.pdf")
    assert found.parameters["filename"] == "b.exe"
    assert found.problems == {"DUPLICATE_PARAMETER"}


@pytest.mark.parametrize(
    ("value", "boundaries", "problems"),
    [
        # T-MIME-01: which of two?
        (b"multipart/mixed; boundary=A; boundary=B", b"A|B", "AMBIGUOUS_BOUNDARY DUPLICATE_PARAMETER"),
        (b"multipart/mixed; boundary=A, boundary=B", b"A, boundary=B|B|A", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary=A,B", b"A,B|A", "AMBIGUOUS_BOUNDARY"),
        (b"boundary=A", b"A", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        # T-MIME-02: plain, extended, in sections
        (b"multipart/mixed; boundary*=us-ascii''B; boundary=A", b"A|B", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary*0=A; boundary=B", b"B|A", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary*1=B; boundary*0=A", b"AB|B|A|BA", "AMBIGUOUS_BOUNDARY"),
        (
            b"multipart/mixed; boundary*0=A; boundary*0=C; boundary*1=B",
            b"AB|CB|A|C|B|ACB",
            "AMBIGUOUS_BOUNDARY DUPLICATE_PARAMETER",
        ),
        (b"multipart/mixed; boundary*0=A; boundary*2=B", b"AB|A|B", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary*0=A%42; boundary*1=C", b"A%42C|ABC", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary*=utf-16''%00A%00B", b"AB", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary*=''A%42", b"AB", "AMBIGUOUS_BOUNDARY"),
        # T-MIME-03: encoded-words
        (b'multipart/mixed; boundary="=?us-ascii?B?QUI=?="', b"=?us-ascii?B?QUI=?=|AB", "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; boundary="A=?us-ascii?Q?B?="', b"A=?us-ascii?Q?B?=|AB", "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; boundary="=?utf-16?B?QQBCAA==?="', b"=?utf-16?B?QQBCAA==?=|AB", "AMBIGUOUS_BOUNDARY"),
        # T-MIME-04: a damaged parameter before it
        (b"multipart/mixed; x:y=1; boundary=B", b"B", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; \xe9=1; boundary=B", b"B", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed boundary=B", b"B", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed;; boundary=B", b"B", ""),
        (b"multipart/mixed; x=y boundary=B", b"B", "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; x="y;boundary=B"', b'B"|B', "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; "boundary=B"', b'B"|B', "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; x="\\";boundary=B', b"B", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; bou\\ndary=B", b"B", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary=foo;foo", b"foo|foo;foo", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary=foo\\;bar", b"foo\\|foo|foo\\;bar|foo;bar", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary=boundary=B", b"boundary=B|B|boundary", "AMBIGUOUS_BOUNDARY"),
        # T-MIME-05: comments
        (b"multipart/mixed; boundary((c))=A; boundary=B", b"A|B", "AMBIGUOUS_BOUNDARY DUPLICATE_PARAMETER"),
        (b'multipart/mixed; (it"s) boundary=A', b"A", ""),
        (b"multipart/mixed; (boundary=A)", b"A)|A", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; (c boundary=A", b"A", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary=A(c)B", b"A|AB|A B|A(c)B", "AMBIGUOUS_BOUNDARY SPLIT_WORD"),
        (b"multi(c)part/mixed; boundary=A", b"A", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER SPLIT_WORD"),
        # T-MIME-06: blanks and NULs
        (b'multipart/mixed; boundary=" foo"', b" foo|foo", "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; boundary="foo "', b"foo |foo", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary=foo ; x=y", b"foo", ""),
        (b"multipart/mixed; boundary=foo bar", b"foo bar|foo", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary = \tfoo", b"foo", ""),
        (b"multipart/mixed; boundary=\0foo", b"\x00foo||foo", "AMBIGUOUS_BOUNDARY"),
        # T-MIME-07: quotes and backslashes
        (b'multipart/mixed; boundary=""foo', b'foo||"foo|""foo', "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b'multipart/mixed; boundary="bar"foo', b'barfoo|bar|foo|bar"foo|"bar"foo', "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b'multipart/mixed; boundary=bar"foo"', b'bar"foo"|barfoo|bar|foo', "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; boundary="bar', b'bar|"bar', "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b'multipart/mixed; boundary="bar; x=y', b'bar; x=y|bar|"bar|"bar; x=y', "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary='B'", b"'B'|B", "AMBIGUOUS_BOUNDARY"),
        (b"multipart/mixed; boundary=a\\b", b"a\\b|ab|a", "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; boundary="a\\b"', b"ab|a\\b|a", "AMBIGUOUS_BOUNDARY"),
        (b'multipart/mixed; boundary="a\\"b"', b'a"b|a\\"b|a\\|a', "AMBIGUOUS_BOUNDARY"),
        # T-MIME-08: nothing
        (b"multipart/mixed; boundary=", b"", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary=;", b"", "AMBIGUOUS_BOUNDARY MALFORMED_PARAMETER"),
        (b'multipart/mixed; boundary=""', b"", "AMBIGUOUS_BOUNDARY"),
    ],
)
def test_t_mime_01_to_08_boundaries(value: bytes, boundaries: bytes, problems: str) -> None:
    """All that some reader takes; the first is preferred, unless no reader that keeps to the grammar finds any."""
    found = parse_parameterised(value)
    assert found.boundaries == tuple(boundaries.split(b"|"))
    assert found.boundary in (found.boundaries[0], None)
    assert found.problems == set(problems.split())
    assert found.problems or len(found.boundaries) == 1


@pytest.mark.parametrize(
    "value",
    [
        b'multipart/mixed; x="y;boundary=B"',
        b"multipart/mixed; (boundary=A)",
        b"multipart/mixed; x=y boundary=B",
        b"multipart/mixed; bou\\ndary=B",
    ],
)
def test_t_mime_04_05_a_boundary_that_only_others_find_is_not_preferred(value: bytes) -> None:
    found = parse_parameterised(value)
    assert found.boundary is None
    assert "boundary" not in found.parameters
    assert found.boundaries


@pytest.mark.parametrize(
    "value",
    [
        b"multipart/mixed; boundary=abc",
        b'multipart/mixed; boundary="----=_Part_1 (2):3/4,5?6+7\'_.8=="',
        b'Multipart/Mixed ; Boundary="boundary_1" ; type="a b" ;',
        b'attachment; filename=a.pdf; size=3; creation-date="Fri, 27 Nov 2026 12:00:00 +0000"',
        b"text/plain; charset=utf-8; format=flowed; delsp=yes; x=1; y=2",
        b"text/plain",
        b"inline;",
    ],
)
def test_the_quick_way_and_the_careful_way_read_the_same(value: bytes) -> None:
    quick = parameters._ordinary(value)
    assert quick is not None
    assert quick == parameters._careful(value) == parse_parameterised(value)
    assert not quick.problems


_PIECES = (
    *(b"text/plain", b"; ", b";", b"boundary", b"name", b"filename", b"=", b'"', b"'", b"a", b" ", b"(", b")", b"\\", b"*", b"0"),
    *(b"*0*", b"%41", b"=?utf-8?Q?b?=", b"\0", b"\xe9", b",", b"B", b"\t", b"''"),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join))
def test_whatever_comes_is_read_and_the_quick_way_is_never_another(value: bytes) -> None:
    careful = parameters._careful(value)
    quick = parameters._ordinary(value)
    assert quick is None or quick == careful
    assert careful.boundary is None or careful.boundary == careful.boundaries[0]
    assert len(careful.boundaries) < 2 or "AMBIGUOUS_BOUNDARY" in careful.problems
    assert all(careful.readings[name][0] == text for name, text in careful.parameters.items())


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"a (b (c) d) e", b"a  e"),
        (b'"(not a comment)" x', b'"(not a comment)" x'),
        (b"a (unclosed", b"a "),
        (b"a (esc\\)aped) b", b"a  b"),
        (b"a ) b", b"a ) b"),
        (b"(" * 100_000, b""),
    ],
)
def test_t_mime_05_comments(value: bytes, left: bytes) -> None:
    assert strip_comments(value) == left
