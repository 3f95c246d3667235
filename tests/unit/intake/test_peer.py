"""When is the name of a peer looked up, and who waits for it?"""

import asyncio
from dataclasses import replace
from pathlib import Path

from mailward.model.session import ReverseName, Role, TlsFacts
from mailward.testing import FakeServices
from mailward.testing.calling import made_chain
from support.plugin_modules import plugin_module
from support.smtp_reception import Post, Talk, WordJudge, post

MESSAGE = b"From: <a@example.net>\r\n\r\nhello\r\n"


class SlowDns:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answered = asyncio.Event()

    async def __call__(self, ip: str) -> ReverseName:
        self.asked.append(ip)
        await self.answered.wait()
        return ReverseName("pass", f"host-{len(self.asked)}.example.net")


def _post(folder: Path, dns: SlowDns, *, needs: bool) -> Post:
    made = post(folder)
    made.judge.needs_rdns = needs
    made.desk = replace(made.desk, reverse_name=dns)
    return made


def test_mail_does_not_wait_for_a_name_that_nobody_reads(tmp_path: Path) -> None:
    async def run() -> str:
        dns = SlowDns()
        made = _post(tmp_path, dns, needs=False)
        talk = Talk(made)
        talk.reception.begin()
        await asyncio.sleep(0)
        assert (await talk.send(MESSAGE)).startswith("250")
        assert dns.asked == ["192.0.2.1"]
        dns.answered.set()
        await asyncio.sleep(0)
        assert (await talk.send(MESSAGE)).startswith("250")
        talk.reception.end()
        return "".join(item.trace for item, _ in made.spool.items)

    first, second = asyncio.run(run()).split("Received:")[1:]
    assert "(host-1.example.net [192.0.2.1])" not in first
    assert "(host-1.example.net [192.0.2.1])" in second


def test_mail_waits_for_a_name_that_somebody_reads(tmp_path: Path) -> None:
    async def run() -> None:
        dns = SlowDns()
        talk = Talk(_post(tmp_path, dns, needs=True))
        talk.reception.begin()
        assert len(await talk.say("EHLO c.example.net")) > 1
        asked = asyncio.create_task(talk.say("MAIL FROM:<a@example.net>"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asked.done()
        dns.answered.set()
        assert (await asked)[0].startswith("250")
        assert talk.reception.session.rdns == ReverseName("pass", "host-1.example.net")
        assert (await talk.say("RSET", "MAIL FROM:<a@example.net>"))[-1].startswith("250")
        assert dns.asked == ["192.0.2.1"]

    asyncio.run(run())


def test_another_client_has_another_name(tmp_path: Path) -> None:
    async def run() -> None:
        dns = SlowDns()
        talk = Talk(_post(tmp_path, dns, needs=True))
        talk.reception.begin()
        await asyncio.sleep(0)
        talk.reception.client_named("198.51.100.9")
        assert talk.reception.session.rdns is None
        dns.answered.set()
        await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>")
        assert dns.asked == ["192.0.2.1", "198.51.100.9"]
        assert talk.reception.session.rdns == ReverseName("pass", "host-2.example.net")

    asyncio.run(run())


def test_nobody_asks_who_delivers_by_lmtp_or_submits(tmp_path: Path) -> None:
    async def run() -> None:
        dns = SlowDns()
        made = _post(tmp_path, dns, needs=False)
        for talk in (Talk(made, lmtp=True), Talk(made, Role.SUBMISSION)):
            talk.reception.begin()
            await asyncio.sleep(0)
        assert dns.asked == []

    asyncio.run(run())


def test_a_lookup_ends_with_its_connection(tmp_path: Path) -> None:
    async def run() -> int:
        talk = Talk(_post(tmp_path, SlowDns(), needs=True))
        talk.reception.begin()
        await asyncio.sleep(0)
        talk.reception.end()
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


LOOKS = """
@hookimpl
async def inspect_connect(session):
    return Finding("SEEN", f"{session.peer_ip} is {session.rdns.name}")

@hookimpl
async def inspect_helo(session, former):
    return Finding("SEEN", f"{session.helo} after {former} is {session.rdns.name}")
"""


def test_plugins_look_while_the_client_talks_and_know_its_name(tmp_path: Path) -> None:
    async def run() -> None:
        dns = SlowDns()
        made = _post(tmp_path, dns, needs=True)
        made.judge.chain = made_chain([plugin_module("own", LOOKS)], FakeServices(), "inspect_helo", {})
        talk = Talk(made)
        talk.reception.begin()
        assert len(await talk.say("EHLO a.example", "EHLO b.example")) > 2
        dns.answered.set()
        assert await _texts(made.judge) == ["192.0.2.1 is host-1.example.net", "b.example after a.example is host-1.example.net"]
        talk.reception.tls_started(TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
        await talk.say("EHLO c.example")
        assert (await _texts(made.judge))[1] == "c.example after None is host-1.example.net"
        talk.reception.client_named("198.51.100.9")
        await talk.say("HELO d.example")
        assert await _texts(made.judge) == ["198.51.100.9 is host-2.example.net", "d.example after None is host-2.example.net"]
        talk.reception.end()

    asyncio.run(run())


async def _texts(judge: WordJudge) -> list[str]:
    met = await judge.meetings[-1].met()
    return [finding.text for called in (*met.connect, *met.helo) for finding in called.findings]
