"""`mailward tls check` on real DNS, and the page on private mail (RFC 7672, RFC 8461)."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority
from support.dns_server import DnsServer
from support.reader import DOCS, Reader, blocks
from support.server import Server, server
from support.smtp_peer import Peer, peer

pytestmark = pytest.mark.timeout(300)  # many commands

FAR = "127.0.0.2"
"""Not an address of ours: that is 127.0.0.1 alone."""
WRONG = "00" * 32


class World:
    """A server whose DNS is the tests' own and that may reach hosts on loopback."""

    def __init__(self, made: Server, dns: DnsServer, far: Peer, pin: str) -> None:
        self.made, self.dns, self.far, self.pin = made, dns, far, pin

    def zone(self, name: str, tlsa: str = "", *, signed: bool = True, port: int = 0) -> str:
        port = port or self.far.port
        record = f"_{port}._tcp.mx IN TLSA {tlsa}\n" if tlsa else ""
        self.dns.publish(name, f"@ IN MX 10 mx.{name}.\nmx IN A {FAR}\n{record}", signed=signed)
        return name

    def check(self, domain: str, *options: str) -> tuple[int, Any]:
        done = self.made.run("tls", "check", domain, "--json", *options, check=False)
        return done.returncode, self.made.json("tls", "check", domain, *options) if done.returncode == 0 else done.stdout


def point_at(made: Server, dns: str, port: int) -> None:
    text = re.sub(r"(?m)^dns: .*", f'dns: {{servers: ["{dns}"]}}', made.config.read_text())
    text = re.sub(r'address: "[^"]*"', 'address: "127.0.0.1"', text)
    made.config.write_text(text + f'outbound: {{port: {port}, private_networks: ["127.0.0.0/8"]}}\n')


@pytest.fixture
def world(dns_server: DnsServer, tmp_path: Path) -> Iterator[World]:
    own = Authority(tmp_path).issue("mx.example.net")
    with peer(certificate=(own.certificate, own.key), address=FAR) as far, server(domain="example.org", start=False) as made:
        host, port = dns_server.address
        point_at(made, f"{host}:{port}", far.port)
        yield World(made, dns_server, far, f"3 1 1 {hashlib.sha256(own.spki).hexdigest()}")


def text_of(world: World, domain: str, *options: str, code: int = 0) -> str:
    done = world.made.run("tls", "check", domain, *options, check=False)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_each_host_is_told_with_what_holds_and_why(world: World) -> None:
    port = world.far.port
    zone = world.zone("told.check.test", world.pin)
    assert text_of(world, zone, "--connect").splitlines() == [
        f"mx.{zone} port {port}  [127.0.0.2]",
        "  mail goes  over TLS, verified by DANE",
        "  beside     the outbound policy says of encryption: default: opportunistic",
        f"  because    DANE: _{port}._tcp.mx.{zone} has TLSA records (3 1 1)",
        f"  published  {world.pin}",
        "  tried      127.0.0.2: TLSv1.3",
    ]
    assert "MAIL" not in world.far.verbs()
    _, found = world.check(zone)
    (host,) = found["hosts"]
    assert host["used"]["policy"] == "tlsa" and host["gets_mail"] and host["certain"] and not host["routed"]
    assert found["notes"] == [] and host["tried"] == []


def test_t_tls_20_what_would_keep_mail_back_is_an_exit_code(world: World) -> None:
    wrong = world.zone("wrong.check.test", f"3 1 1 {WRONG}")
    assert "verified by DANE" in text_of(world, wrong)
    tried = text_of(world, wrong, "--connect", code=1)
    assert "127.0.0.2: refused (its certificate is none of those in the TLSA records)" in tried
    assert "no host" in text_of(world, "nowhere.check.test", code=66)
    unsigned = text_of(world, world.zone("unsigned.check.test", f"3 1 1 {WRONG}", signed=False), "--connect")
    assert "over TLS if it is offered, else in clear" in unsigned and "not proven by DNSSEC" in unsigned
    assert world.made.run("tls", "check", "a b", check=False).returncode == 64


def test_t_tls_what_a_route_wants_counts_and_an_own_domain_has_no_way_out(world: World) -> None:
    """A host that hears a password must prove its name, and whatever else `level` says holds for real mail, too."""
    routes = f"""routes:
  login.check.test: {{host: {FAR}, port: {world.far.port}, user: me, password: provider}}
  level.check.test: {{host: {FAR}, port: {world.far.port}, level: required}}"""
    world.made.config.write_text(re.sub(r"(?m)^routes: .*", routes, world.made.config.read_text()))
    login, level = text_of(world, "login.check.test"), text_of(world, "level.check.test")
    assert "mail goes  over TLS, verified by its certificate" in login and "because    its route wants that" in login
    assert "mail goes  over TLS, whoever it is" in level and "because    its route wants that" in level
    assert text_of(world, "example.org") == "example.org is served here: mail for it does not leave this server\n"
    assert world.check("example.org")[1]["served_here"] is True


def test_a_note_says_when_dane_is_off(world: World) -> None:
    zone = world.zone("off.check.test", f"3 1 1 {WRONG}")
    authority = f"{world.dns.authority[0]}:{world.dns.authority[1]}"
    world.made.config.write_text(re.sub(r"(?m)^dns: .*", f'dns: {{servers: ["{authority}"]}}', world.made.config.read_text()))
    assert "DANE is off: the DNS server of dns: in mailward.yaml does not validate" in text_of(world, zone)


def test_mail_is_kept_private_as_the_page_says(world: World, tmp_path: Path) -> None:
    world.made.start()
    world.zone("example.net", world.pin)
    page = "how-to/encrypt-outbound-mail.md"
    reader = Reader(page, world.made, tmp_path, "mailward tls check")
    shown = reader.types("tls check example.net")
    printed = re.search(r"^\$ mailward tls check example.net\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert printed is not None
    like = shown.replace(world.pin, PRINTED_PIN).replace(str(world.far.port), "25").replace(FAR, "192.0.2.25")
    assert like == printed[1]
    reader.types("tls check example.net --connect")
    dns, stricter, bypass = blocks(page, "yaml")
    assert 'servers: ["127.0.0.1:53"]' in dns
    policy = world.made.folder / "policies/outbound.yaml"
    policy.write_text(stricter)
    reader.types("reload")
    world.zone("bank.example", signed=False)
    assert "verified by its certificate" in text_of(world, "bank.example")
    assert "refused (its certificate is not trusted" in text_of(world, "bank.example", "--connect", code=1)
    policy.write_text(bypass)
    world.made.reload()
    world.zone("example.net", f"3 1 1 {WRONG}")
    bypassed = world.made.run("tls", "check", "example.net")
    assert "has a bypass for example.net until 2099-12-01: their key changed, they know" in bypassed.stdout
    assert "level=" not in bypassed.stderr  # no line of a log beside the answer
    reader.types("queue retry --to example.net", code=66)
    assert "bypass" in reader.types("plugins info encryption")
    assert "_mta-sts.example.org.\tIN\tTXT" in reader.types("domain dns example.org")
    reader.is_through()


PRINTED_PIN = "3 1 1 8bb593a93be1d0e8a822bb887c547890c3e706aad2dab76254f97fb36b82fc26"
