"""DANE against a signed zone: nsd serves it, unbound validates it, and a real Postfix is the receiver (RFC 7672)."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from mailward.api import DnsTemporaryError, MailHost
from mailward.model.tls import PolicyType, TlsLevel, TlsResult
from mailward.services.resolver import DnsResolver
from mailward.testing import FakeZone
from mailward_plugins.encryption.dane import dane_requirement
from support.certificates import Authority, Issued
from support.dns_server import DnsServer
from support.postfix import Postfix, postfix
from support.postfix_mailboxes import home_of, wait_for
from support.private_relay import PrivateRelay, fate_of
from support.smtp_peer import peer

pytestmark = pytest.mark.timeout(300)

WRONG = "00" * 32


class World:
    """One receiver, and as many signed domains as tests like, all of which lead to it."""

    def __init__(self, dns: DnsServer, receiver: Postfix, mail: Path, authority: Authority, server: Issued) -> None:
        self.dns, self.receiver, self.mail, self.authority, self.server = dns, receiver, mail, authority, server

    def zone(self, name: str, *tlsa: str, signed: bool = True, more: str = "", forged: str = "", port: int = 0) -> str:
        """A domain whose host has these TLSA records."""
        port = port or self.receiver.port
        records = "".join(f"_{port}._tcp.mx IN TLSA {record}\n" for record in tlsa)
        self.dns.publish(name, f"@ IN MX 10 mx.{name}.\nmx IN A 127.0.0.1\n{records}{more}", signed=signed, forged=forged)
        return name

    def relay(self, port: int = 0, **settings: object) -> PrivateRelay:
        return PrivateRelay(DnsResolver([self.dns.address]), port or self.receiver.port, settings)

    @property
    def pin(self) -> str:
        return f"3 1 1 {hashlib.sha256(self.server.spki).hexdigest()}"


@pytest.fixture(scope="module")
def world(dns_server: DnsServer) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="mailward-dane-"))
    folder.chmod(0o755)
    authority = Authority(folder)
    server = authority.issue("mx.names.dane.test", "other.dane.test")
    mail = folder / "mail"
    mail.mkdir()
    mail.chmod(0o777)
    home = home_of("static:all", mail, certificate=server.certificate, key=server.key)
    try:
        with postfix(9, *home) as receiver:
            yield World(dns_server, receiver, mail, authority, server)
    finally:
        shutil.rmtree(folder)


def digest(octets: bytes, kind: str = "sha256") -> str:
    return hashlib.new(kind, octets).hexdigest()


async def test_a_server_whose_key_is_in_a_signed_zone_is_verified_and_said_so(world: World) -> None:
    attempt = await world.relay().send(world.zone("right.dane.test", world.pin))
    result, _, text = fate_of(attempt)
    assert result == "ACCEPTED" and "over TLSv1.3, verified by DANE: 250" in text
    (session,) = attempt.sessions
    assert (session.policy.type, session.policy.domain) == (PolicyType.TLSA, "mx.right.dane.test")
    assert session.policy.strings == (world.pin,) and session.level is TlsLevel.VERIFIED and session.result is None
    assert b"Subject: to right.dane.test\n" in wait_for(world.mail, world.receiver, 1)[-1]


def usages(world: World) -> dict[str, tuple[str, bool]]:
    """Name of a zone -> its TLSA record and whether the server fits it. The server's certificate is of mx.names.dane.test."""
    own, ca = world.server, world.authority
    return {
        "ee-whole.dane.test": (f"3 0 0 {own.whole.hex()}", True),
        "ee-whole-256.dane.test": (f"3 0 1 {digest(own.whole)}", True),
        "ee-key.dane.test": (f"3 1 0 {own.spki.hex()}", True),
        "ee-key-512.dane.test": (f"3 1 2 {digest(own.spki, 'sha512')}", True),
        "names.dane.test": (f"2 0 1 {digest(ca.whole)}", True),
        "other.dane.test": (f"2 1 2 {digest(ca.spki, 'sha512')}", True),
        "ta-whole.dane.test": (f"2 0 0 {ca.whole.hex()}", False),
        "ta-elsewhere.dane.test": (f"2 1 1 {digest(ca.spki)}", False),
        "ta-of-leaf.dane.test": (f"2 1 1 {digest(own.spki)}", False),
        "ee-of-ca.dane.test": (f"3 1 1 {digest(ca.spki)}", False),
        "wrong.dane.test": (f"3 1 1 {WRONG}", False),
    }


