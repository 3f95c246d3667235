"""Where lines and messages end, for every way a stream can be cut into chunks."""

import itertools
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailward.protocol.framing import ContentFault, ContentReader, LineFault, LineReader

AWKWARD = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"\r\n.", b"\r\n.\r\n", b"\0", b"a", b"line", b"\x0b", b"\x85"]),
    max_size=30,
).map(b"".join)


def read(
    stream: bytes, cuts: list[int], line_limit: int = 1000, *, mends: bool = False
) -> tuple[bytes, bytes | None, ContentFault | None, int]:
    """Content (of a message without fault), rest, fault and size when the stream comes in the given pieces."""
    reader = ContentReader(line_limit, mends=mends)
    content = b""
    places = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    for start, end in itertools.pairwise(places):
        some, rest = reader.read(stream[start:end])
        content += some
        if rest is not None:
            return content if reader.fault is None else b"", rest + stream[end:], reader.fault, reader.size_octets
    return b"", None, reader.fault, 0


def reference(stream: bytes) -> tuple[bytes, bytes] | None:
    """The slow reading of RFC 5321 section 4.5.2, a line at a time; None without an end of data."""
    content = b""
    while (end := stream.find(b"\r\n")) >= 0:
        line, stream = stream[:end], stream[end + 2 :]
        if line == b".":
            return content, stream
        content += line.removeprefix(b".") + b"\r\n"
    return None


def stuff(message: bytes) -> bytes:
    """What a client sends for a message of CRLF lines."""
    return b"".join(b"." + line if line.startswith(b".") else line for line in message.splitlines(keepends=True)) + b".\r\n"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b".\r\n",
        b"..\r\n",
        b"...\r\n",
        b".a\r\n",
        b"a\r\n.\r\n.\r\nb\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"a\r\n..b\r\n",
        b"x\r\n\r\n.\r\n\r\n",
    ],
)
def test_t_smtp_14_dot_stuffing_round_trip_at_every_cut(message: bytes) -> None:
    stream = stuff(message) + b"QUIT\r\n"
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            assert read(stream, [first, second]) == (message, b"QUIT\r\n", None, len(message))


def test_t_smtp_08_end_of_data_cut_anywhere() -> None:
    stream = b"one\r\n.\r\nRSET\r\n"
    whole = read(stream, [])
    assert whole == (b"one\r\n", b"RSET\r\n", None, 5)
    assert read(stream, list(range(len(stream)))) == whole


@pytest.mark.parametrize(
    "look_alike",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\n", b"\r.\r\n", b"\n.\r", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n"],
    ids=repr,
)
def test_t_smtp_01_to_05_look_alikes_end_nothing_at_any_cut(look_alike: bytes) -> None:
    stream = b"a" + look_alike + b"MAIL FROM:<x@example.net>\r\n.\r\n"
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            content, rest, fault, _ = read(stream, [first, second])
            assert (content, rest, fault) == (b"", b"", ContentFault.BARE_NEWLINE)


