"""AUTH beyond what a transcript can show: long lines, octets sent ahead, slow decisions, and any octets in any chunks."""

import base64
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.model.errors import LocalError
from mailward.model.replies import SHUTTING_DOWN
from mailward.model.reply import reply
from mailward.protocol.smtp.events import AuthAsked, AuthChallenge, AuthResponse, Fault, Faulted
from mailward.protocol.smtp.states import Limits, State
from support.smtp_machine import LIMITS, Client, machine

PLAIN = base64.b64encode(b"\0alice\0secret")
OUT_OF_STEP = "554 5.5.0 You must wait for the reply"


def greeted(limits: Limits = LIMITS) -> Client:
    client = Client(machine("submissions", limits))
    client.send(b"EHLO client.example.net\r\n")
    client.replies.clear()
    client.events.clear()
    return client


def test_t_auth_06_the_longest_command_is_taken_and_more_is_not() -> None:
    client = greeted()
    client.send(b"AUTH PLAIN " + b"A" * 12_272 + b"  \r\n")
    client.send(b"AUTH PLAIN " + b"A" * 12_276 + b"\r\n")
    assert client.replies == ["501 5.5.2 The response is not of this mechanism", "500 5.5.2 Command line too long"]


def test_t_auth_06_the_longest_response_is_taken_and_more_is_not() -> None:
    client = greeted()
    client.send(b"AUTH LOGIN\r\n")
    client.send(b"A" * 12_284 + b"\r\n")
    client.send(b"AUTH LOGIN\r\n")
    client.send(b"A" * 12_288 + b"\r\n")
    client.send(b"NOOP\r\n")
    assert client.replies == [
        "334 VXNlcm5hbWU6",
        "501 5.5.2 The response is not of this mechanism",
        "334 VXNlcm5hbWU6",
        "500 5.5.6 Authentication exchange line is too long",
        "250 2.0.0 OK",
    ]


def test_t_auth_06_ten_megabytes_are_not_kept() -> None:
    client = greeted()
    client.send(b"AUTH LOGIN\r\n")
    sent = 0
    while not client.machine.is_closed:
        client.send(b"A" * 4096)
        sent += 4096
    assert sent < 100_000
    assert client.replies == [
        "334 VXNlcm5hbWU6",
        "500 5.5.6 Authentication exchange line is too long",
        "421 4.7.0 Too many errors",
    ]


def test_other_commands_keep_their_limit() -> None:
    client = greeted()
    client.send(b"NOOP " + b"a" * (2048 - 7) + b"\r\n")
    client.send(b"NOOP " + b"a" * (2048 - 6) + b"\r\n")
    assert client.replies == ["250 2.0.0 OK", "500 5.5.2 Command line too long"]


@pytest.mark.parametrize(
    "segment", [b"AUTH PLAIN " + PLAIN + b"\r\nMAIL FROM:<a@example.org>\r\n", b"AUTH LOGIN\r\nYWxpY2U=\r\n"]
)
def test_octets_behind_auth_end_the_connection(segment: bytes) -> None:
    client = greeted()
    client.send(segment)
    assert client.replies == [OUT_OF_STEP]
    assert client.events == [Faulted(Fault.PIPELINING)]
    assert client.logins.peers == []


def test_octets_behind_a_response_end_the_connection() -> None:
    client = greeted()
    client.send(b"AUTH LOGIN\r\n")
    client.send(b"YWxpY2U=\r\nc2VjcmV0\r\n")
    assert client.replies == ["334 VXNlcm5hbWU6", OUT_OF_STEP]


def test_octets_that_come_while_a_login_is_checked_end_the_connection() -> None:
    server = machine("submissions")
    Client(server).send(b"EHLO client.example.net\r\n")
    assert server.receive_data(b"AUTH PLAIN " + PLAIN + b"\r\n") == [AuthAsked("PLAIN", b"\0alice\0secret")]
    assert server.receive_data(b"MAIL FROM:<a@example.org>\r\n") == []
    assert server.decide(reply(235, "2.7.0", "Authentication successful")) == [Faulted(Fault.PIPELINING)]
    assert server.data_to_send() == OUT_OF_STEP.encode() + b"\r\n"


