"""The whole circle: from a person's client through servers that sign, check and encrypt to another person's client.

a.test and b.test are two Mailwards, p.test is a Postfix. All ask the same real name servers, where the records that
`mailward domain dns` prints are published.
"""

import contextlib
import json
import re
import shutil
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path

import dkim
import dns.message
import dns.query
import dns.rdatatype
import pytest

from support.clients import mbsync_fetches, msmtp_sends, mutt_sends
from support.dns_server import DnsServer
from support.postfix import Postfix, postfix
from support.postfix_mailboxes import home_of, wait_for
from support.server import PASSWORD, Server, open_folder, server

OUTBOUND = "version: 1\nextends: mailward/outbound\nplugins: {encryption: {domains: {p.test: required}}}\n"


@dataclass(frozen=True)
class World:
    a: Server
    b: Server
    dns: DnsServer


@pytest.fixture(scope="module")
def world(dns_server: DnsServer) -> Iterator[World]:
    with server(start=False, domain="a.test") as a, server(start=False, domain="b.test") as b:
        for here, there in ((a, b), (b, a)):
            text = re.sub(
                r"servers: \[.*\]", f'servers: ["{dns_server.address[0]}:{dns_server.address[1]}"]', here.config.read_text()
            )
            here.config.write_text(text)
            here.configure("routes: {}", f'routes: {{{there.domain}: "smtp:[127.0.0.1]:{there.port("mx")}"}}')
            records = json.loads(here.run("domain", "dns", here.domain, "--json").stdout)
            lines = [f"{r['name']} {r['type']} {r['value']}" for r in records] + [f"mx.{here.domain}. A 127.0.0.1"]
            dns_server.publish(here.domain, "\n".join(lines) + "\n")
        (a.folder / "policies/outbound.yaml").write_text(OUTBOUND)
        a.start()
        b.start()
        yield World(a, b, dns_server)


@contextlib.contextmanager
def _postfix_at_home(world: World, *, tls: bool) -> Iterator[tuple[Postfix, Path]]:
    """A Postfix with the mailboxes of p.test below a folder, and a.test's route to it."""
    folder = open_folder("mailward-postfix-home-")
    folder.chmod(0o777)
    certificate, key = (world.a.folder / "tls/certificate.pem", world.a.folder / "tls/key.pem") if tls else (None, None)
    with postfix(world.a.port("mx"), *home_of("p.test", folder, certificate=certificate, key=key)) as relay:
        plain = world.a.config.read_text()
        world.a.configure("routes: {", f'routes: {{p.test: "smtp:[127.0.0.1]:{relay.port}", ')
        try:
            world.a.terminate()
            world.a.start()
            yield relay, folder
        finally:
            world.a.config.write_text(plain)
            shutil.rmtree(folder, ignore_errors=True)


def _mail(subject: str, to: str, text: str = "hello\r\n") -> bytes:
    return f"From: Demo <demo@a.test>\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{text}".encode()


def test_mutt_to_a_to_b_to_mbsync_signed_checked_and_encrypted(world: World, tmp_path: Path) -> None:
    mutt_sends(world.a, tmp_path, "demo@a.test", PASSWORD, "demo@b.test", "from mutt", "a letter\nof two lines\n")
    (octets,) = [m for m in world.b.wait_for(1, account="demo@b.test") if b"from mutt" in m]
    (fetched,) = mbsync_fetches(world.b, tmp_path, "demo@b.test", PASSWORD)
    assert fetched == octets.replace(b"\r\n", b"\n")
    message = message_from_bytes(octets, policy=modern)
    assert message.get_content().splitlines() == ["a letter", "of two lines"]
    found = " ".join(str(message["Authentication-Results"]).split())
    assert found.startswith("mx.b.test;")
    for result in ("spf=pass", "dkim=pass header.d=a.test", 'dmarc=pass reason="p=none" header.from=a.test'):
        assert result in found
    assert found.count("dkim=pass") == 2 and "rsa-sha256" in found and "ed25519-sha256" in found
    received = message.get_all("Received")
    assert received is not None
    assert " by mx.b.test with ESMTPS" in received[0] and " by mx.a.test with ESMTPSA" in received[1]
    told = world.a.run("explain", "--to", "demo@b.test", "--since", "1h").stdout
    (queue_id,) = set(re.findall(r"^(\w{16})|\b(1[0-9a-z]{15})\b", told)[0]) - {""}
    assert re.search(r"relayed to .*TLSv1\.[23].*250", world.a.explain(queue_id))


