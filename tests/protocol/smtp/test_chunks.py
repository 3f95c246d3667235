"""BDAT (RFC 3030): sizes that lie, chunks nobody wants, very many chunks, and the same message however it is cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.protocol.smtp.events import Content, Fault, Faulted, MailAsked, TransactionDropped
from mailward.protocol.smtp.states import Limits
from support.smtp_machine import LIMITS, Client, machine

OPENING = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"


def greeted(limits: Limits = LIMITS) -> Client:
    client = Client(machine(limits=limits))
    client.send(b"EHLO client.example.net\r\n")
    return client


def opened(limits: Limits = LIMITS) -> Client:
    client = greeted(limits)
    client.send(OPENING)
    client.replies.clear()
    client.events.clear()
    return client


def faults(client: Client) -> list[Fault]:
    return [event.fault for event in client.events if isinstance(event, Faulted)]


@pytest.mark.parametrize("octet_by_octet", [False, True])
@pytest.mark.parametrize("transaction", [b"", OPENING])
@pytest.mark.parametrize(
    "line",
    [
        *(b"BDAT 39" + b" " * 3000 + b" LAST", b"bdat 39" + b" " * 20_000 + b" LAST", b"BDAT 39\0 LAST", b"BDAT 39\r LAST"),
        *(b"BDAT\t39 LAST", b"BDAT39", b"bdat\0 39", b"BDATA 39"),
    ],
    ids=lambda line: repr(line[:12]) + str(len(line)),
)
def test_t_smtp_16_octets_behind_a_chunk_command_that_cannot_be_read_are_no_commands(
    line: bytes, transaction: bytes, octet_by_octet: bool
) -> None:
    client = greeted()
    client.send(transaction)
    client.replies.clear()
    client.events.clear()
    client.send(line + b"\r\nRSET\r\nMAIL FROM:<ceo@victim.example>\r\n", octet_by_octet=octet_by_octet)
    assert client.replies == ["501 5.5.4 Syntax: BDAT octets [LAST]"]
    assert client.machine.is_closed and not [event for event in client.events if isinstance(event, MailAsked)]


@pytest.mark.parametrize(
    "argument", [b"", b" ", b" -1", b" +1", b" 0x10", b" 1e3", b" 10 LAST junk", b" LAST", b" 10LAST", b" 1" + b"0" * 20, b" 1 0"]
)
def test_t_smtp_15_a_size_that_cannot_be_read_ends_the_connection(argument: bytes) -> None:
    client = opened()
    client.send(b"BDAT" + argument + b"\r\nQUIT\r\n")
    assert client.replies == ["501 5.5.4 Syntax: BDAT octets [LAST]"]
    assert client.machine.is_closed and not client.messages


def test_t_smtp_15_a_message_over_the_limit_is_read_to_its_end_and_refused() -> None:
    client = opened()
    client.send(b"BDAT 9000\r\n" + b"x" * 9000 + b"BDAT 1002 LAST\r\n" + b"QUIT\r\n" * 167 + b"NOOP\r\n")
    assert client.replies == [
        "250 2.0.0 9000 octets received",
        "552 5.3.4 Message is larger than this server accepts",
        "250 2.0.0 OK",
    ]
    assert not client.messages
    assert any(isinstance(event, TransactionDropped) for event in client.events)


@pytest.mark.parametrize("size", [b"15001", b"99999999999999999999"])
def test_t_smtp_15_what_is_too_big_even_to_be_read_away_ends_the_connection(size: bytes) -> None:
    client = opened()
    client.send(b"BDAT " + size + b" LAST\r\n")
    assert client.replies == ["552 5.3.4 Message is larger than this server accepts"]
    assert client.machine.is_closed


def test_t_smtp_15_what_is_read_away_is_counted_over_the_connection() -> None:
    client = greeted()
    client.replies.clear()
    for _ in range(5):
        client.send(b"BDAT 1000\r\n" + b"x" * 1000)
    assert client.replies == ["503 5.5.1 Bad sequence of commands"] * 5
    client.send(b"BDAT 1\r\n")
    assert client.machine.is_closed


def test_t_smtp_17_very_many_chunks_of_one_octet_end_the_connection_and_leave_nothing_behind() -> None:
    client = opened(Limits(message_octets=10_000, chunks=1000))
    for _ in range(1000):
        client.send(b"BDAT 1\r\na")
        assert client.machine.buffered_octets == 0
    client.send(b"BDAT 1\r\na")
    assert client.replies[-1] == "421 4.7.0 Too many chunks"
    assert client.machine.is_closed
    assert faults(client) == [Fault.TOO_MANY_ERRORS]


def test_content_is_handed_on_as_it_comes_and_never_kept() -> None:
    client = opened(Limits())
    client.send(b"BDAT 3000000 LAST\r\n")
    for _ in range(29):
        [event] = client.machine.receive_data((b"x" * 998 + b"\r\n") * 100)
        assert isinstance(event, Content) and len(event.octets) == 100_000
        assert client.machine.buffered_octets == 0


_PIECES = st.sampled_from(
    [b"\r\n", b".", b"\r\n.\r\n", b"a", b"QUIT\r\n", b"BDAT 5\r\n", b"\r", b"\n", b"\0", b"x" * 40, b"REJECT"]
)


@given(st.lists(_PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 80), max_size=6), st.lists(st.integers(0, 300)))
def test_t_smtp_16_a_message_in_chunks_is_the_same_however_chunks_and_segments_are_cut(
    message: bytes, chunk_cuts: list[int], segment_cuts: list[int]
) -> None:
    whole = opened()
    whole.send(b"BDAT %d LAST\r\n" % len(message) + message + b"NOOP\r\n")
    client = opened()
    places = sorted({min(cut, len(message)) for cut in chunk_cuts} | {0, len(message)})
    chunks = [message[start:end] for start, end in itertools.pairwise(places)] or [b""]
    stream = b"".join(b"BDAT %d%s\r\n%s" % (len(c), b" LAST" if n == len(chunks) - 1 else b"", c) for n, c in enumerate(chunks))
    stream += b"NOOP\r\n"
    for start, end in itertools.pairwise(sorted({0, len(stream), *(min(cut, len(stream)) for cut in segment_cuts)})):
        client.send(stream[start:end])
    assert client.messages == whole.messages
    assert client.replies[-1] == whole.replies[-1] == "250 2.0.0 OK"
    verdict = [line for line in client.replies if not line.endswith(("octets received", "Bad sequence of commands"))]
    if whole.messages:
        assert whole.messages == [message] and verdict == whole.replies
    else:  # of two faults the one in the earlier chunk is told
        assert [line[0] for line in verdict] == [line[0] for line in whole.replies] == ["5", "2"]


def test_t_smtp_16_reset_in_the_middle_leaves_nothing_of_the_message() -> None:
    client = opened()
    client.send(b"BDAT 6\r\nA: b\r\nRSET\r\n" + OPENING + b"BDAT 6 LAST\r\nC: d\r\n")
    assert client.messages == [b"C: d\r\n"]
    assert client.replies == ["250 2.0.0 6 octets received", "250 2.0.0 OK", "250 2.1.0 OK", "250 2.1.5 OK", "250 2.0.0 Accepted"]
