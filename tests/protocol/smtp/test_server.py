"""Threats and limits of the SMTP server machine, and the property that cutting the stream changes nothing."""

import itertools
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.model.errors import LocalError
from mailward.model.replies import SHUTTING_DOWN, START_MAIL_INPUT
from mailward.model.reply import Reply, reply
from mailward.protocol.smtp.events import Content, DataAsked, Event, Fault, Faulted, MessageAsked, TlsAsked
from mailward.protocol.smtp.states import MOVES, Limits, State
from support.smtp_machine import LIMITS, Client, machine


def greeted(limits: Limits = LIMITS, hello: bytes = b"EHLO client.example.net\r\n") -> Client:
    client = Client(machine(limits=limits))
    client.send(hello)
    client.replies.clear()
    client.events.clear()
    return client


def in_data(hello: bytes = b"EHLO client.example.net\r\n", limits: Limits = LIMITS) -> Client:
    client = greeted(limits, hello)
    for line in (b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n"):
        client.send(line)
    assert client.replies[-1].startswith("354")
    client.replies.clear()
    client.events.clear()
    return client


def faults(client: Client) -> list[Fault]:
    return [event.fault for event in client.events if isinstance(event, Faulted)]


def test_t_smtp_21_talking_before_the_greeting_ends_the_connection() -> None:
    client = Client(machine(), greet=False)
    client.send(b"EHLO early.example.net\r\n")
    assert client.replies == []
    client._carry_out(client.machine.greet())
    assert client.replies == ["554 5.5.1 You must wait for the greeting"]
    assert faults(client) == [Fault.PREGREET]
    assert client.machine.is_closed


@pytest.mark.parametrize(
    ("segment", "fault"),
    [
        (b"STARTTLS\r\nMAIL FROM:<i@example.net>\r\n", Fault.TLS_INJECTION),
        (b"STARTTLS\r\n\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Fault.TLS_INJECTION),
        (b"EHLO again.example.net\r\nMAIL FROM:<a@example.net>\r\n", Fault.PIPELINING),
        (b"DATA\r\nSubject: x\r\n", Fault.PIPELINING),
    ],
    ids=["t_tls_01", "t_tls_05", "ehlo", "t_state_06"],
)
def test_t_smtp_22_octets_behind_a_command_that_must_be_last_end_the_connection(segment: bytes, fault: Fault) -> None:
    client = greeted()
    client.send(segment)
    assert client.replies == ["554 5.5.0 You must wait for the reply"]
    assert faults(client) == [fault]
    assert client.machine.is_closed
    client.send(b"NOOP\r\n")
    assert client.replies == ["554 5.5.0 You must wait for the reply"]


def test_under_stress_a_stranger_may_make_one_error_and_who_logs_in_as_many_as_ever() -> None:
    for secret, replies in (("AGFsaWNlAHdyb25n", ["535", "500", "421"]), ("AGFsaWNlAHNlY3JldA==", ["235", "500", "500", "500"])):
        client = Client(machine("submissions"))
        client.machine.hurry()
        client.send(b"EHLO c.example.net\r\n")
        client.replies.clear()
        client.send(f"AUTH PLAIN {secret}\r\n".encode())
        for _ in range(3):
            client.send(b"RUBBISH\r\n")
        assert [line[:3] for line in client.replies] == replies


@pytest.mark.parametrize("recipients", [("no", "pat"), ("pat", "no")])
def test_refusals_of_single_recipients_are_not_the_error_of_the_server_that_delivers_by_lmtp(recipients: tuple[str, str]) -> None:
    client = Client(machine("lmtp", Limits(errors=2)))
    client.send(b"LHLO c\r\n")
    for _ in range(6):
        client.replies.clear()
        client.send(
            b"MAIL FROM:<>\r\n" + b"".join(b"RCPT TO:<%b@example.org>\r\n" % r.encode() for r in recipients) + b"DATA\r\n"
        )
        client.send(b"EACH\r\n.\r\n")
        assert sorted(line[:3] for line in client.replies[-2:]) == ["250", "554"]
    client.send(b"NOOP\r\n")
    assert client.replies[-1] == "250 2.0.0 OK"


def asked_of_full(listener: str, transactions: int, recipients: int) -> Client:
    client = Client(machine(listener, Limits(errors=3)))
    client.send(b"LHLO c\r\n" if listener == "lmtp" else b"EHLO c\r\n")
    for size in range(1000, 1000 + transactions):
        client.send(b"MAIL FROM:<a@example.net> SIZE=%d\r\n" % size)
        client.send(b"RCPT TO:<full@example.org>\r\n" * recipients)
        client.send(b"RSET\r\n")
    return client


def test_t_relay_18_who_asks_after_the_room_of_a_mailbox_again_and_again_makes_errors() -> None:
    """T-RELAY-18: another SIZE with each MAIL would tell what the mailbox holds."""
    client = asked_of_full("mx", 9, 1)
    assert faults(client) == [Fault.TOO_MANY_ERRORS]
    assert [line[:3] for line in client.replies].count("452") == 4 and client.replies[-1].startswith("421")


def test_a_message_for_many_full_mailboxes_is_one_error_and_none_of_a_server_that_delivers_by_lmtp() -> None:
    for client in (asked_of_full("mx", 3, 9), asked_of_full("lmtp", 9, 9)):
        assert client.replies[-1].startswith("250") and not faults(client)


def test_behind_xclient_nothing_of_the_session_before_counts() -> None:
    client = Client(machine("trusted", Limits(errors=3, long_lines=2)))
    for _ in range(3):
        client.send(b"EHLO c.example.net\r\n")
        client.send(b"RUBBISH\r\nRUBBISH\r\n" + b"x" * 3000 + b"\r\n")
        client.send(b"XCLIENT ADDR=192.0.2.7\r\n")
        assert client.replies[-1].startswith("220 ")


def test_t_tls_01_octets_that_come_while_the_handshake_is_under_way_never_count() -> None:
    client = greeted()
    client.send(b"STARTTLS\r\n")
    assert client.wants_tls
    client.send(b"MAIL FROM:<i@example.net>\r\n")
    client.shake_hands()
    assert client.replies == []
    assert client.machine.is_closed
    assert faults(client) == [Fault.TLS_INJECTION]


def test_octets_that_come_while_the_354_is_decided_end_the_connection() -> None:
    server = machine()
    client = Client(server)
    for line in (b"EHLO c.example.net\r\n", b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<b@example.org>\r\n"):
        client.send(line)
    assert isinstance(server.receive_data(b"DATA\r\n")[-1], DataAsked)
    assert server.receive_data(b"Subject: too early\r\n") == []
    assert server.decide(START_MAIL_INPUT) == [Faulted(Fault.PIPELINING)]
    assert server.data_to_send() == b"554 5.5.0 You must wait for the reply\r\n"


def test_t_smtp_22_pipelining_without_ehlo_is_refused() -> None:
    client = greeted(hello=b"HELO old.example.net\r\n")
    client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n")
    assert client.replies == ["554 5.5.0 You must wait for the reply"]


def test_t_smtp_22_a_second_transaction_behind_the_end_of_data_without_pipelining() -> None:
    client = in_data(hello=b"HELO old.example.net\r\n")
    client.send(b"one\r\n.\r\nMAIL FROM:<a@example.net>\r\n")
    assert client.replies == ["250 2.0.0 Accepted", "554 5.5.0 You must wait for the reply"]
    assert client.messages == [b"one\r\n"]
    refused = in_data(hello=b"HELO old.example.net\r\n", limits=Limits(content_line_octets=10))
    refused.send(b"a line that is too long\r\n.\r\nMAIL FROM:<a@example.net>\r\n")
    assert refused.replies == ["552 5.3.4 A line of the message is too long", "554 5.5.0 You must wait for the reply"]


@pytest.mark.parametrize("verb", [b"GET / HTTP/1.1", b"POST /", b"Host: mx.example.org", b"SSH-2.0-OpenSSH_9.2", b"CONNECT x:25"])
def test_t_smtp_23_other_protocols_end_the_connection_at_once(verb: bytes) -> None:
    client = Client(machine())
    client.send(verb + b"\r\n" + b"MAIL FROM:<a@example.net>\r\n")
    assert client.replies[1:] == ["421 4.7.0 This is an SMTP server"]
    assert faults(client) == [Fault.OTHER_PROTOCOL]


def test_t_smtp_23_a_tls_client_on_the_plain_port_is_not_left_waiting() -> None:
    client = Client(machine())
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
    assert client.replies[1:] == ["421 4.7.0 This is an SMTP server"]


def test_t_smtp_24_an_endless_command_is_refused_once_and_then_ended() -> None:
    client = Client(machine())
    sent = 0
    client.send(b"EHLO ")
    while not client.machine.is_closed:
        client.send(b"a" * 4096)
        sent += 4096
    assert client.replies[1:] == ["500 5.5.2 Command line too long", "421 4.7.0 Too many errors"]
    assert sent <= 65_536 + 2 * 4096


def test_long_lines_are_refused_and_the_third_ends_the_connection() -> None:
    client = greeted()
    for _ in range(3):
        client.send(b"NOOP " + b"a" * 3000 + b"\r\n")
    assert client.replies == ["500 5.5.2 Command line too long"] * 2 + ["421 4.7.0 Too many errors"]


def test_the_longest_command_line_is_taken() -> None:
    client = greeted()
    client.send(b"NOOP " + b"a" * (2048 - 7) + b"\r\n")
    assert client.replies == ["250 2.0.0 OK"]


def test_errors_and_junk_end_the_connection() -> None:
    client = greeted()
    client.send(b"FOO\r\n" * 30)
    assert client.replies == ["500 5.5.1 Command not recognized"] * 21 + ["421 4.7.0 Too many errors"]
    junk = greeted()
    junk.send(b"NOOP\r\n" * 200)
    assert junk.replies == ["250 2.0.0 OK"] * 100 + ["421 4.7.0 Too many errors"]


def test_refused_recipients_count_as_errors() -> None:
    client = greeted()
    client.send(b"MAIL FROM:<a@example.net>\r\n" + b"RCPT TO:<nobody@example.org>\r\n" * 30)
    assert client.replies.count("550 5.1.1 No such mailbox here") == 21
    assert client.replies[-1] == "421 4.7.0 Too many errors"


def test_recipients_past_the_limit_are_deferred_and_the_message_goes_through() -> None:
    client = greeted(Limits(recipients=3))
    client.send(b"MAIL FROM:<a@example.net>\r\n" + b"".join(b"RCPT TO:<b%d@example.org>\r\n" % n for n in range(5)))
    assert client.replies[-2:] == ["452 4.5.3 Too many recipients"] * 2
    client.send(b"DATA\r\n")
    client.send(b"x\r\n.\r\n")
    assert client.replies[-1] == "250 2.0.0 Accepted"


def test_t_smtp_26_a_message_far_over_the_limit_is_not_read_to_its_end() -> None:
    client = in_data()
    for _ in range(200):
        client.send(b"a" * 98 + b"\r\n")
        if client.machine.is_closed:
            break
    assert client.replies == ["552 5.3.4 Message is larger than this server accepts"]
    assert faults(client) == [Fault.TOO_BIG]
    assert sum(len(e.octets) for e in client.events if isinstance(e, Content)) <= LIMITS.message_octets


def test_t_smtp_25_an_over_long_line_of_content_is_read_to_its_end_in_little_memory() -> None:
    client = in_data(limits=Limits())
    tracemalloc.start()
    for _ in range(50 * 15):  # just below the limit of the whole message
        client.send(b"a" * 65_536)
        client.events.clear()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20 and not client.replies, "of which the test itself keeps the first megabyte"
    client.send(b"\r\n.\r\nNOOP\r\n")
    assert client.replies == ["552 5.3.4 A line of the message is too long", "250 2.0.0 OK"]


@pytest.mark.parametrize("octets", [b"a\r\n\0.\r\nMAIL\r\n.\r\n", b"a\0b\r\n.\r\n"])
def test_t_smtp_06_nul_in_content_is_554(octets: bytes) -> None:
    client = in_data()
    client.send(octets)
    assert client.replies == ["554 5.6.0 The message holds an octet of value 0"]
    assert client.messages == []
    assert client.machine.is_closed


def test_t_smtp_30_nothing_of_the_input_comes_back() -> None:
    client = Client(machine())
    client.send(b"EHLO x%0d%0a250\x20ok\r\n")
    client.send(b"MAIL FROM:<\x1b[2J@example.net>\r\n")
    client.send(b"VRFY \x1b[2J\r\n")
    for line in client.replies:
        assert line.isprintable() and "2J" not in line and len(line) <= 510


def test_content_is_handed_out_in_chunks_as_large_as_it_came() -> None:
    client = in_data(limits=Limits())
    client.send(b"line\r\n" * 10_000)
    assert [len(e.octets) for e in client.events if isinstance(e, Content)] == [60_000 - 2]


def test_draining_waits_for_the_transaction_and_for_nothing_else() -> None:
    idle = greeted()
    idle.machine.drain()
    assert idle.machine.data_to_send() == SHUTTING_DOWN.to_octets()
    assert idle.machine.is_closed
    busy = in_data()
    busy.machine.drain()
    assert not busy.machine.is_closed
    busy.send(b"x\r\n.\r\nMAIL FROM:<a@example.net>\r\n")
    assert busy.replies == ["250 2.0.0 Accepted", str(SHUTTING_DOWN)]
    early = Client(machine(), greet=False)
    early.machine.drain()
    assert early.machine.greet() == []


def test_a_decision_nobody_waits_for_is_our_mistake() -> None:
    with pytest.raises(LocalError):
        machine().decide(reply(250, "2.0.0", "OK"))
    with pytest.raises(LocalError):
        machine().tls_started()


def test_a_reply_that_closes_ends_the_connection() -> None:
    server = machine()
    Client(server).send(b"EHLO c.example.net\r\n")
    assert len(server.receive_data(b"MAIL FROM:<a@example.net>\r\nNOOP\r\n")) == 1
    assert server.decide(Reply(421, "4.7.0", ("Enough",), closes=True)) == []
    assert server.is_closed
    assert server.data_to_send() == b"421 4.7.0 Enough\r\n"


def test_every_state_is_in_the_table_and_closed_is_final() -> None:
    assert set(MOVES) == set(State)
    assert not MOVES[State.CLOSED]


COMMANDS = st.sampled_from(
    [
        b"EHLO c.example.net",
        b"HELO c.example.net",
        b"MAIL FROM:<a@example.net>",
        b"MAIL FROM:<> SIZE=100",
        b"RCPT TO:<b@example.org>",
        b"RCPT TO:<nobody@example.org>",
        b"RCPT TO:<x@elsewhere.example>",
        b"DATA",
        b"RSET",
        b"NOOP",
        b"VRFY x",
        b"STARTTLS",
        b"QUIT",
        b"BDAT 3 LAST",
        b"",
        b".",
        b"x REJECT x",
        b"..dots",
        b"GET / HTTP/1.0",
        b"long " + b"x" * 70,
        b"a\rb",
        b"a\nb",
        b"a\0b",
        b"\x16\x03\x01",
    ]
)
LINES = st.lists(st.one_of(COMMANDS, st.binary(max_size=12)).map(lambda line: line + b"\r\n"), max_size=25).map(b"".join)
SMALL = Limits(
    command_line_octets=60,
    endless_line_octets=200,
    message_octets=100,
    excess_octets=60,
    content_line_octets=40,
    recipients=2,
    errors=6,
)


def outcome(client: Client) -> tuple[list[str], list[Event], list[bytes], bool]:
    """What was answered, told and taken; content is compared as whole messages."""
    return client.replies, [e for e in client.events if not isinstance(e, Content)], client.messages, client.machine.is_closed


def must_wait(client: Client, stream: bytes, replies_before: int) -> bool:
    """Whether a client that has sent this much has to wait for its reply, so that a chunk may not go on."""
    verb = stream.removesuffix(b"\r\n").rpartition(b"\n")[2].partition(b" ")[0].upper()
    last_in_group = verb in (b"EHLO", b"HELO", b"LHLO", b"DATA", b"STARTTLS", b"AUTH", b"XCLIENT")
    return len(client.replies) > replies_before and (last_in_group or not client.machine._extended)


@settings(max_examples=200, deadline=None)
@given(LINES, st.lists(st.integers(0, 400), max_size=10))
def test_t_state_10_any_octets_in_any_chunks_give_the_same_documented_outcome(stream: bytes, cuts: list[int]) -> None:
    stream = b"EHLO c.example.net\r\n" + stream
    single = Client(machine(limits=SMALL))
    waits = set()
    end = len(stream)
    for place in range(len(stream)):
        before = len(single.replies)
        single.send(stream[place : place + 1])
        if single.wants_tls or single.machine.is_closed:
            end = place + 1
            break
        if must_wait(single, stream[: place + 1], before):
            waits.add(place + 1)
    assert all(line[:3].isdigit() and line[0] in "2345" for line in single.replies)
    assert all(not isinstance(e, MessageAsked) or e.size_octets <= SMALL.message_octets for e in single.events)
    chunked = Client(machine(limits=SMALL))
    bounds = sorted({0, end, *waits, *(c for c in cuts if c < end)})
    for start, stop in itertools.pairwise(bounds):
        chunked.send(stream[start:stop])
    assert outcome(chunked) == outcome(single)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_at_all_give_replies_or_silence(octets: bytes) -> None:
    client = Client(machine(limits=SMALL))
    client.send(octets)
    assert all(line[:3].isdigit() for line in client.replies)
    assert client.messages == []
    assert not any(isinstance(event, TlsAsked) for event in client.events)