@pytest.mark.parametrize("body", [b"", b"x", b".", b"..\r\n", b".a\r\n.", b"...\r\n.\r\n..", b"no end"], ids=repr)
def test_t_smtp_14_dots_and_ends_arrive_as_they_were_signed(world: World, body: bytes) -> None:
    """In one chunk from the client, so that a body may end without CRLF; with dots stuffed to the next server, which gives it one."""
    subject = f"octets {body.hex()}."
    octets = _mail(subject, "demo@b.test", "").removesuffix(b"\r\n") + b"\r\n" + body
    with world.a.submission("demo@a.test") as client:
        client.mail("demo@a.test")
        client.rcpt("demo@b.test")
        client.send(b"BDAT %d LAST\r\n%s" % (len(octets), octets))
        assert client.getreply()[0] == 250
    world.b.until(lambda: any(subject.encode() in octets for octets in world.b.messages(account="demo@b.test")))
    (arrived,) = [octets for octets in world.b.messages(account="demo@b.test") if subject.encode() in octets]
    header, _, rest = arrived.partition(b"\r\n\r\n")
    assert rest == (body if body.endswith(b"\r\n") or not body else body + b"\r\n")
    assert " ".join(header.decode().split()).count("dkim=pass") == 2


def test_postfix_gets_and_gives_mail_signed_and_encrypted(world: World, tmp_path: Path) -> None:
    with _postfix_at_home(world, tls=True) as (relay, mail):
        msmtp_sends(world.a, tmp_path, "demo@a.test", PASSWORD, "someone@p.test", _mail("to Postfix", "someone@p.test"))
        (octets,) = wait_for(mail, relay, 1)
        assert re.search(rb"^Received: from mx\.a\.test .*?with ESMTPS", octets, re.M | re.S)
        signatures = re.findall(rb"^DKIM-Signature:.*?a=([\w-]+)", octets, re.M | re.S)
        assert sorted(signatures) == [b"ed25519-sha256", b"rsa-sha256"]
        sent = octets.replace(b"\n", b"\r\n")
        for number in range(2):
            assert dkim.DKIM(sent).verify(number, dnsfunc=_txt_of(world.dns))
        with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
            client.sendmail("someone@p.test", ["demo@a.test"], b"From: someone@p.test\r\nSubject: from Postfix\r\n\r\nback\r\n")
        deadline = time.monotonic() + 30
        while not (arrived := [m for m in world.a.messages(account="demo@a.test") if b"Subject: from Postfix" in m]):
            assert time.monotonic() < deadline, relay.log()
            time.sleep(0.2)
        assert b" by mx.a.test with ESMTPS" in arrived[0]


def test_t_tls_08_a_domain_that_must_be_reached_by_tls_and_has_none_bounces_with_the_reason(world: World) -> None:
    with _postfix_at_home(world, tls=False) as (relay, mail):
        before = len(world.a.messages(account="demo@a.test"))
        code, _ = world.a.submit(_mail("never in clear", "someone@p.test"), "someone@p.test", account="demo@a.test")
        assert code == 250
        report = message_from_bytes(world.a.wait_for(before + 1, account="demo@a.test")[-1], policy=modern)
        assert report.get_content_type() == "multipart/report"
        human, status, original = report.iter_parts()
        assert "someone@p.test" in human.get_content() and "TLS" in human.get_content()
        recipient = next(part for part in status.iter_parts() if part["Final-Recipient"])
        assert recipient["Action"] == "failed" and recipient["Status"] == "5.7.10"
        assert "never in clear" in original.get_payload()
        assert not (mail / "all").exists(), relay.log()


def _txt_of(server: DnsServer):  # type: ignore[no-untyped-def]
    def look(name: bytes, timeout: int = 5) -> bytes:
        query = dns.message.make_query(name.decode(), dns.rdatatype.TXT)
        answer = dns.query.tcp(query, server.address[0], port=server.address[1], timeout=5).answer
        return b"".join(answer[-1][0].strings)

    return look
