"""What does it cost to keep what plugins can be run again by? On the way to the 250, after it, and on the disk.

A message of 20 KB with 15 DNS answers, among them a key and five SPF records, is no light one.
"""

import asyncio
import base64
import os
import statistics
import tempfile
import time
from pathlib import Path

from mailward.decisions import DecisionStore
from mailward.intake.peer import Peer
from mailward.intake.receipts import Receipts
from mailward.model.decision import DecisionRecord
from mailward.model.dns import DnsAnswer, RecordType
from mailward.model.ids import QueueId
from mailward.pipeline.answered import Answered, note, noting
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.services.blocking import BlockingPool

MESSAGES, OCTETS = 500, 20_000


def run(rounds: int) -> None:
    """Print processor time a message, and octets."""
    before, after = zip(*(_round() for _ in range(rounds)), strict=True)
    receipt_octets = statistics.median(octets for _, octets in after)
    print(
        f"before the 250 {statistics.median(before):6.3f} ms; after it {statistics.median(ms for ms, _ in after):6.3f} ms; "
        f"on the disk {receipt_octets:.0f} octets a message"
    )


def _round() -> tuple[float, tuple[float, float]]:
    mails = [(_item(number), _octets(number), _answers(number)) for number in range(MESSAGES)]
    began = time.process_time()
    noted = []
    for _, _, answers in mails:
        answered = Answered()
        with noting(answered):
            for name, kind, answer in answers:
                note(name, kind, answer)
        noted.append(answered)
    before_s = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        store, pool = DecisionStore(Path(folder) / "decisions.sqlite"), BlockingPool(1)
        receipts = Receipts(store, pool)
        began = time.process_time()
        for (item, octets, _), answered in zip(mails, noted, strict=True):
            receipts.keep(item, octets, "ESMTPS", Peer(None), answered)
        asyncio.run(receipts.write())
        after_s = time.process_time() - began
        pool.close()
        kept = statistics.mean(len(found.to_octets()) for item, _, _ in mails if (found := store.receipt(item.id)))
        store.close()
    return before_s / MESSAGES * 1000, (after_s / MESSAGES * 1000, kept)


def _item(number: int) -> QueueItem:
    id = QueueId(f"m{number:08}")
    at = "2026-11-02T10:00:00.000Z"
    record = DecisionRecord(id=id, received_at=at, direction="inbound", reverse_path="", size_octets=OCTETS)
    return QueueItem(id, at, "", OCTETS, "", (), (QueuedRecipient("bob@example.org", "mailbox"),), record)


def _octets(number: int) -> bytes:
    return b"From: a@example.net\r\nSubject: %d\r\n\r\n" % number + os.urandom(OCTETS // 2).hex().encode()


def _answers(number: int) -> list[tuple[str, RecordType, DnsAnswer]]:
    domain = f"example{number}.net"
    key = base64.b64encode(os.urandom(294)).decode()
    blocks = " ".join(f"ip4:192.0.{net}.0/24" for net in range(12))
    gone = DnsAnswer("nxdomain")
    return [
        (f"s._domainkey.{domain}", "TXT", DnsAnswer("found", (f"v=DKIM1; k=rsa; p={key}",))),
        (domain, "TXT", DnsAnswer("found", ("v=spf1 include:_spf.example.net -all", "MS=ms12345678"))),
        *((f"_spf{at}.example.net", "TXT", DnsAnswer("found", (f"v=spf1 {blocks} ~all",))) for at in range(4)),
        (f"_dmarc.{domain}", "TXT", DnsAnswer("found", ("v=DMARC1; p=reject; rua=mailto:d@example.net",))),
        *((f"{number}.2.0.192.bl{at}.example", "A", gone) for at in range(3)),
        *((f"host{at}.{domain}.bl.example", "A", gone) for at in range(3)),
        ("1.2.0.192.in-addr.arpa", "PTR", DnsAnswer("found", (f"mail.{domain}",))),
        (f"mail.{domain}", "A", DnsAnswer("found", ("192.0.2.1",))),
    ]
