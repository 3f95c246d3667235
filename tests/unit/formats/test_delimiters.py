"""The next delimiter line of open boundaries is the one that reading line by line finds (RFC 2046 section 5.1.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats import budgets
from mailward.formats.delimiters import OpenBoundaries
from mailward.formats.message import MessageView

_BOUNDARIES = st.lists(st.sampled_from([b"a", b"ab", b"abc", b"b", b"ba", b"x-", b"=_1", b"=_2"]), min_size=1, max_size=8)
_LINES = st.lists(
    st.sampled_from(
        [b"a", b"--", b"--a", b"--ab", b"--abc--", b"--b ", b"--ba--", b"--x-", b"--=_1", b"--=_2--", b"--=_", b"", b"-- a"]
    ),
    max_size=20,
)


@given(_BOUNDARIES, _LINES, st.booleans())
def test_each_next_line_is_the_first_that_begins_with_an_open_boundary(
    boundaries: list[bytes], lines: list[bytes], is_exact_only: bool
) -> None:
    octets = b"\n" + b"".join(line + b"\r\n" for line in lines)
    found = OpenBoundaries(octets)
    found.is_exact_only = is_exact_only
    for place, boundary in enumerate(boundaries):
        found.open(boundary, place, 1)
    at = 1
    for line in lines:
        rests = [line.removeprefix(b"--" + boundary).rstrip() for boundary in boundaries if line.startswith(b"--" + boundary)]
        if any(rest in (b"", b"--") or not is_exact_only for rest in rests):
            assert found.next_line() == at
            owner = found.owner(at)
            assert line.startswith(b"--" + boundaries[owner.place])
            assert owner.is_exact == any(rest in (b"", b"--") for rest in rests)
            found.look_from(at + len(line) + 2)
        at += len(line) + 2
    assert found.next_line() == len(octets)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 8, 30])
def test_parts_of_any_depth_are_found(depth: int) -> None:
    before = b"".join(b"Content-Type: multipart/mixed; boundary=b%d.\r\n\r\n--b%d.\r\n" % (n, n) for n in range(depth))
    after = b"".join(b"\r\n--b%d.\r\n\r\nlast of %d\r\n--b%d.--\r\n" % (n, n, n) for n in reversed(range(depth)))
    view = MessageView(b"From: a@example.org\r\n" + before + b"\r\ninnermost" + after)
    leaves = [part.body_octets for part in view.root.walk() if not part.children]
    assert leaves == [b"innermost", *(b"last of %d" % n for n in reversed(range(depth)))]
    assert view.anomalies == ()


def test_a_delimiter_line_deep_inside_ends_a_header() -> None:
    before = b"".join(b"Content-Type: multipart/mixed; boundary=b%d.\r\n\r\n--b%d.\r\n" % (n, n) for n in range(5))
    view = MessageView(before + b"Subject: x\r\n--b4.\r\n\r\nsecond\r\n--b2.--\r\n")
    assert [part.octets for part in view.root.walk() if not part.children] == [b"Subject: x", b"\r\nsecond"]


def test_t_mime_09_lines_looked_at_in_vain_have_a_budget() -> None:
    before = b"".join(b"Content-Type: multipart/mixed; boundary=b%d.\r\n\r\n--b%d.\r\n" % (n, n) for n in range(5))
    lines = b"--b\r\n" * budgets.DELIMITERS_LOOKED_AT
    view = MessageView(before + b"\r\n" + lines + b"\r\n--b4.\r\n\r\nsecond\r\n")
    assert "MIME_PARTS" in view.anomalies
    assert list(view.root.walk())[-1].body_octets.endswith(b"second\r\n")
