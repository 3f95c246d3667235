"""Content-Type and Content-Disposition: RFC 2045 section 5.1, RFC 2231."""

import pytest

from mailward.formats.parameters import parse_parameterised, strip_comments


@pytest.mark.parametrize(
    ("value", "parameters"),
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
def test_well_formed(value: bytes, parameters: dict[str, str]) -> None:
    found = parse_parameterised(value)
    assert found.parameters == parameters
    assert not found.problems


def test_t_mime_23_every_reading_of_a_name_is_kept() -> None:
    found = parse_parameterised(b"attachment; filename=a.txt; filename*=utf-8''b.exe; filename=c.pdf")
    assert found.readings["filename"] == ("b.exe", "a.txt", "c.pdf")
    assert found.parameters["filename"] == "b.exe"
    assert found.problems == {"DUPLICATE_PARAMETER"}


@pytest.mark.parametrize(
    ("value", "boundary", "problem"),
    [
        (b"multipart/mixed; boundary=A; boundary=B", b"A", "DUPLICATE_PARAMETER"),
        (b"multipart/mixed; boundary*=us-ascii''B; boundary=A", b"A", "DUPLICATE_PARAMETER"),
        (b"multipart/mixed; boundary*0=A; boundary=B", b"B", "DUPLICATE_PARAMETER"),
        (b"multipart/mixed; x:y=1; boundary=B", b"B", "MALFORMED_PARAMETER"),
        (b"multipart/mixed boundary=B", b"B", "MALFORMED_PARAMETER"),
        (b'multipart/mixed; boundary="bar"foo', b"barfoo", "MALFORMED_PARAMETER"),
        (b'multipart/mixed; boundary="bar', b"bar", "MALFORMED_PARAMETER"),
        (b"multipart/mixed; boundary((c))=A; boundary=B", b"A", "DUPLICATE_PARAMETER"),
        (b'multipart/mixed; (it"s) boundary=A', b"A", None),
        (b"multipart/mixed; boundary=", b"", "MALFORMED_PARAMETER"),
    ],
)
def test_t_mime_01_to_07_boundaries(value: bytes, boundary: bytes, problem: str | None) -> None:
    found = parse_parameterised(value)
    assert found.boundary == boundary
    assert found.problems == ({problem} if problem else set())


def test_parameters_and_sections_have_a_budget() -> None:
    assert "TOO_MANY_PARAMETERS" in parse_parameterised(b"a/b" + b"; x=1" * 100_000).problems
    sections = b"".join(b"; n*%d=x" % n for n in range(50))
    assert parse_parameterised(b"a/b" + sections).parameters["n"] == "x" * 32


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
