"""Hosts that go wrong at each point of a transaction, in each way: mail is refused for good only where the host says so in a
place where that means the mail, it is never lost, and once the host is mended it arrives once.
"""

import contextlib
from itertools import product
from pathlib import Path

import pytest

from support.relaying import Office
from support.smtp_peer import CLOSE, HANG, Answer, Peer, peer

STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "MESSAGE")
# 299 is as good as 250, but no word by which our peer itself takes a message.
WAYS: dict[str, Answer] = {
    "4xx": b"451 4.7.1 come back later\r\n",
    "5xx": b"554 5.7.1 never\r\n",
    "421": b"421 4.3.2 closing\r\n" + CLOSE,
    "drops": CLOSE,
    "hangs": HANG,
    "several lines, 4xx": b"451-4.7.1 come\r\n451-4.7.1 back\r\n451 4.7.1 later\r\n",
    "several lines of two codes": b"299-all\r\n550 nothing\r\n",
    "no reply at all": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "octets": b"\x00\xff\xfe\r\n",
    "an endless line": b"299 " + b"x" * 100_000 + b"\r\n",
    "endless lines": b"299-more\r\n" * 5_000 + b"299 end\r\n",
    "half a reply": b"299-ok\r\n" + CLOSE,
    "3xx": b"334 VXNlcm5hbWU6\r\n",
}


def copies(host: Peer) -> int:
    """How many it has; without those of nothing, which it takes with PIPELINING behind a MAIL that it refused (RFC 2920)."""
    return len([taken for taken in host.taken if taken.octets])


def is_for_good(step: str, way: str) -> bool:
    """5xx is about the mail where the mail is spoken of (RFC 5321 section 4.2.1)."""
    return way == "5xx" and step in ("MAIL", "RCPT", "DATA", "MESSAGE")


def is_fine(step: str, way: str) -> bool:
    """HELO follows a refused EHLO (RFC 5321 section 3.2)."""
    return (step, way) == ("EHLO", "5xx")


@pytest.mark.parametrize("offers", [(), ("PIPELINING", "8BITMIME")], ids=["one by one", "pipelining"])
async def test_t_q_11_whatever_a_host_says_at_whatever_point_its_mail_arrives_once_or_comes_back(
    tmp_path: Path, offers: tuple[str, ...]
) -> None:
    answered = [case for case in product(STEPS, WAYS) if case != ("DATA", "3xx")]
    cases = {f"d{n}.test": case for n, case in enumerate(answered)}
    with contextlib.ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for n, (domain, (step, way)) in enumerate(cases.items()):
            peers[domain] = stack.enter_context(peer({step: WAYS[way]}, offers=offers, address=f"127.0.2.{n + 1}"))
        made = Office(tmp_path, peers)
        try:
            items = {domain: await made.post(f"a@{domain}") for domain in cases}
            await made.work()
            for domain, (step, way) in cases.items():
                expected = {} if is_for_good(step, way) or is_fine(step, way) else {0: 1}
                assert made.open(items[domain]) == expected, (step, way, made.events(items[domain]))
                assert copies(peers[domain]) == is_fine(step, way), (step, way)
            returned = sum(is_for_good(*case) for case in cases.values())
            assert len(made.reports()) == returned
            for host in peers.values():
                host.answers = {}
            for _ in range(3):
                await made.later(1200)
            for domain, (step, way) in cases.items():
                assert made.open(items[domain]) == {}, (step, way)
                assert copies(peers[domain]) == (not is_for_good(step, way)), (step, way)
            assert len(made.reports()) == returned
        finally:
            await made.close()
