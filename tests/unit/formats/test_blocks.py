"""Where else parts may begin and end."""

import time

import pytest

from mailward.formats.blocks import Block, blocks_of, body_starts, looks_like_part

PART = b"Content-Type: text/plain\r\n\r\nhello\r\n"


def contents(octets: bytes, *declared: bytes, body_start: int = 0) -> list[bytes]:
    return [octets[block.start : block.end] for block in blocks_of(octets, body_start, declared).found]


def test_every_declared_boundary_cuts_on_its_own() -> None:
    octets = b"--A\r\n" + PART + b"--B\r\n" + PART + b"--A--\r\n"
    found = contents(octets, b"A", b"B")
    assert PART + b"--B\r\n" + PART in found  # what a reader of A sees
    assert PART + b"--A--\r\n" in found  # what a reader of B sees


def test_t_mime_09_preamble_and_what_follows_the_close_delimiter() -> None:
    octets = b"before\r\n--A\r\n" + PART + b"--A--\r\n" + PART
    assert contents(octets, b"A") == [b"before\r\n", PART, PART]


@pytest.mark.parametrize("before", [b"", b" ", b"\t", b"x ", b"\0", b" \r", b"\r"])
@pytest.mark.parametrize("behind", [b"", b"junk", b" x", b"--x", b"\t"])
def test_t_mime_09_a_delimiter_with_something_before_or_behind_it(before: bytes, behind: bytes) -> None:
    octets = b"top\r\n" + before + b"--foo" + behind + b"\r\n" + PART
    assert PART in contents(octets, b"foo")


def test_t_mime_08_an_empty_boundary() -> None:
    octets = b"--\r\n" + PART + b"--\r\n" + PART + b"----\r\n"
    assert contents(octets, b"")[1:3] == [PART, PART]


def test_t_mime_11_boundaries_are_guessed_when_a_part_follows() -> None:
    octets = b"--faa\r\n" + PART + b"--faa\r\n" + PART + b"--faa--\r\n"
    assert contents(octets, b"foo").count(PART) == 2
    text = b"Hello\r\n--\r\nsignature\r\n--------\r\nand\r\n--more--\r\n"
    assert contents(text) == []


def test_t_mime_10_a_boundary_that_another_begins_with() -> None:
    octets = b"--foobar\r\n" + PART + b"--foo\r\n" + PART
    found = contents(octets, b"foo", b"foobar")
    assert PART in found and PART + b"--foo\r\n" + PART in found


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"A: b\r\n\r\n", b"body"),
        (b"A: b\n\n", b"body"),
        (b"A: b\r\r", b"body"),
        (b"A: b\r\r\n\r\r\n", b"body"),
        (b"A: b\n\r\n\r", b"body"),
        (b"A: b\r\n \t\r\n", b"body"),
        (b"A: b\r\n\v\r\n", b"body"),
        (b"A: b\r\n\r\nC: d\r\n\r\n", b"body"),
        (b"A: b\r\n C\r\n", b"body of no field"),
        (b"\r\n", b"body"),
    ],
)
def test_t_mime_15_where_a_body_may_start(head: bytes, body: bytes) -> None:
    octets = head + body
    starts = body_starts(octets, Block(0, len(octets), b""))
    assert body in [octets[start:].lstrip(b"\r\n") for start in starts] and len(starts) <= 6


def test_what_looks_like_a_part() -> None:
    assert looks_like_part(PART, 0, len(PART))
    assert looks_like_part(b"\0Con\0tent-Type: x", 0, 17)
    assert not looks_like_part(b"dear content: hello", 0, 4)
    assert not looks_like_part(b"no field here\r\n", 0, 15)


@pytest.mark.parametrize(
    "unit", [b"--a\r\n", b"\r\n--", b"\r", b"\n", b"--x--y\r", b" \0\v", b"a:\r\n\r\n", b"--" + b"k" * 300 + b"\n"]
)
def test_t_mime_21_hostile_lines_cost_no_more_than_their_size(unit: bytes) -> None:
    def seconds(octets: bytes) -> float:
        started = time.process_time()
        found = blocks_of(octets, 0, [b"a", b"", b"-", b"x"])
        for block in found.found[:2000]:
            body_starts(octets, block)
        assert len(found.found) <= 4000
        return time.process_time() - started

    seconds(unit)
    assert seconds(unit * 40_000) < 40 * max(seconds(unit * 4000), 0.01)
