"""SMTP over real sockets and real TLS, on asyncio's loop and on uvloop."""

import asyncio
import ipaddress
import smtplib
import socket
import ssl
import time

import aiosmtplib
import pytest

from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.patience import PatienceLimits
from mailward.net.smtp_connection import SmtpSettings
from mailward.protocol.smtp.states import Limits
from support.smtp_reception import Post
from support.smtp_service import Service, Start, read_all, read_reply, say, trusting

MESSAGE = b"From: a@example.net\r\nSubject: hi\r\n\r\n.hello\r\n..\r\n"
OPEN = ("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA")


@pytest.fixture
def settings() -> SmtpSettings:
    return SmtpSettings(hostname="mx.example.org")


def test_smtplib_delivers_octet_exact(start: Start, desk: Post) -> None:
    with smtplib.SMTP("127.0.0.1", start().port) as client:
        for _ in range(3):
            assert client.sendmail("a@example.net", ["alice@example.org", "bob@example.org"], MESSAGE) == {}
    assert [octets for _, octets in desk.spool.items] == [MESSAGE] * 3
    assert "with ESMTP" in desk.spool.items[0][0].trace.replace("\r\n\t", " ")


def test_smtplib_over_starttls(start: Start, desk: Post) -> None:
    with smtplib.SMTP("127.0.0.1", start().port) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        client.starttls(context=trusting())
        client.ehlo()
        assert not client.has_extn("starttls")
        client.sendmail("a@example.net", ["alice@example.org"], MESSAGE)
        client.sendmail("a@example.net", ["alice@example.org"], b"\r\n" + b"x" * 998 + b"\r\n" + b"y\r\n" * 1_000_000)
    assert desk.spool.items[0][1] == MESSAGE
    assert len(desk.spool.items[1][1]) == 1002 + 3_000_000
    assert "with ESMTPS" in desk.spool.items[0][0].trace.replace("\r\n\t", " ")


def test_smtplib_over_implicit_tls(start: Start, desk: Post) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", start(implicit_tls=True).port, context=trusting()) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        client.sendmail("a@example.net", ["alice@example.org"], MESSAGE)
    assert "with ESMTPS" in desk.spool.items[0][0].trace.replace("\r\n\t", " ")


def test_smtplib_utf8_and_large(start: Start, desk: Post) -> None:
    body = b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 200_000
    with smtplib.SMTP("127.0.0.1", start(tls=False).port) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        assert (
            client.sendmail("jürgen@example.net", ["alice@example.org"], body, mail_options=["SMTPUTF8", "BODY=8BITMIME"]) == {}
        )
    item, octets = desk.spool.items[0]
    assert octets == body
    assert item.smtputf8


def test_t_tls_01_commands_behind_starttls_are_never_run(start: Start, desk: Post) -> None:
    with start().connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        client.sendall(b"STARTTLS\r\nMAIL FROM:<i@example.net>\r\n")
        assert read_all(client) == "554 5.5.0 You must wait for the reply\r\n"
    assert desk.judge.seen == []


def test_t_tls_05_a_client_hello_in_the_segment_of_starttls_ends_the_connection(start: Start) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = trusting().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    with start().connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        client.sendall(b"STARTTLS\r\n" + outgoing.read())
        assert read_all(client) == "554 5.5.0 You must wait for the reply\r\n"


def test_t_tls_01_plain_text_behind_the_220_breaks_the_handshake(start: Start, desk: Post) -> None:
    with start().connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        assert say(client, "STARTTLS").startswith("220")
        client.sendall(b"MAIL FROM:<i@example.net>\r\nRCPT TO:<alice@example.org>\r\n")
        rest = b""
        try:
            while some := client.recv(4096):
                rest += some
        except ConnectionResetError:
            pass
        assert b"250" not in rest
    assert desk.judge.seen == []


