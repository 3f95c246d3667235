"""Clients that vanish, at every octet of a session, in every way: what they heard 250 for is in the real spool once, and nothing else is."""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailward.disk import Disk
from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.smtp_connection import SmtpSettings
from mailward.queue.spool import Spool
from support.smtp_reception import Post
from support.smtp_service import Service, Start, read_reply, trusting

ANY_NUMBER = AdmissionLimits(per_address=1000, per_network=1000)
Ending = Callable[[socket.socket], None]


@pytest.fixture
def settings() -> SmtpSettings:
    return SmtpSettings(hostname="mx.example.org", handshake_s=60)


@pytest.fixture
def spool(desk: Post, tmp_path: Path) -> Spool:
    """Each message longer than a few octets is a file from the start."""
    made = Spool(tmp_path / "spool", Disk(), owner="smtp1", in_memory_octets=16)
    desk.desk = replace(desk.desk, spool=made)
    return made


def _steps(number: int) -> list[bytes]:
    """A session of two messages, one by DATA and one by BDAT, that tell whose they are; each step is answered."""
    envelope = [b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<alice@example.org>\r\n"]
    first, second = (b"Subject: %s %04d\r\n\r\n..x\r\n" % (how, number) for how in (b"data", b"bdat"))
    chunk = b"BDAT %d LAST\r\n%s" % (len(second), second)
    return [b"EHLO c.example.net\r\n", *envelope, b"DATA\r\n", first + b".\r\n", *envelope, chunk, b"QUIT\r\n"]


LENGTH = len(b"".join(_steps(0)))


@dataclass(frozen=True)
class Told:
    """heard: of which messages the client saw the 250. said: which it sent to their last octet."""

    heard: frozenset[bytes]
    said: frozenset[bytes]


def _vanish(client: socket.socket, number: int, octets: int, end: Ending) -> Told:
    """Say so many octets of the session, reading each reply but the one to what is said last, and be gone."""
    heard, said = set(), set()
    read_reply(client)
    for step in _steps(number):
        client.sendall(step[:octets])
        octets -= len(step)
        message = next((word + b" %04d" % number for word in (b"data", b"bdat") if word + b" %04d" % number in step), None)
        if octets >= 0 and message is not None:
            said.add(message)
        if octets <= 0:
            break
        if read_reply(client).startswith("250") and message is not None:
            heard.add(message)
    end(client)
    return Told(frozenset(heard), frozenset(said))


def _fin(client: socket.socket) -> None:
    socket.socket(fileno=client.detach()).close()


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    _fin(client)


def _close_notify(client: socket.socket) -> None:
    assert isinstance(client, ssl.SSLSocket)
    client.setblocking(False)
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        client.unwrap()  # ours is sent; a reply may stand where theirs is awaited
    _fin(client)


async def _gone(service: Service) -> None:
    """Returns when every connection has ended."""
    while service.listener.connections:
        await asyncio.wait(service.listener.connections.values())


@contextlib.contextmanager
def _nothing_left_over(service: Service, spool: Spool, folder: Path, told: list[Told]) -> Iterator[None]:
    """Of all these clients: what was heard of is there once, what was not said to its end is not, and no file is left besides."""
    yield
    service.run(_gone(service))
    kept = Counter(bytes(spool.octets(id)).partition(b"\r\n")[0].removeprefix(b"Subject: ") for id in spool.ids())
    for one in told:
        assert all(kept[message] == 1 for message in one.heard)
    assert set(kept.values()) <= {1}
    assert set(kept) <= frozenset().union(*(one.said for one in told))
    files = [path.name for path in folder.iterdir()]
    assert not [name for name in files if name.endswith(".part")]
    assert len([name for name in files if name.endswith(".msg")]) == len(spool.ids())
    service.run(spool.close())


@pytest.mark.parametrize("end", [_fin, _reset], ids=["fin", "reset"])
def test_t_state_08_09_a_client_that_vanishes_at_any_octet(start: Start, spool: Spool, tmp_path: Path, end: Ending) -> None:
    service, told = start(tls=False, admission=Admission(ANY_NUMBER)), list[Told]()
    with capture_logs() as log, _nothing_left_over(service, spool, tmp_path / "spool", told):
        for octets in range(LENGTH + 1):
            with service.connect() as client:
                told.append(_vanish(client, octets, octets, end))
    lost = [line for line in log if line["event"] == "lost connection"]
    if end is _fin:
        assert len(lost) == LENGTH  # all but the one that said QUIT
    assert len(lost) <= LENGTH + 1  # one may be gone before its QUIT is answered, or before anybody looked at it
    assert not [line for line in log if line["log_level"] in ("warning", "error", "critical")]


@pytest.mark.parametrize("end", [_close_notify, _fin, _reset], ids=["close_notify", "fin", "reset"])
def test_t_state_08_09_t_tls_18_a_client_that_vanishes_at_any_octet_under_tls(
    start: Start, spool: Spool, tmp_path: Path, end: Ending
) -> None:
    service, told, context = start(implicit_tls=True, admission=Admission(ANY_NUMBER)), list[Told](), trusting()
    with capture_logs() as log, _nothing_left_over(service, spool, tmp_path / "spool", told):
        for octets in range(LENGTH + 1):
            with service.connect() as plain:
                told.append(_vanish(context.wrap_socket(plain), octets, octets, end))
    assert not [line for line in log if line["log_level"] in ("warning", "error", "critical")]


@pytest.mark.parametrize("end", [_fin, _reset], ids=["fin", "reset"])
def test_t_state_08_t_tls_13_a_client_that_vanishes_at_any_octet_of_its_handshake_is_not_waited_for(
    start: Start, spool: Spool, tmp_path: Path, end: Ending
) -> None:
    """The time a handshake may take is longer than the test waits."""
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        trusting().wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    hello = outgoing.read()
    service = start(admission=Admission(ANY_NUMBER))
    with _nothing_left_over(service, spool, tmp_path / "spool", []):
        for octets in range(0, len(hello) + 1, 3):
            with service.connect() as client:
                read_reply(client)
                for line in (b"EHLO c.example.net\r\n", b"STARTTLS\r\n"):
                    client.sendall(line)
                    read_reply(client)
                client.sendall(hello[:octets])
                end(client)