@pytest.mark.parametrize("name", [
    "ee-whole.dane.test", "ee-whole-256.dane.test", "ee-key.dane.test", "ee-key-512.dane.test", "names.dane.test",
    "other.dane.test", "ta-whole.dane.test", "ta-elsewhere.dane.test", "ta-of-leaf.dane.test", "ee-of-ca.dane.test",
    "wrong.dane.test",
])  # fmt: skip
async def test_t_tls_20_a_server_that_fits_no_record_gets_nothing(world: World, name: str) -> None:
    """Usage 2 asks for a name besides (RFC 7672 section 3.1.2), usage 3 for none (section 3.1.1)."""
    record, fits = usages(world)[name]
    attempt = await world.relay().send(world.zone(name, record))
    result, status, text = fate_of(attempt)
    if fits:
        assert result == "ACCEPTED" and "verified by DANE" in text
        return
    assert (result, status) == ("TEMPORARY", "4.7.5") and "certificate" in text
    (session,) = attempt.sessions
    mismatch = name.startswith(("ta-whole", "ta-elsewhere"))
    assert session.result is (TlsResult.CERTIFICATE_HOST_MISMATCH if mismatch else TlsResult.CERTIFICATE_NOT_TRUSTED)
    assert session.level is None
    assert not any(f"to {name}\n".encode() in octets for octets in wait_for(world.mail, world.receiver, 0))


async def test_t_tls_20_records_with_bogus_signatures_stop_mail_for_the_host(world: World) -> None:
    name = f"_{world.receiver.port}._tcp.mx.bogus-tlsa.dane.test."
    zone = world.zone("bogus-tlsa.dane.test", world.pin, forged=f"{name} TLSA 3 1 1 {WRONG}")
    attempt = await world.relay().send(zone)
    assert fate_of(attempt)[:2] == ("TEMPORARY", "4.7.5") and "SERVFAIL" in fate_of(attempt)[2]
    assert attempt.sessions[0].result is TlsResult.DNSSEC_INVALID


@pytest.mark.parametrize("forged", ["@ MX 10 mx.evil.test.", "mx A 127.0.0.2"])
async def test_t_tls_20_bogus_mx_and_address_records_stop_mail(world: World, forged: str) -> None:
    owner, rest = forged.split(" ", 1)
    zone = f"bogus-{rest.split()[0].lower()}.dane.test"
    full = f"{zone}." if owner == "@" else f"{owner}.{zone}."
    attempt = await world.relay().send(world.zone(zone, world.pin, forged=f"{full} {rest}"))
    assert fate_of(attempt)[0] == "TEMPORARY" and "SERVFAIL" in fate_of(attempt)[2] and not attempt.sessions


async def test_t_tls_20_an_unsigned_zone_has_no_dane(world: World) -> None:
    attempt = await world.relay().send(world.zone("unsigned.dane.test", f"3 1 1 {WRONG}", signed=False))
    result, _, text = fate_of(attempt)
    assert result == "ACCEPTED" and "over TLSv1.3: 250" in text
    asked = await world.relay().asked("unsigned.dane.test")
    assert "not proven by DNSSEC" in asked[1].why


async def test_t_tls_20_a_resolver_that_is_not_on_loopback_proves_nothing(world: World) -> None:
    """The AD bit of a server a long way off may be anybody's."""

    class FarResolver(DnsResolver):
        async def resolve(self, name, record_type):  # type: ignore[no-untyped-def]
            answer = await super().resolve(name, record_type)
            return replace(answer, authenticated=False)

    zone = world.zone("far-resolver.dane.test", f"3 1 1 {WRONG}")
    relay = PrivateRelay(FarResolver([world.dns.address]), world.receiver.port)
    assert fate_of(await relay.send(zone))[0] == "ACCEPTED"
    assert "not proven by DNSSEC" in (await relay.asked(zone))[1].why


