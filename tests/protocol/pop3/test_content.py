"""Stored octets as a multi-line response: one message for the client, whatever is in it and however it is cut."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.protocol.pop3.content import MessageContent

ODD = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"\0", b"a", b"Subject: x", b"\r\n\r\n", b"\n.\n"]), max_size=40
)


def sent(octets: bytes, body_lines: int | None = None, *, step: int = 1 << 20) -> bytes:
    content = MessageContent(body_lines)
    pieces = [content.feed(octets[at : at + step]) for at in range(0, len(octets), step)]
    return b"".join(pieces) + content.end()


def received(response: bytes) -> bytes:
    """How RFC 1939 section 3 has the client read it; fails when anything is left behind the end."""
    found = b""
    while response:
        line, end, response = response.partition(b"\r\n")
        assert end and b"\r" not in line and b"\n" not in line
        if line == b".":
            assert response == b"", "a second message"
            return found
        found += line.removeprefix(b".") + b"\r\n"
    raise AssertionError("no end")


@given(ODD.map(b"".join), st.one_of(st.none(), st.integers(0, 6)), st.integers(1, 9))
def test_t_pop_02_any_octets_are_one_message_however_they_are_cut(octets: bytes, body_lines: int | None, step: int) -> None:
    whole = sent(octets, body_lines)
    assert sent(octets, body_lines, step=step) == whole
    wanted = re.sub(rb"\r\n|\r|\n", b"\r\n", octets.replace(b"\0", b"\x80"))
    if not wanted.endswith(b"\r\n") and wanted:
        wanted += b"\r\n"
    header, found, body = (b"\r\n" + wanted).partition(b"\r\n\r\n")
    head = (header.removeprefix(b"\r\n") + b"\r\n" if header.removeprefix(b"\r\n") else b"") + b"\r\n"
    if not found:
        head = wanted + b"\r\n"
    lines = body.split(b"\r\n")[:-1] if found else []
    assert received(whole) == head + b"".join(line + b"\r\n" for line in lines[:body_lines])


@given(st.lists(st.binary().filter(lambda line: not set(line) & set(b"\r\n\0")), min_size=1))
def test_lines_come_back_octet_for_octet(lines: list[bytes]) -> None:
    octets = b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)
    assert received(sent(octets)) == octets


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\r\n.\r\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n.\r\r\n"])
def test_t_pop_02_what_looks_like_the_end_is_none(end: bytes) -> None:
    response = sent(b"Subject: x\r\n\r\nfirst" + end + b"DELE 1\r\nsecond\r\n")
    assert response.count(b"\r\n.\r\n") == 1
    assert received(response).endswith(b"second\r\n")


@pytest.mark.parametrize(
    ("octets", "body_lines", "wanted"),
    [
        (b"A: b\r\n\r\n1\r\n2\r\n3\r\n", 0, b"A: b\r\n\r\n"),
        (b"A: b\r\n\r\n1\r\n2\r\n3\r\n", 2, b"A: b\r\n\r\n1\r\n2\r\n"),
        (b"A: b\r\n\r\n1\r\n2\r\n3\r\n", 9_999_999_999, b"A: b\r\n\r\n1\r\n2\r\n3\r\n"),
        (b"\r\n1\r\n2\r\n", 1, b"\r\n1\r\n"),
        (b"A: b\r\n", None, b"A: b\r\n\r\n"),
        (b"A: b", None, b"A: b\r\n\r\n"),
        (b"", None, b"\r\n"),
        (b"A: b\r\n\r\nno end", None, b"A: b\r\n\r\nno end\r\n"),
    ],
)
def test_top_and_messages_without_an_end(octets: bytes, body_lines: int | None, wanted: bytes) -> None:
    assert received(sent(octets, body_lines)) == wanted


def test_nothing_is_wanted_behind_the_last_line() -> None:
    content = MessageContent(1)
    assert content.feed(b"A: b\r\n\r\n") and not content.is_full
    assert content.feed(b"one\r\ntwo\r\n") == b"one\r\n"
    assert content.is_full
    assert content.feed(b"three\r\n") == b""