def test_t_tls_09_nothing_learnt_in_clear_is_left_after_the_handshake(start: Start) -> None:
    with start().connect() as plain:
        read_reply(plain)
        say(plain, "EHLO c.example.net")
        assert say(plain, "STARTTLS now").startswith("501")
        say(plain, "STARTTLS")
        with trusting().wrap_socket(plain) as client:
            assert say(client, "MAIL FROM:<a@example.net>").startswith("503")
            assert "STARTTLS" not in say(client, "EHLO c.example.net")
            assert say(client, "STARTTLS").startswith("503")
            assert say(client, "MAIL FROM:<a@example.net>").startswith("250")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_t_tls_12_old_versions_are_refused(start: Start, version: ssl.TLSVersion) -> None:
    context = trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = version
        context.maximum_version = version
    with start().connect() as plain:
        read_reply(plain)
        say(plain, "EHLO c.example.net", "STARTTLS")
        with pytest.raises((ssl.SSLError, ConnectionResetError)), context.wrap_socket(plain):
            pass


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "aNULL", "ECDHE-ECDSA-AES128-SHA"])
def test_t_tls_12_weak_suites_are_refused(start: Start, ciphers: str) -> None:
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with start().connect() as plain:
        read_reply(plain)
        say(plain, "EHLO c.example.net", "STARTTLS")
        with pytest.raises((ssl.SSLError, ConnectionResetError)), context.wrap_socket(plain):
            pass


def test_t_tls_13_a_stalled_handshake_is_ended(start: Start) -> None:
    service = start(handshake_s=0.1)
    with service.connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net", "STARTTLS")
        client.sendall(b"\x16\x03\x01")
        with pytest.raises(ConnectionResetError):
            read_all(client)
            raise ConnectionResetError
    service.run(_gone(service))


async def _gone(service: Service) -> None:
    """Returns when every connection has ended and given back its place."""
    while service.listener.connections:
        await asyncio.wait(service.listener.connections.values())
    assert service.listener.admission.count == 0


def test_t_tls_18_a_connection_cut_in_data_leaves_nothing(start: Start, desk: Post) -> None:
    service = start()
    with service.connect() as plain:
        read_reply(plain)
        say(plain, "EHLO c.example.net", "STARTTLS")
        client = trusting().wrap_socket(plain, suppress_ragged_eofs=True)
        say(client, *OPEN)
        client.sendall(MESSAGE)
        socket.socket(fileno=client.detach()).close()
    service.run(_gone(service))
    assert (desk.spool.items, desk.spool.open) == ([], 0)


def test_t_smtp_21_an_early_talker_gets_no_service(start: Start, desk: Post) -> None:
    service = start()
    early = 0
    for _ in range(20):
        with service.connect() as client:
            client.sendall(b"EHLO early.example.net\r\n")
            early += read_reply(client).startswith("554 5.5.1")
    assert early > 0  # octets that lost the race against our accept are not early


def test_t_smtp_21_who_cannot_wait_for_a_late_greeting_is_sent_away_at_once(start: Start) -> None:
    service = start(greet_delay_s=20.0)
    with service.connect() as client:
        begun = time.monotonic()
        client.sendall(b"EHLO early.example.net\r\n")
        assert read_all(client) == "554 5.5.1 You must wait for the greeting\r\n"
        assert time.monotonic() - begun < 10
    with service.connect():
        pass  # gone before it was greeted
    service.run(_gone(service))


def test_a_late_greeting_comes_after_its_time_and_at_once_to_hosts_that_are_exempt(start: Start) -> None:
    exempt = Admission(AdmissionLimits(exempt=(ipaddress.ip_network("127.0.0.0/8"),)))
    for admission, delay_s, least_s in ((None, 1.0, 1.0), (exempt, 30.0, 0.0)):
        with start(greet_delay_s=delay_s, admission=admission).connect() as client:
            begun = time.monotonic()
            assert read_reply(client).startswith("220 ")
            assert least_s <= time.monotonic() - begun < 20
            assert say(client, "EHLO c.example.net").startswith("250")