def test_a_challenge_is_as_long_as_it_must_be() -> None:
    server = machine("submissions")
    Client(server).send(b"EHLO client.example.net\r\n")
    server.receive_data(b"AUTH PLAIN\r\n")
    assert server.decide(AuthChallenge(b"x" * 3000)) == []
    assert server.state is State.AUTH
    assert server.data_to_send() == b"334 " + base64.b64encode(b"x" * 3000) + b"\r\n"


def test_a_challenge_to_anything_else_is_our_mistake() -> None:
    server = machine()
    Client(server).send(b"EHLO client.example.net\r\n")
    server.receive_data(b"MAIL FROM:<a@example.net>\r\n")
    with pytest.raises(LocalError):
        server.decide(AuthChallenge(b""))


def test_t_auth_11_events_do_not_show_what_they_hold() -> None:
    assert "secret" not in repr([AuthAsked("PLAIN", b"\0alice\0secret"), AuthResponse(b"secret")])


def test_draining_does_not_wait_for_a_client_that_owes_a_response() -> None:
    client = greeted()
    client.send(b"AUTH LOGIN\r\n")
    client.machine.drain()
    assert client.machine.data_to_send() == SHUTTING_DOWN.to_octets()
    assert client.machine.is_closed


def test_a_failed_login_counts_and_a_cancelled_one_is_an_error() -> None:
    client = greeted(Limits(errors=6))
    for _ in range(7):
        client.send(b"AUTH PLAIN\r\n")
        client.send(b"*\r\n")
    assert client.replies[-1] == "421 4.7.0 Too many errors"


LINES = st.lists(
    st.sampled_from(
        [
            b"EHLO c.example.net",
            b"HELO c.example.net",
            b"AUTH PLAIN " + PLAIN,
            b"AUTH PLAIN AGFsaWNlAHdyb25n",
            b"AUTH PLAIN",
            b"AUTH PLAIN =",
            b"AUTH LOGIN",
            b"AUTH NONE",
            b"auth login YWxpY2U=",
            b"YWxpY2U=",
            b"c2VjcmV0",
            PLAIN,
            b"",
            b"*",
            b"=",
            b"A" * 200,
            b"MAIL FROM:<alice@example.org> AUTH=<>",
            b"RCPT TO:<b@example.org>",
            b"RSET",
            b"NOOP",
            b"QUIT",
            b"a\rb",
            b"a\nb",
            b"a\0b",
            b"\x16\x03\x01",
        ]
    ).map(lambda line: line + b"\r\n"),
    max_size=20,
).map(b"".join)
SMALL = Limits(command_line_octets=60, auth_line_octets=120, endless_line_octets=300, errors=6, failed_logins=3)


def waits_behind(client: Client, stream: bytes, state_before: State, replies_before: int) -> bool:
    """Whether a client that has sent this much has to wait for its reply, so that a chunk may not go on."""
    verb = stream.removesuffix(b"\r\n").rpartition(b"\n")[2].partition(b" ")[0].upper()
    last_in_group = verb in (b"EHLO", b"HELO", b"DATA", b"AUTH") or state_before is State.AUTH
    return len(client.replies) > replies_before and (last_in_group or not client.machine._extended)


@settings(max_examples=200, deadline=None)
@given(LINES, st.lists(st.integers(0, 400), max_size=10))
def test_t_state_10_any_exchange_in_any_chunks_has_the_same_outcome(stream: bytes, cuts: list[int]) -> None:
    stream = b"EHLO c.example.net\r\n" + stream
    single = Client(machine("submissions", SMALL))
    waits, end = set(), len(stream)
    for place in range(len(stream)):
        state, before = single.machine.state, len(single.replies)
        single.send(stream[place : place + 1])
        if single.machine.is_closed:
            end = place + 1
            break
        if waits_behind(single, stream[: place + 1], state, before):
            waits.add(place + 1)
    chunked = Client(machine("submissions", SMALL))
    for start, stop in itertools.pairwise(sorted({0, end, *waits, *(c for c in cuts if c < end)})):
        chunked.send(stream[start:stop])
    assert (chunked.replies, chunked.events) == (single.replies, single.events)
    assert chunked.machine.is_closed == single.machine.is_closed
    accepted = any(line.startswith("235") for line in single.replies)
    assert accepted or not any(line.startswith("250 2.1.0") for line in single.replies)
