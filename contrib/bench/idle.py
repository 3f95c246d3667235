"""What does an idling client cost? Memory of a session over TLS, and how long after an APPEND others are told, whichever process
they are at."""

import statistics
import time

from imap_client import ImapClient
from processes import pss_octets
from sides import mailward_server

from support.server import PASSWORD

SESSIONS = 200
NOTICES = 50
MAILBOX_MESSAGES = 1000
APART_S = 0.05
"""Changes that come sooner behind others are told together."""
USER = "demo@example.test"
MESSAGE = b"From: a@example.net\r\nTo: demo@example.test\r\nSubject: news\r\n\r\ntext\r\n"


def run(rounds: int) -> None:
    """Print kB a session, and milliseconds from APPEND to EXISTS as median and 95th percentile."""
    with mailward_server() as server:
        assert server.process is not None
        pids, port = (server.process.pid,), server.port("imap")
        writer = ImapClient(port, USER, PASSWORD)
        for _ in range(MAILBOX_MESSAGES):
            writer.command("APPEND INBOX", MESSAGE)
        listener = _idling(port)
        waits = []
        for _ in range(NOTICES * rounds):
            began = time.perf_counter()
            writer.command("APPEND INBOX", MESSAGE)
            listener.wait_for_exists()
            waits.append((time.perf_counter() - began) * 1000)
            time.sleep(APART_S)
        waits.sort()
        print(f"APPEND to EXISTS {statistics.median(waits):.0f} ms, 95th percentile {waits[len(waits) * 95 // 100]:.0f} ms")
        before = pss_octets(pids)
        sessions = [_idling(port) for _ in range(SESSIONS)]
        octets = (pss_octets(pids) - before) / len(sessions)
        print(f"{octets / 1000:.0f} kB a session of {SESSIONS}, a mailbox of {MAILBOX_MESSAGES + NOTICES * rounds} messages")


def _idling(port: int) -> ImapClient:
    client = ImapClient(port, USER, PASSWORD)
    client.command("SELECT INBOX")
    client.idle()
    return client
