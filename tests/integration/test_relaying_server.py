"""A whole server relays: to a peer that listens to everything, to Postfix's smtp-sink, and to a second Mailward."""

import asyncio
import os
import re
import shutil
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mailward.disk import Disk
from mailward.queue.item import QueuedRecipient
from mailward.queue.spool import Spool
from support.processes import RunningProgram, free_port, program
from support.relayed import QUIET, relay_to
from support.server import Server, server
from support.smtp_peer import peer
from support.spooling import item_for


def explain_last(made: Server, until: str) -> str:
    """`mailward explain last`, once it tells that."""
    deadline = time.monotonic() + 90
    while until not in (told := made.explain()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return told


def relayed(made: Server) -> int:
    """Recipients that the log says were relayed."""
    return len(re.findall(rb"event=relayed\b", (made.folder / "server.log").read_bytes()))


def test_mail_for_others_leaves_at_once_and_explain_tells_where_it_went() -> None:
    with peer() as far, server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": far.port})
        made.start()
        assert made.send(b"Subject: one\r\n\r\nx\r\n", to=("bob@far.test", "demo@example.test"))[0] == 250
        accepted = time.monotonic()
        (taken,) = far.wait_for(1)
        assert taken.at - accepted < 20  # far below the pause before a second attempt
        assert taken.forward_paths == ("bob@far.test",) and b"\r\nSubject: one\r\n\r\nx\r\n" in taken.octets
        assert taken.octets.startswith(b"Authentication-Results:") and b"\r\nReceived: from " in taken.octets
        made.wait_for(1)
        wanted = "relayed to [127.0.0.1] in clear: 250 2.0.0 taken"
        assert wanted in explain_last(made, wanted)


def test_t_tls_08_two_mailwards_speak_tls_and_the_second_delivers() -> None:
    with server(policy=QUIET, start=False) as first, server(policy=QUIET, start=False) as second:
        second.run("domain", "add", "far.test")
        second.add_account("bob@far.test")
        second.start()
        relay_to(first, {"far.test": second.port("mx")})
        first.start()
        for n in range(20):
            assert first.send(f"Subject: number {n}\r\n\r\n.dot\r\n".encode(), to=("bob@far.test",))[0] == 250
        found = second.wait_for(20, account="bob@far.test")
        assert sorted(int(re.search(rb"number (\d+)", octets)[1]) for octets in found) == list(range(20))  # type: ignore[index]
        for octets in found:
            assert octets.count(b"\r\nReceived: ") == 2 and b"with ESMTPS" in octets and octets.endswith(b"\r\n.dot\r\n")
        assert "over TLSv1.3: 250" in explain_last(first, "over TLSv1.3: 250")


def test_smtp_sink_takes_a_thousand_messages(tmp_path: Path) -> None:
    port = free_port()
    as_user = ["-u", "postfix"] if os.geteuid() == 0 else []
    sink = RunningProgram([program("smtp-sink", "postfix"), *as_user, f"127.0.0.1:{port}", "1000"], tmp_path / "sink.log")
    try:
        sink.wait_until(lambda: _greets(port))
        with server(policy=QUIET, start=False) as made:
            relay_to(made, {"far.test": port})
            made.start()
            with made.smtp() as client:
                for _ in range(1000):
                    client.sendmail("a@sender.invalid", ["b@far.test"], b"Subject: x\r\n\r\nx\r\n")
            deadline = time.monotonic() + 60
            while relayed(made) < 1000 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert relayed(made) == 1000, made.log()
    finally:
        sink.stop()


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as probe:
            return probe.recv(100).startswith(b"220")
    except OSError:
        return False


def test_a_refusal_comes_back_to_the_sender_as_a_report() -> None:
    """The sender is a local account whose own mail left: until submission is there, it is put into the spool."""
    with peer({"RCPT": b"550 5.1.1 nobody of that name\r\n"}) as far, server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": far.port})
        _spool_submission(made, "demo@example.test", "nobody@far.test", b"Subject: hello\r\n\r\nx\r\n")
        made.start()
        (report,) = made.wait_for(1)
        assert report.startswith(b"Return-Path: <>\r\n") and b"550 5.1.1 nobody of that name" in report
        assert b"Content-Type: message/delivery-status" in report
        assert far.lines.count("RCPT TO:<nobody@far.test>") == 1


def _spool_submission(made: Server, sender: str, to: str, octets: bytes) -> None:
    """As the submission side does, before the server starts."""

    async def put() -> None:
        spool = Spool(made.folder / "data/spool", Disk(), owner="test")
        item = replace(
            item_for(octets, [QueuedRecipient(to, "relay")], reverse_path=sender),
            origin="submission",
            received_at=datetime.now(UTC).isoformat(),
        )
        incoming = spool.begin(item.id)
        incoming.write(octets)
        await incoming.commit(item)
        await spool.close()

    asyncio.run(put())
    owner = (made.folder / "data").stat()
    for path in [made.folder / "data/spool", *(made.folder / "data/spool").iterdir()]:
        shutil.chown(path, owner.st_uid, owner.st_gid)