GARBAGE = {
    "usage-0": [f"0 1 1 {WRONG}"],
    "usage-1": [f"1 1 1 {WRONG}"],
    "selector-9": [f"3 9 1 {WRONG}"],
    "matching-7": [f"3 1 7 {WRONG}"],
    "short-digest": ["\\# 22 030101" + "ab" * 19],
    "long-digest": ["\\# 36 030101" + "ab" * 33],
    "three-octets": ["\\# 3 030101"],
    "no-certificate": ["3 0 0 " + "ab" * 300],
    "no-key": ["2 1 0 " + "30" * 16_000],
    "a-hundred": [f"3 1 9 {n:04x}" for n in range(200)],
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_t_tls_19_records_that_cannot_be_used_encrypt_without_proving_anything(world: World, kind: str) -> None:
    zone = world.zone(f"{kind}.dane.test", *GARBAGE[kind])
    attempt = await world.relay().send(zone)
    result, _, text = fate_of(attempt)
    assert result == "ACCEPTED" and "over TLSv1.3: 250" in text
    assert attempt.sessions[0].result is TlsResult.TLSA_INVALID
    with peer() as clear:  # and never in clear
        zone = world.zone(f"{kind}.clear.dane.test", *GARBAGE[kind], port=clear.port)
        attempt = await world.relay(clear.port).send(zone)
        assert fate_of(attempt)[:2] == ("TEMPORARY", "4.7.5") and not clear.taken


async def test_t_tls_19_a_record_too_short_to_be_one_does_not_hide_the_others() -> None:
    """nsd would not serve such a zone."""

    class Careless(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            answer = dns.message.make_response(dns.message.from_wire(data))
            answer.flags |= dns.flags.AD
            whole = b"\x03\x01\x01" + bytes(32)
            found = [
                dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.TLSA, octets) for octets in (b"", b"\x03\x01", whole)
            ]
            answer.answer.append(dns.rrset.from_rdata_list(answer.question[0].name, 60, found))
            self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Careless, local_addr=("127.0.0.1", 0))
    answer = await DnsResolver([transport.get_extra_info("sockname")]).resolve("_25._tcp.mx.test", "TLSA")
    transport.close()
    assert (answer.status, answer.authenticated) == ("found", True) and answer.records == (f"3 1 1 {WRONG}",)


async def test_t_tls_19_unusable_records_beside_good_ones_do_no_harm(world: World) -> None:
    zone = world.zone("mixed.dane.test", f"1 1 1 {WRONG}", f"3 1 1 {WRONG}", world.pin, f"3 1 9 {WRONG}")
    assert "verified by DANE" in fate_of(await world.relay().send(zone))[2]


async def test_of_several_digests_of_one_thing_the_strongest_counts(world: World) -> None:
    """RFC 7671 section 9: a right SHA2-256 does not make up for a wrong SHA2-512."""
    zone = world.zone("agile.dane.test", world.pin, "3 1 2 " + "00" * 64)
    assert fate_of(await world.relay().send(zone))[0] == "TEMPORARY"


async def test_t_tls_08_a_stripped_starttls_defers_mail_for_a_domain_with_dane(world: World) -> None:
    with peer() as clear:
        zone = world.zone("stripped.dane.test", world.pin, port=clear.port)
        attempt = await world.relay(clear.port).send(zone)
        assert fate_of(attempt)[:2] == ("TEMPORARY", "4.7.5") and "does not offer STARTTLS" in fate_of(attempt)[2]
        assert attempt.sessions[0].result is TlsResult.STARTTLS_NOT_SUPPORTED
        assert "MAIL" not in clear.verbs() and not clear.taken


