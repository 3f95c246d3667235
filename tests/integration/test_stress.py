"""Crowds: very many connections, clients that drip, strangers who make errors. Whoever has logged in is served all the time."""

import asyncio
import contextlib
import resource
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.model.session import Role
from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.patience import PatienceLimits
from mailward.net.smtp_connection import SmtpSettings
from mailward.protocol.smtp.states import Limits
from support.server import Server, server
from support.smtp_service import Start, read_all, read_reply, say, trusting

CROWD = 10_000


@pytest.fixture
def settings() -> SmtpSettings:
    return SmtpSettings(hostname="mx.example.org")


def test_t_dos_01_a_command_that_drips_in_is_ended_and_one_that_is_whole_earns_time(start: Start) -> None:
    service = start(tls=False, patience=PatienceLimits(command_s=3.0))
    with service.connect() as client:
        read_reply(client)
        begun = time.monotonic()
        for _ in range(12):
            client.sendall(b"NOOP\r\n")
            assert read_reply(client).startswith("250")
            time.sleep(0.3)
        assert time.monotonic() - begun > 3.0
        client.setblocking(False)
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 40:
                with contextlib.suppress(BlockingIOError):
                    if not client.recv(100):
                        break
                client.send(b"N")
                time.sleep(0.1)
        assert time.monotonic() - begun < 30


def test_who_makes_error_after_error_waits_for_the_replies(start: Start) -> None:
    service = start(tls=False, tarpit_s=0.2, limits=Limits(errors=6))
    with service.connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        took = []
        for _ in range(6):
            begun = time.monotonic()
            say(client, "RUBBISH")
            took.append(time.monotonic() - begun)
        assert min(took[3:]) >= 0.2


def test_under_stress_idle_strangers_make_room_and_who_has_logged_in_stays(start: Start) -> None:
    admission = Admission(AdmissionLimits(total=10, per_address=100, per_network=100))
    service = start(
        implicit_tls=True,
        admission=admission,
        role=Role.SUBMISSION,
        mechanisms=("PLAIN",),
        patience=PatienceLimits(stress_s=1.0),
    )
    with contextlib.ExitStack() as stack:

        def connect() -> ssl.SSLSocket:
            client = trusting().wrap_socket(service.connect())
            stack.callback(client.close)
            read_reply(client)
            return client

        known = connect()
        say(known, "EHLO c.example.net")
        assert say(known, "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==").startswith("235")
        strangers = [connect() for _ in range(7)]
        begun = time.monotonic()
        for stranger in strangers:
            assert read_all(stranger).startswith("421 4.4.2")
        assert time.monotonic() - begun < 30
        assert say(known, "NOOP").startswith("250")
        assert not admission.is_stressed


@pytest.mark.parametrize("announced", [b"DATA", b"BDAT 30000000"])
def test_t_dos_01_under_stress_what_strangers_have_sent_buys_them_no_silence(start: Start, announced: bytes) -> None:
    admission = Admission(AdmissionLimits(total=5, per_address=100, per_network=100))
    service = start(tls=False, admission=admission, patience=PatienceLimits(stress_s=1.0))
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(service.connect()) for _ in range(4)]
        for stranger in strangers:
            read_reply(stranger)
            for command in ("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>"):
                say(stranger, command)
            stranger.sendall(announced + b"\r\n")
            if announced == b"DATA":
                read_reply(stranger)
            stranger.sendall((b"x" * 998 + b"\r\n") * 500)  # a thousand seconds' worth, were it all counted
        begun = time.monotonic()
        for stranger in strangers:
            assert "421 4.4.2" in read_all(stranger)
        assert time.monotonic() - begun < 20