@pytest.mark.parametrize("look_alike", [b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\0\n", b"\r\0\n.\r\n"], ids=repr)
def test_t_smtp_06_nul_around_the_dot(look_alike: bytes) -> None:
    stream = b"a" + look_alike + b"MAIL\r\n.\r\n"
    for first in range(len(stream)):
        _, rest, fault, _ = read(stream, [first])
        assert rest == b""
        assert fault in (ContentFault.NUL, ContentFault.BARE_NEWLINE)


@pytest.mark.parametrize("newline", ["\u0085", "\u2028", "\x0b", "\x0c"])
def test_t_smtp_07_other_newlines_are_content(newline: str) -> None:
    message = f"a{newline}.{newline}b\r\n".encode()
    assert read(message + b".\r\n", []) == (message, b"", None, len(message))


@given(AWKWARD, st.lists(st.integers(0, 80), max_size=12))
@example(b".\r\n", [])
@example(b"\r\n.\r\n", [1, 2, 3])
def test_any_chunking_gives_what_the_line_by_line_reading_gives(body: bytes, cuts: list[int]) -> None:
    stream = body + b"\r\n.\r\nREST"
    whole = read(stream, [])
    assert read(stream, cuts) == whole
    assert read(stream, list(range(len(stream)))) == whole
    content, rest, fault, size = whole
    expected = reference(stream)
    assert expected is not None
    wanted, wanted_rest = expected
    stripped = wanted.replace(b"\r\n", b"")
    if b"\r" in stripped or b"\n" in stripped:
        # A line-by-line reading may see an end of data behind a stray CR or LF; ours must say that there was one.
        assert fault is ContentFault.BARE_NEWLINE
    else:
        assert fault is (ContentFault.NUL if b"\0" in wanted else None)
        assert (rest, size) == (wanted_rest, len(wanted))
        assert content == (b"" if fault else wanted)


@given(AWKWARD, st.lists(st.integers(0, 80), max_size=12))
@example(b"a\n.\nb", [4])
@example(b"a\n.\r", [4])
@example(b"\n.", [1, 3])
@example(b".\0", [])
@example(b"a\r", [2, 3])
def test_t_smtp_09_mended_content_is_sound_and_a_look_alike_is_still_a_fault_at_any_cut(body: bytes, cuts: list[int]) -> None:
    stream = body + b"\r\n.\r\nREST"
    content, rest, fault, size = whole = read(stream, [], mends=True)
    for other in (read(stream, cuts, mends=True), read(stream, list(range(len(stream))), mends=True)):
        assert other[1:] == whole[1:] and (fault or other[0] == content)
    sent = stream[: len(stream) - len(rest or b"") - 3]
    looks_alike = re.search(rb"(?:\A|[\r\n])\0*\.\0*(?:\r|\n)|\r\r\n\Z", sent) is not None
    # With NUL about the dot it is refused for that.
    assert fault in ((ContentFault.BARE_NEWLINE, ContentFault.NUL) if looks_alike else (None, ContentFault.NUL))
    if fault is None:
        assert not set(content.replace(b"\r\n", b"")) & set(b"\r\n\0")
        assert size == len(content)
        assert content.translate(None, b" \r\n.") == sent.translate(None, b" \r\n.")


@given(st.lists(st.integers(0, 25), max_size=12), st.lists(st.integers(0, 200), max_size=8))
def test_line_limit_is_exact_however_the_stream_is_cut(lengths: list[int], cuts: list[int]) -> None:
    stream = b"".join(b"x" * n + b"\r\n" for n in lengths) + b".\r\n"
    expected = ContentFault.LINE_TOO_LONG if any(n + 2 > 20 for n in lengths) else None
    assert read(stream, cuts, line_limit=20)[2] is expected


def test_t_smtp_25_content_costs_linear_time() -> None:
    """A 16 MiB line, and 16 MiB of the shortest lines, in octets a second that leave room to spare."""
    for body in (b"a" * (16 << 20) + b"\r\n", b"\r\n" * (8 << 20), b"..\r\n" * (4 << 20)):
        reader = ContentReader(1 << 20)
        started = time.process_time()
        for start in range(0, len(body), 65536):
            reader.read(body[start : start + 65536])
        assert time.process_time() - started < 3


@given(
    st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b"abcdefg", b"\0", b"x" * 20]), max_size=20).map(b"".join),
    st.lists(st.integers(0, 120), max_size=8),
)
def test_lines_are_the_same_however_the_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    def lines(places: list[int]) -> list[object]:
        reader = LineReader(10, 40)
        found: list[object] = []
        bounds = sorted({0, len(stream), *(c for c in places if c < len(stream))})
        for start, end in itertools.pairwise(bounds):
            reader.feed(stream[start:end])
            while (line := reader.next()) is not None:
                found.append(line)
                if line.fault is LineFault.ENDLESS:
                    return found
        return found

    assert lines(cuts) == lines([]) == lines(list(range(len(stream))))


def test_an_endless_line_keeps_memory_flat() -> None:
    reader = LineReader(2048, 65_536)
    faults = []
    for _ in range(3000):
        reader.feed(b"a" * 1024)
        line = reader.next()
        if line is not None:
            faults.append(line.fault)
            if line.fault is LineFault.ENDLESS:
                break
    assert faults == [LineFault.ENDLESS]
    assert not reader._buffer or len(reader._buffer) < 4096