async def test_t_tls_20_the_records_are_those_of_the_expanded_name_or_else_of_the_mx_name(world: World) -> None:
    """RFC 7672 section 2.2.2."""
    port = world.receiver.port
    alias = f"mail IN CNAME real\nreal IN A 127.0.0.1\n_{port}._tcp.real IN TLSA {world.pin}\n_{port}._tcp.mail IN TLSA 3 1 1 {WRONG}\n"
    world.dns.publish("alias.dane.test", f"@ IN MX 10 mail.alias.dane.test.\n{alias}", signed=True)
    attempt = await world.relay().send("alias.dane.test")
    assert "verified by DANE" in fate_of(attempt)[2] and attempt.sessions[0].policy.domain == "real.alias.dane.test"
    world.zone("elsewhere.dane.test", signed=False)
    alias = f"mail IN CNAME mx.elsewhere.dane.test.\n_{port}._tcp.mail IN TLSA {world.pin}\n"
    world.dns.publish("half.dane.test", f"@ IN MX 10 mail.half.dane.test.\n{alias}", signed=True)
    attempt = await world.relay().send("half.dane.test")
    assert "verified by DANE" in fate_of(attempt)[2] and attempt.sessions[0].policy.domain == "mail.half.dane.test"


async def test_a_route_to_an_address_needs_no_dns() -> None:
    """Nor does a host whose name server knows addresses alone, as long as they are not proven (RFC 7672 section 2.2.2)."""
    zone = FakeZone()
    zone.fail("127.0.0.1", "A")
    assert (await dane_requirement(MailHost("127.0.0.1", 25, True, True), "far.test", zone)).level is TlsLevel.OPPORTUNISTIC
    zone.add("mx.far.test", "A", "192.0.2.1")
    for kind in ("CNAME", "TLSA"):
        zone.fail("mx.far.test" if kind == "CNAME" else "_25._tcp.mx.far.test", kind)
    assert (await dane_requirement(MailHost("mx.far.test", 25, True), "far.test", zone)).level is TlsLevel.OPPORTUNISTIC
    zone.authenticated.add("mx.far.test")
    found = await dane_requirement(MailHost("mx.far.test", 25, True), "far.test", zone)
    assert (found.level, found.problem) == (TlsLevel.VERIFIED, TlsResult.DNSSEC_INVALID)


async def test_t_tls_20_where_a_resolver_is_on_loopback_no_other_is_asked() -> None:
    """What it has found to be bogus must not come from one that does not look."""
    asked = []

    class Bogus(DnsResolver):
        async def _exchange(self, query, host, port):  # type: ignore[no-untyped-def]
            asked.append(host)
            raise DnsTemporaryError("SERVFAIL")

    with pytest.raises(DnsTemporaryError):
        await Bogus([("192.0.2.53", 53), ("127.0.0.1", 53)]).resolve("mx.test", "TLSA")
    assert set(asked) == {"127.0.0.1"}
    with pytest.raises(DnsTemporaryError):
        await Bogus([("192.0.2.53", 53)]).resolve("mx.test", "TLSA")
    assert set(asked) == {"127.0.0.1", "192.0.2.53"}


async def test_a_bypass_ends_on_its_day(world: World) -> None:
    zone = world.zone("bypass.dane.test", f"3 1 1 {WRONG}")
    relay = world.relay(bypass={zone: {"until": "2026-01-01", "reason": "they renew"}})
    attempt = await relay.send(zone)
    assert fate_of(attempt)[0] == "ACCEPTED"
    ((level, event, values),) = relay.log.events
    assert (level, event) == ("info", "encryption bypassed") and "they renew" in str(values["why"])
    after = world.relay(bypass={zone: {"until": "2025-12-31", "reason": "they renew"}})
    assert fate_of(await after.send(zone))[0] == "TEMPORARY"
    assert "its bypass ended on 2025-12-31" in (await after.asked(zone))[0].why


async def test_a_user_may_let_his_mail_go_past_dane(world: World) -> None:
    """RFC 8689 section 5, TLS-Required: No."""
    zone = world.zone("optional.dane.test", f"3 1 1 {WRONG}")
    assert fate_of(await world.relay().send(zone, tls_optional=True))[0] == "ACCEPTED"
    assert fate_of(await world.relay(heed_senders=False).send(zone, tls_optional=True))[0] == "TEMPORARY"