def test_t_smtp_08_every_octet_in_its_own_segment(start: Start, desk: Post) -> None:
    with start().connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_reply(client)
        say(client, *OPEN)
        for octet in b"..x\r\n.\r\n":
            client.send(bytes([octet]))
        assert read_reply(client).startswith("250")
        for line in OPEN[1:]:
            say(client, line)
        client.sendall(b"two\r\n.\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n")
        assert [read_reply(client)[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        client.sendall(b"three\r\n.\r\nQUIT\r\n")
        assert [read_reply(client)[:3] for _ in range(2)] == ["250", "221"]
        assert client.recv(1) == b""
    assert [octets for _, octets in desk.spool.items] == [b".x\r\n", b"two\r\n", b"three\r\n"]


CHUNKED = ("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>")


def test_a_large_message_in_chunks_and_segments_of_any_size(start: Start, desk: Post) -> None:
    message = b"From: a@example.net\r\n\r\n" + (b"." * 70 + b"\r\n") * 40_000
    chunks = [message[at : at + 300_007] for at in range(0, len(message), 300_007)]
    stream = b"".join(b"BDAT %d%s\r\n%s" % (len(c), b" LAST" * (c is chunks[-1]), c) for c in chunks)
    with start().connect() as client:
        read_reply(client)
        assert "250-CHUNKING" in say(client, "EHLO c.example.net")
        say(client, *CHUNKED[1:])
        for at in range(0, len(stream), 70_001):
            client.sendall(stream[at : at + 70_001])
        assert [read_reply(client)[:9] for _ in chunks] == ["250 2.0.0"] * len(chunks)
    assert [octets for _, octets in desk.spool.items] == [message]


def test_t_smtp_18_tls_that_ends_in_a_chunk_ends_the_connection_and_the_message(start: Start, desk: Post) -> None:
    service = start()
    with service.connect() as plain:
        read_reply(plain)
        say(plain, "EHLO c.example.net", "STARTTLS")
        client = trusting().wrap_socket(plain, suppress_ragged_eofs=True)
        say(client, *CHUNKED)
        client.sendall(b"BDAT 100 LAST\r\nSubject: half\r\n")
        client.setblocking(False)
        with pytest.raises((ssl.SSLWantReadError, ssl.SSLZeroReturnError)):
            client.unwrap()  # our close_notify
        raw = socket.socket(fileno=client.detach())
        raw.settimeout(20)
        try:
            raw.sendall(b"x" * 85 + b"RSET\r\nNOOP\r\n")
            while raw.recv(4096):
                pass
        except ConnectionError:
            pass
        raw.close()
    service.run(_gone(service))
    assert (desk.spool.items, desk.spool.open) == ([], 0)


@pytest.mark.parametrize("sent", [0, 1, 14, 15, 16, 40])
def test_t_state_08_a_client_lost_in_a_chunk_leaves_nothing(start: Start, desk: Post, sent: int) -> None:
    service = start(tls=False)
    with service.connect() as client:
        read_reply(client)
        say(client, *CHUNKED)
        client.sendall((b"BDAT 40 LAST\r\n" + b"x" * 40)[:sent])
    service.run(_gone(service))
    assert (desk.spool.items, desk.spool.open) == ([], 0)


def test_t_state_08_a_client_lost_at_any_octet_leaves_nothing(start: Start, desk: Post) -> None:
    service = start(tls=False)
    session = "".join(f"{line}\r\n" for line in OPEN).encode()
    for sent in range(0, len(session), 7):
        with service.connect() as client:
            read_reply(client)
            client.sendall(session[:sent])
    for sent in range(1, len(MESSAGE), 5):
        with service.connect() as client:
            read_reply(client)
            say(client, *OPEN)
            client.sendall(MESSAGE[:sent])
    service.run(_gone(service))
    assert (desk.spool.items, desk.spool.open) == ([], 0)


def test_t_state_09_a_client_that_hangs_up_behind_its_final_dot_does_not_cancel_the_commit(start: Start, desk: Post) -> None:
    service = start()

    async def hold() -> None:
        desk.spool.gate = asyncio.Event()

    async def committing() -> None:
        await desk.spool.committing.wait()

    async def let_go() -> None:
        assert desk.spool.gate is not None
        desk.spool.gate.set()

    service.run(hold())
    with service.connect() as client:
        read_reply(client)
        say(client, *OPEN)
        client.sendall(MESSAGE + b".\r\n")
        service.run(committing())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset, not a polite end
    service.run(let_go())
    service.run(_gone(service))
    assert len(desk.spool.items) == len(desk.told) == 1


def test_a_client_that_says_all_and_shuts_down_its_side_gets_its_replies(start: Start, desk: Post) -> None:
    with start(tls=False).connect() as client:
        read_reply(client)
        say(client, *OPEN)
        client.sendall(b"x\r\n.\r\n")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).startswith("250 2.0.0 Accepted")
    assert len(desk.spool.items) == 1


def test_a_silent_client_is_told_why_it_is_dropped(start: Start) -> None:
    with start(patience=PatienceLimits(command_s=0.05)).connect() as client:
        assert read_all(client).splitlines()[1:] == ["421 4.4.2 Timed out waiting for input"]


def test_a_session_ends_however_busy_it_is(start: Start) -> None:
    with start(patience=PatienceLimits(session_s=0.2, command_s=0.05), limits=Limits(junk_commands=10**9)).connect() as client:
        read_reply(client)
        answer = ""
        while not answer.startswith("421"):
            answer = say(client, "NOOP")
        assert answer == "421 4.4.2 Timed out waiting for input\r\n"


def test_data_that_drips_is_ended_and_data_that_flows_earns_time(start: Start, desk: Post) -> None:
    service = start(patience=PatienceLimits(command_s=0.5, data_octets_per_s=1_000.0))
    with service.connect() as client:
        read_reply(client)
        say(client, *OPEN)
        client.sendall(b"drip\r\n")
        assert read_all(client) == "421 4.4.2 Timed out waiting for input\r\n"
    with service.connect() as client:
        read_reply(client)
        say(client, *OPEN)
        client.sendall(b"flow\r\n" * 1000)  # 6 s of credit

        async def wait() -> None:
            await asyncio.sleep(0.7)

        service.run(wait())
        client.sendall(b".\r\n")
        assert read_reply(client).startswith("250")


def test_connections_of_one_address_are_limited_and_given_back(start: Start) -> None:
    service = start(admission=Admission(AdmissionLimits(total=10, per_address=2)))
    with service.connect() as one, service.connect() as two:
        assert read_reply(one).startswith("220") and read_reply(two).startswith("220")
        with service.connect() as three:
            assert read_all(three).startswith("421 4.7.0 Too many connections")
        assert say(one, "QUIT").startswith("221")
        assert one.recv(1) == b""
        with service.connect() as four:
            assert read_reply(four).startswith("220")


def test_draining_finishes_the_transaction_and_ends_the_rest(start: Start, desk: Post) -> None:
    service = start()
    with service.connect() as idle, service.connect() as busy:
        read_reply(idle)
        read_reply(busy)
        say(idle, "EHLO c.example.net")
        say(busy, *OPEN)
        closing = asyncio.run_coroutine_threadsafe(service.listener.close(grace_s=10), service._loop)
        assert read_all(idle).startswith("421 4.3.2")
        with pytest.raises(ConnectionRefusedError):
            service.connect()
        busy.sendall(b"x\r\n.\r\n")
        assert [line[:3] for line in read_all(busy).splitlines()] == ["250", "421"]
        closing.result(20)
    assert len(desk.spool.items) == 1


def test_reading_stops_while_a_decision_takes_long(start: Start, desk: Post) -> None:
    service = start(tls=False, buffer_octets=1000, limits=Limits(junk_commands=100_000))

    async def hold() -> None:
        desk.spool.gate = asyncio.Event()

    async def buffered() -> int:
        await desk.spool.committing.wait()
        [connection] = service.listener.connections
        while not connection._reading_paused:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
        return connection._inbox_octets

    async def let_go() -> None:
        assert desk.spool.gate is not None
        desk.spool.gate.set()

    service.run(hold())
    with service.connect() as client:
        read_reply(client)
        say(client, *OPEN)
        client.sendall(b"x\r\n.\r\n")
        client.sendall(b"NOOP\r\n" * 1000)
        assert service.run(buffered()) < 300_000
        service.run(let_go())
        assert read_reply(client).startswith("250 2.0.0 Accepted")
        assert [read_reply(client) for _ in range(1000)] == ["250 2.0.0 OK\r\n"] * 1000


def test_an_unforeseen_failure_outside_reception_is_451_and_tells_nothing(start: Start, desk: Post) -> None:
    service = start()

    def broken(session: object) -> object:
        raise RuntimeError("a secret that the peer must not see")

    service.listener.reception_factory = broken  # type: ignore[assignment]
    with service.connect() as client:
        assert read_all(client) == "451 4.3.0 Temporary local problem, please try again later\r\n"


@pytest.mark.parametrize("how", ["plain", "starttls", "implicit"])
async def test_aiosmtplib_delivers_octet_exact(start: Start, desk: Post, how: str) -> None:
    service = start(implicit_tls=how == "implicit", tls=how != "plain")
    secure = {"tls_context": trusting(), "use_tls": how == "implicit", "start_tls": how == "starttls"} if how != "plain" else {}
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=service.port, timeout=20, **secure)  # type: ignore[arg-type]
    async with client:
        for message in (MESSAGE, b"\r\n" + "ü".encode() * 400 + b"\r\n"):
            errors, _ = await client.sendmail("a@example.net", ["alice@example.org", "bob@example.org"], message)
            assert errors == {}
    assert [octets for _, octets in desk.spool.items] == [MESSAGE, b"\r\n" + "ü".encode() * 400 + b"\r\n"]