def test_t_dos_02_a_crowd_that_comes_again_and_again_keeps_nobody_out_who_was_here_before() -> None:
    def logged_in(target: Server, port: str) -> smtplib.SMTP:
        here = ("127.0.0.9", 0)
        client: smtplib.SMTP
        if port == "submissions":
            client = smtplib.SMTP_SSL("127.0.0.1", target.port(port), timeout=30, source_address=here, context=trusting())
        else:
            client = smtplib.SMTP("127.0.0.1", target.port(port), timeout=30, source_address=here)
            client.starttls(context=trusting())
        client.login(target.demo, target.password(target.demo))
        return client

    with server(policy="version: 1\nplugins: {}\n", start=False) as target, contextlib.ExitStack() as stack:
        target.config.write_text(target.config.read_text() + "limits: {connections: 20}\nprocesses: {smtp: 2}\n")
        target.start()
        logged_in(target, "submissions").quit()
        crowd = [stack.enter_context(socket.socket()) for _ in range(40)]
        for number, stranger in enumerate(crowd):
            stranger.bind((f"127.1.{number}.1", 0))
            stranger.connect(("127.0.0.1", target.port("submission" if number % 2 else "submissions")))
        answers = [stranger.recv(200) for stranger in crowd[1::2]]
        assert sum(answer.startswith(b"421 4.3.2") for answer in answers) >= 2
        for port in ("submission", "submissions"):
            logged_in(target, port).quit()


@contextlib.contextmanager
def _many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _rss_octets(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def _drip(port: int, number: int, until: asyncio.Event, door: asyncio.Semaphore, connected: "asyncio.Queue[int]") -> None:
    """One connection from an address of its own neighbourhood: an octet of a command each five seconds.

    door: how many connect at once; more would fill the kernel's list of those who wait, and it makes the rest wait for minutes.
    """
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        client.bind((f"127.{1 + number // 2560}.{number // 10 % 256}.{1 + number % 10}", 0))
        async with door:
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_recv(client, 100)
        connected.put_nowait(number)
        with contextlib.suppress(ConnectionError):
            while not until.is_set():
                await loop.sock_sendall(client, b"N")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), 5.0)


def _submit(target: Server) -> float:
    """Seconds for a login over TLS and a message."""
    begun = time.monotonic()
    with smtplib.SMTP_SSL("127.0.0.1", target.port("submissions"), context=trusting(), timeout=30) as client:
        client.login(target.demo, target.password(target.demo))
        client.sendmail(target.demo, [target.demo], f"From: {target.demo}\r\n\r\nx\r\n".encode())
    return time.monotonic() - begun


@pytest.mark.timeout(900)
def test_t_dos_01_t_dos_02_t_dos_06_ten_thousand_dripping_connections_keep_nobody_out() -> None:
    with _many_descriptors(), server(policy="version: 1\nplugins: {}\n", start=False) as target:
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > CROWD + 1000, "this test needs as many open files: ulimit -Hn"
        target.config.write_text(target.config.read_text() + f"limits: {{connections: {2 * CROWD}}}\n")
        target.start()
        took, octets = asyncio.run(_crowd(target))
        assert "worker killed" not in target.log()
    print(f"{octets / 1024:.0f} KiB a connection; a message submitted meanwhile took {min(took):.2f} to {max(took):.2f} s")
    assert octets < 64 * 1024
    assert sorted(took)[1] < 20, took


async def _crowd(target: Server) -> tuple[list[float], float]:
    assert target.process is not None
    workers = target.worker_pids("smtp")
    before = sum(_rss_octets(worker) for worker in workers)
    until, connected, crowd = asyncio.Event(), asyncio.Queue[int](), []
    door = asyncio.Semaphore(50)
    for number in range(CROWD):
        crowd.append(asyncio.create_task(_drip(target.port("mx"), number, until, door, connected)))
    async with asyncio.timeout(600):
        for _ in range(CROWD):
            await connected.get()
    await asyncio.sleep(2)
    took = [await asyncio.to_thread(_submit, target) for _ in range(3)]
    octets = (sum(_rss_octets(worker) for worker in workers) - before) / CROWD
    until.set()
    await asyncio.gather(*crowd, return_exceptions=True)
    return took, octets
