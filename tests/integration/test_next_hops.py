"""Our queue process relays to real servers, and what they pass on is octet for octet what was given to us.

Each of them hands the message to a peer of ours, with its own trace field on top.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailward.net.connect import SmtpConnector
from support.exim import Exim
from support.haraka import haraka
from support.opensmtpd import opensmtpd
from support.postfix import postfix
from support.relaying import Office
from support.server import open_folder
from support.smtp_peer import Peer, peer
from support.smtp_service import throw_away_certificate

SENDER = "mx@sender.invalid"
HEAD = (
    b"From: mx@sender.invalid\r\nTo: b@far.test\r\nSubject: x\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <x@sender.invalid>\r\n\r\n"
)
BODIES = {
    "dots": b".\r\n..\r\n...x\r\n.\r\n",
    "eight bit": "über\r\n".encode(),
    "long line": b"x" * 998 + b"\r\n",
    "empty lines at the end": b"x\r\n\r\n\r\n",
    "two megabytes": (b"0123456789" * 7 + b"\r\n") * 29_000,
}
PATIENT_S = 60.0


@dataclass(frozen=True)
class NextHop:
    """A running server. chunks: how many messages came in chunks, by its own log; None where it does not offer CHUNKING."""

    port: int
    chunks: Callable[[], int] | None = None
    address: str = "127.0.0.1"


@pytest.fixture(scope="module")
def behind() -> Iterator[Peer]:
    """Where the servers bring what they took."""
    with peer(offers=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 50000000")) as made:
        yield made


@pytest.fixture(scope="module", params=["postfix", "exim", "opensmtpd", "haraka"])
def hop(request: pytest.FixtureRequest, behind: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NextHop]:
    with contextlib.ExitStack() as stack:
        match request.param:
            case "postfix":
                made = stack.enter_context(postfix(behind.port))
                yield NextHop(made.port, lambda: sum(map(int, re.findall(r" bdat=([0-9]+) ", made.log()))))
            case "exim":
                folder = open_folder("mailward-exim-")
                exim = Exim(folder, behind.port, transport=("hosts_avoid_tls = *",))
                yield NextHop(stack.enter_context(exim.listening()), lambda: len(re.findall(r" <= mx@sender.* K ", exim.log())))
            case "opensmtpd":
                certificate, _ = throw_away_certificate(tmp_path_factory.mktemp("tls"), "localhost")
                sender = stack.enter_context(opensmtpd({"on": f"smtp+notls://127.0.0.1:{behind.port}"}, certificate, "demo", "x"))
                yield NextHop(sender.ports["on"])
            case "haraka":
                queue = stack.enter_context(haraka({"mx": {"exchange": "127.0.0.1", "port": behind.port}}, in_clear="far.test"))
                yield NextHop(queue.port)


async def test_messages_arrive_octet_for_octet_in_chunks_where_they_are_offered(
    hop: NextHop, behind: Peer, tmp_path: Path
) -> None:
    before = len(behind.taken)
    made = Office(tmp_path, {"far.test": hop}, connector=SmtpConnector("mail.example.org"))  # type: ignore[dict-item]
    try:
        items = [await made.post("b@far.test", octets=HEAD + body, sender=SENDER) for body in BODIES.values()]
        await made.work()
        assert all(made.open(item) == {} for item in items), [made.events(item) for item in items]
    finally:
        await made.close()
    await asyncio.to_thread(behind.wait_for, before + len(BODIES), PATIENT_S)
    expected = {name: b"X-Signed: yes\r\n" + items[0].trace.encode() + HEAD + body for name, body in BODIES.items()}
    arrived = [taken.octets for taken in behind.taken[before:]]
    for name, octets in expected.items():
        assert len([found for found in arrived if found.endswith(octets)]) == 1, name
    assert hop.chunks is None or hop.chunks() == len(BODIES)


async def test_thirty_recipients_of_one_message_are_all_reached(hop: NextHop, behind: Peer, tmp_path: Path) -> None:
    before = len(behind.taken)
    made = Office(tmp_path, {"far.test": hop}, connector=SmtpConnector("mail.example.org"))  # type: ignore[dict-item]
    try:
        item = await made.post(*(f"u{n}@far.test" for n in range(30)), octets=HEAD + b"x\r\n", sender=SENDER)
        await made.work()
        assert made.open(item) == {}, made.events(item)
        assert len([text for text in made.events(item) if text.startswith("relayed to")]) == 30
    finally:
        await made.close()
    reached: set[str] = set()

    def all_reached() -> bool:
        reached.update(path for taken in behind.taken[before:] for path in taken.forward_paths)
        return len(reached) == 30

    await asyncio.to_thread(behind.wait, all_reached, PATIENT_S)
