"""Two servers report to each other: one counts and sends, the other takes in and shows; typed as the page says."""

import asyncio
import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from mailward.api import TlsLevel, TlsResult, TlsSession
from mailward.model.tls import NO_POLICY
from mailward.services.kv import SqliteKeyValue
from mailward_plugins.tlsrpt.history import count
from support.dns_server import DnsServer
from support.plugin_services import attempt
from support.reader import Reader, blocks
from support.relayed import two_servers
from support.server import Server

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
GOOD = TlsSession(NO_POLICY, "mx.two.test", "192.0.2.1", "192.0.2.2", TlsLevel.REQUIRED)
CLEAR = TlsSession(
    NO_POLICY, "mx2.two.test", "192.0.2.3", "192.0.2.2", TlsLevel.OPPORTUNISTIC, TlsResult.STARTTLS_NOT_SUPPORTED, "no STARTTLS"
)


def keep(made: Server, *, told: date) -> None:
    """A history of yesterday, and what the server remembers of having told its plugins; while it does not run."""

    async def put() -> None:
        kv = SqliteKeyValue(made.folder / "data/plugins/tlsrpt.sqlite")
        if not await kv.find(b""):
            for _ in range(3):
                await count(kv, attempt(GOOD, domain="two.test", at=YESTERDAY), timedelta(days=90))
            await count(kv, attempt(CLEAR, domain="two.test", at=YESTERDAY), timedelta(days=90))
        kv.close()
        days = SqliteKeyValue(made.folder / "data/days.sqlite")
        await days.put_many({b"tlsrpt": told.isoformat().encode()})
        days.close()

    asyncio.run(put())
    owner = (made.folder / "data").stat()
    for path in [
        made.folder / "data/plugins",
        *(made.folder / "data/plugins").iterdir(),
        *(made.folder / "data").glob("days.sqlite*"),
    ]:
        os.chown(path, owner.st_uid, owner.st_gid)


def prepare(made: Server) -> None:
    policy = blocks("how-to/tls-reports.md", "yaml")[1].replace("example.org", made.domain)
    (made.folder / "policies/outbound.yaml").write_text(policy.replace("reports_from", "spread: 0s, reports_from"))
    if made.domain == "one.test":
        keep(made, told=YESTERDAY.date() - timedelta(days=1))


def test_what_one_server_counted_the_other_shows(dns_server: DnsServer, tmp_path: Path) -> None:
    with two_servers(dns_server, prepare) as (one, two):
        account = "demo@two.test"
        (mail,) = two.wait_for(1, account=account, timeout_s=60)
        assert b"\r\nTLS-Report-Domain: two.test\r\n" in mail and b"Return-Path: <>\r\n" in mail and b"dkim=pass" in mail
        assert mail.count(b"\r\nDKIM-Signature:") == 2

        reader = Reader("how-to/tls-reports.md", two, tmp_path, "mailward reload")
        reader.stands_for = {"example.org": "two.test"}
        assert '_smtp._tls.two.test.\tIN\tTXT\t"v=TLSRPTv1; rua=mailto:postmaster@two.test"' in reader.types("domain dns")
        day = f"{YESTERDAY:%Y-%m-%d}"
        assert reader.types("tls reports").splitlines() == [
            f"{day}  two.test  one.test (one.test): 3 connections went well, 1 failed",
            "  1: our server did not offer STARTTLS (starttls-not-supported) at mx2.two.test from 192.0.2.2: no STARTTLS",
        ]
        (report,) = two.json("tls", "reports", "--domain", "two.test")["reports"]
        assert report["submitter"] == "one.test" and report["contact"] == "tls-reports@one.test"
        assert two.json("tls", "reports", "--domain", "one.test")["reports"] == []

        # As after a crash between the sending and the note that it is done.
        one.kill_all()
        one.stop()
        keep(one, told=YESTERDAY.date() - timedelta(days=1))
        one.start()
        told = SqliteKeyValue(one.folder / "data/days.sqlite")
        one.until(lambda: asyncio.run(told.get_many([b"tlsrpt"]))[b"tlsrpt"] == day.encode(), timeout_s=60)
        told.close()
        assert one.json("queue", "list") == []
        assert len(two.messages(account=account)) == 1

        typed = Reader("how-to/tls-reports.md", one, tmp_path)
        typed._left = reader._left
        typed.stands_for = {"example.net": "two.test"}
        shown = typed.types("tls forecast", code=1)
        assert "two.test: 4 connections since " in shown
        assert "required (never in clear): 1 of 4 would have failed\n  mx2.two.test: 1 of 1, last " in shown
        assert ", 3 cannot be told" in shown
        assert one.run("tls", "forecast", "--require", "else.test").stdout.startswith("no connection to a server of else.test")
        typed.is_through()


def test_a_message_that_leaves_is_in_the_history(dns_server: DnsServer) -> None:
    with two_servers(dns_server) as (one, two):
        assert one.submit(b"From: demo@one.test\r\n\r\nx\r\n", "demo@two.test", account="demo@one.test")[0] == 250
        two.wait_for(1, account="demo@two.test")

        def forecast() -> dict[str, Any]:  # exit code 1: verified TLS would have failed, nobody vouches for such certificates
            done = one.run("tls", "forecast", "--require", "two.test", "--json", check=False)
            found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 1 else {"connections": 0}
            return found

        one.until(lambda: forecast()["connections"] == 1)
        levels = forecast()["levels"]
        assert (levels["required"]["failing"], levels["verified"]["failing"]) == (0, 1)


def test_the_command_line_refuses_what_it_cannot_use(dns_server: DnsServer) -> None:
    with two_servers(dns_server) as (one, _):
        for words in (["forecast"], ["forecast", "--require", "a b"], ["reports", "--since", "soon"]):
            assert one.run("tls", *words, check=False).returncode == 64, words
