"""MTA-STS with a real web server, real certificates and real SMTP connections (RFC 8461)."""

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.model.tls import PolicyType, TlsLevel, TlsResult
from mailward.net.tls import verifying_context
from mailward.services.http import PublicHttp
from mailward.testing import FakeClock, FakeZone, MemoryKeyValue
from mailward_plugins.encryption import on_day
from mailward_plugins.encryption.settings import EncryptionSettings
from mailward_plugins.encryption.sts_book import StsBook
from support.certificates import Authority, Issued
from support.https_server import Page, Web, web
from support.private_relay import PrivateRelay, fate_of
from support.smtp_peer import Peer, peer

DOMAIN = "far.test"
HOST = "mx.far.test"
PATH = "/.well-known/mta-sts.txt"
FETCH = ("mta-sts.far.test", PATH)


def policy(*mx: str, mode: str = "enforce", max_age: int = 604_800, more: str = "") -> bytes:
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {one}" for one in mx), f"max_age: {max_age}"]
    return ("\r\n".join(lines) + "\r\n" + more).encode()


class World:
    """One domain, its web server, its mail server; the authority that everybody trusts."""

    def __init__(self, site: Web, far: Peer, authority: Authority) -> None:
        self.site, self.far, self.authority = site, far, authority
        self.clock, self.kept = FakeClock(), MemoryKeyValue()
        self.zone = FakeZone()
        self.zone.add(DOMAIN, "MX", f"10 {HOST}")
        self.zone.add(HOST, "A", "127.0.0.1")
        self.zone.add("mta-sts.far.test", "A", "127.0.0.1")
        self.announce("1")
        self.site.pages.clear()
        self.site.asked.clear()
        self.serve(policy(HOST))

    def announce(self, policy_id: str, *more: str) -> None:
        self.zone.add(f"_mta-sts.{DOMAIN}", "TXT", f"v=STSv1; id={policy_id};", *more)

    def serve(self, body: bytes, **page: object) -> None:
        self.site.pages[FETCH] = Page(body, **page)  # type: ignore[arg-type]

    def relay(self, far: Peer | None = None, *, is_allowed: bool = True, **settings: object) -> PrivateRelay:
        web_tls = ssl.create_default_context(cafile=str(self.authority.file))
        smtp_tls = verifying_context()
        smtp_tls.load_verify_locations(self.authority.file)
        allowed = [ipaddress.ip_network("127.0.0.0/8")] if is_allowed else []
        http = PublicHttp(self.zone, allowed=allowed, tls=web_tls, port=self.site.port)
        port = (far or self.far).port
        return PrivateRelay(self.zone, port, settings, verifying=smtp_tls, http=http, kept=self.kept, clock=self.clock)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def issued(authority: Authority) -> dict[str, Issued]:
    return {name: authority.issue(name) for name in (HOST, "mta-sts.far.test", "mx.evil.test")}


@pytest.fixture(scope="module")
def site(issued: dict[str, Issued]) -> Iterator[Web]:
    with web(default=issued["mta-sts.far.test"]) as made:
        yield made


@pytest.fixture
def world(site: Web, issued: dict[str, Issued], authority: Authority) -> Iterator[World]:
    server = issued[HOST]
    with peer(certificate=(server.certificate, server.key)) as far:
        yield World(site, far, authority)


async def test_a_host_that_the_policy_names_is_verified_and_said_so(world: World) -> None:
    attempt = await world.relay().send(DOMAIN)
    assert "verified by MTA-STS: 250" in fate_of(attempt)[2] and world.far.taken[0].tls
    (session,) = attempt.sessions
    assert (session.policy.type, session.policy.domain, session.result) == (PolicyType.STS, DOMAIN, None)
    assert session.policy.strings == ("version: STSv1", "mode: enforce", f"mx: {HOST}", "max_age: 604800")
    assert session.policy.mx_hosts == (HOST,) and session.level is TlsLevel.VERIFIED
    assert world.site.asked == [FETCH]


@pytest.mark.parametrize("mode", ["enforce", "testing"])
async def test_t_tls_22_a_certificate_of_another_name_is_refused_in_enforce_and_told_in_testing(
    world: World, issued: dict[str, Issued], mode: str
) -> None:
    world.serve(policy(HOST, mode=mode))
    evil = issued["mx.evil.test"]
    with peer(certificate=(evil.certificate, evil.key)) as other:
        attempt = await world.relay(other).send(DOMAIN)
        (session,) = attempt.sessions
        assert session.result is TlsResult.CERTIFICATE_HOST_MISMATCH and session.policy.type is PolicyType.STS
        if mode == "enforce":
            assert fate_of(attempt)[:2] == ("TEMPORARY", "4.7.5") and "MAIL" not in other.verbs()
            assert session.level is None
        else:
            assert fate_of(attempt)[0] == "ACCEPTED" and other.taken[0].tls and session.level is TlsLevel.REQUIRED


async def test_t_tls_22_an_authority_that_nobody_knows_is_refused(world: World, tmp_path: Path) -> None:
    own = Authority(tmp_path, "Own Authority").issue(HOST)
    with peer(certificate=(own.certificate, own.key)) as other:
        attempt = await world.relay(other).send(DOMAIN)
        assert fate_of(attempt)[:2] == ("TEMPORARY", "4.7.5") and not other.taken
        assert attempt.sessions[0].result is TlsResult.CERTIFICATE_NOT_TRUSTED


@pytest.mark.parametrize("mode", ["enforce", "testing", "none"])
async def test_t_tls_08_a_stripped_starttls_defers_mail_under_enforce_alone(world: World, mode: str) -> None:
    world.serve(policy(HOST, mode=mode))
    with peer() as clear:
        attempt = await world.relay(clear).send(DOMAIN)
        (session,) = attempt.sessions
        assert session.result is TlsResult.STARTTLS_NOT_SUPPORTED
        assert session.policy.type is (PolicyType.NONE if mode == "none" else PolicyType.STS)
        if mode == "enforce":
            assert fate_of(attempt)[:2] == ("TEMPORARY", "4.7.5") and "MAIL" not in clear.verbs()
        else:
            assert fate_of(attempt)[0] == "ACCEPTED" and len(clear.taken) == 1


@pytest.mark.parametrize(
    ("patterns", "named"),
    [
        ((HOST,), True),
        (("*.far.test",), True),
        (("MX.Far.Test.",), True),
        (("mx.other.test", HOST), True),
        (("*.test",), False),
        (("far.test",), False),
        (("mx.evil.test",), False),
    ],
)
async def test_t_tls_23_a_host_that_the_policy_does_not_name_gets_nothing(
    world: World, patterns: tuple[str, ...], named: bool
) -> None:
    world.serve(policy(*patterns))
    attempt = await world.relay().send(DOMAIN)
    if named:
        assert fate_of(attempt)[0] == "ACCEPTED"
        return
    assert fate_of(attempt)[:2] == ("TEMPORARY", "4.7.5") and not world.far.connections
    assert "does not name mx.far.test" in fate_of(attempt)[2]
    assert attempt.sessions[0].result is TlsResult.VALIDATION_FAILURE
    world.serve(policy(*patterns, mode="testing"))
    world.announce("2")
    attempt = await world.relay().send(DOMAIN)
    assert fate_of(attempt)[0] == "ACCEPTED" and attempt.sessions[0].result is TlsResult.VALIDATION_FAILURE


async def test_t_tls_23_a_host_that_is_named_is_used_where_another_is_not(world: World) -> None:
    world.zone.add(DOMAIN, "MX", "5 mx.evil.test", f"10 {HOST}")
    world.zone.add("mx.evil.test", "A", "127.0.0.1")
    attempt = await world.relay().send(DOMAIN)
    assert "relayed to mx.far.test" in fate_of(attempt)[2] and world.far.connections == 1


async def test_t_tls_22_a_u_label_in_a_policy_is_the_same_name(world: World, authority: Authority) -> None:
    name = "mx.xn--bcher-kva.test"
    server = authority.issue(name)
    world.zone.add(DOMAIN, "MX", f"10 {name}")
    world.zone.add(name, "A", "127.0.0.1")
    world.serve(policy("mx.bücher.test"))
    with peer(certificate=(server.certificate, server.key)) as other:
        assert "verified by MTA-STS" in fate_of(await world.relay(other).send(DOMAIN))[2]


BAD = {
    "redirect": (Page(policy("mx.evil.test"), 301, location="https://mta-sts.far.test/other"), TlsResult.STS_POLICY_FETCH_ERROR),
    "not found": (Page(b"x", 404), TlsResult.STS_POLICY_FETCH_ERROR),
    "oversized": (Page(policy("mx.evil.test", more="x: " + "y" * 70_000)), TlsResult.STS_POLICY_FETCH_ERROR),
    "html": (Page(policy("mx.evil.test"), content_type="text/html"), TlsResult.STS_POLICY_INVALID),
    "no type": (Page(policy("mx.evil.test"), content_type=None), TlsResult.STS_POLICY_INVALID),
    "bare CR": (Page(policy("mx.evil.test").replace(b"\r\n", b"\r")), TlsResult.STS_POLICY_INVALID),
    "no mx": (Page(policy()), TlsResult.STS_POLICY_INVALID),
    "no version": (Page(policy("mx.evil.test").replace(b"STSv1", b"STSv2")), TlsResult.STS_POLICY_INVALID),
    "no age": (Page(b"version: STSv1\nmode: enforce\nmx: mx.evil.test\n"), TlsResult.STS_POLICY_INVALID),
    "octets": (Page(b"version: STSv1\nmode: \xff\n"), TlsResult.STS_POLICY_INVALID),
}


@pytest.mark.parametrize("kind", BAD)
async def test_t_tls_22_a_policy_that_cannot_be_had_is_none_unless_one_is_kept(world: World, kind: str) -> None:
    page, result = BAD[kind]
    world.site.pages[FETCH] = page
    world.site.pages["mta-sts.far.test", "/other"] = Page(policy("mx.evil.test"))
    attempt = await world.relay().send(DOMAIN)
    assert fate_of(attempt)[0] == "ACCEPTED" and "over TLSv1.3: 250" in fate_of(attempt)[2]
    assert (attempt.sessions[0].policy.type, attempt.sessions[0].result) == (PolicyType.STS, result)
    assert world.site.asked == [FETCH]
    world.clock.advance(timedelta(minutes=6))
    world.serve(policy(HOST))
    assert "verified by MTA-STS" in fate_of(await world.relay().send(DOMAIN))[2]
    world.site.pages[FETCH] = page
    world.announce("2")
    assert "verified by MTA-STS" in fate_of(await world.relay().send(DOMAIN))[2]
    with peer() as clear:
        assert fate_of(await world.relay(clear).send(DOMAIN))[0] == "TEMPORARY" and not clear.taken


async def test_t_tls_22_a_web_server_that_proves_another_name_is_not_listened_to(world: World, issued: dict[str, Issued]) -> None:
    with web(default=issued["mx.evil.test"]) as other:
        world.site = other
        world.serve(policy("mx.evil.test"))
        attempt = await world.relay().send(DOMAIN)
        assert fate_of(attempt)[0] == "ACCEPTED" and other.asked == []
        assert attempt.sessions[0].result is TlsResult.STS_WEBPKI_INVALID


async def test_t_tls_22_a_policy_host_in_a_private_network_is_not_asked(world: World) -> None:
    """A domain's owner names the address; what is not public stays out of reach (SSRF)."""
    attempt = await world.relay(is_allowed=False).send(DOMAIN)
    assert fate_of(attempt)[0] == "ACCEPTED" and world.site.asked == []
    assert "not public" in attempt.sessions[0].detail


async def test_a_policy_outlives_the_process_and_ends_with_its_max_age(world: World) -> None:
    world.serve(policy(HOST, max_age=3600))
    assert "verified by MTA-STS" in fate_of(await world.relay().send(DOMAIN))[2]
    world.zone.add(f"_mta-sts.{DOMAIN}", "TXT", "something else")
    world.clock.advance(timedelta(minutes=59))
    assert "verified by MTA-STS" in fate_of(await world.relay().send(DOMAIN))[2]
    world.clock.advance(timedelta(minutes=2))
    assert "over TLSv1.3: 250" in fate_of(await world.relay().send(DOMAIN))[2]
    assert world.site.asked == [FETCH]


async def test_a_new_id_brings_the_new_policy_before_mail_goes(world: World) -> None:
    await world.relay().send(DOMAIN)
    world.serve(policy("mx.evil.test"))
    assert fate_of(await world.relay().send(DOMAIN))[0] == "ACCEPTED" and len(world.site.asked) == 1
    world.announce("2")
    assert fate_of(await world.relay().send(DOMAIN))[0] == "TEMPORARY" and len(world.site.asked) == 2


async def test_a_policy_is_fetched_anew_once_a_day_and_nobody_waits_for_it(world: World) -> None:
    relay = world.relay()
    await relay.send(DOMAIN)
    world.clock.advance(timedelta(days=1))
    world.site.pages[FETCH].hangs = True
    assert "verified by MTA-STS" in fate_of(await relay.send(DOMAIN))[2]
    world.site.released.set()
    await relay.services.memory.of(StsBook).idle()
    assert world.site.asked == [FETCH, FETCH]
    world.site.released.clear()


async def test_a_policy_is_fetched_anew_before_it_ends_though_no_mail_goes(world: World) -> None:
    """RFC 8461 section 10.2: else whoever waits long enough finds no policy."""
    world.serve(policy(HOST, max_age=3 * 86_400))
    relay = world.relay()
    await relay.send(DOMAIN)

    async def a_day_ends() -> None:
        world.clock.advance(timedelta(days=1))
        await on_day(EncryptionSettings(), relay.services)
        await relay.services.memory.of(StsBook).idle()

    for n in range(1, 61):
        await a_day_ends()
        assert len(world.site.asked) == 1 + n
    world.zone.add(f"_mta-sts.{DOMAIN}", "TXT", "gone")
    with peer() as clear:
        assert fate_of(await world.relay(clear).send(DOMAIN))[0] == "TEMPORARY" and not clear.taken
    world.clock.advance(timedelta(days=60))
    for _ in range(4):
        await a_day_ends()
    assert len(world.site.asked) == 61 and not world.kept.values


async def test_a_fetch_that_failed_is_not_tried_again_at_once(world: World) -> None:
    world.site.pages.clear()
    relay = world.relay()
    for _ in range(3):
        await relay.send(DOMAIN)
    assert world.site.asked == [FETCH]
    world.clock.advance(timedelta(minutes=6))
    await relay.send(DOMAIN)
    assert world.site.asked == [FETCH, FETCH]


async def test_t_tls_22_two_announcements_are_none(world: World) -> None:
    world.announce("1", "v=STSv1; id=2;")
    assert "over TLSv1.3: 250" in fate_of(await world.relay().send(DOMAIN))[2] and world.site.asked == []


async def test_t_tls_20_dns_that_fails_does_not_turn_a_kept_policy_off(world: World) -> None:
    await world.relay().send(DOMAIN)
    world.zone.fail(f"_mta-sts.{DOMAIN}", "TXT")
    with peer() as clear:
        assert fate_of(await world.relay(clear).send(DOMAIN))[0] == "TEMPORARY" and not clear.taken


async def test_t_tls_21_dane_comes_before_mta_sts(world: World) -> None:
    """RFC 8461 section 2: the policy is met, the TLSA record is not."""
    world.zone.authenticated |= {DOMAIN, HOST, f"_{world.far.port}._tcp.{HOST}"}
    world.zone.add(f"_{world.far.port}._tcp.{HOST}", "TLSA", "3 1 1 " + "00" * 32)
    attempt = await world.relay().send(DOMAIN)
    assert fate_of(attempt)[0] == "TEMPORARY" and attempt.sessions[0].policy.type is PolicyType.TLSA
    assert "verified by MTA-STS" in fate_of(await world.relay(dane=False).send(DOMAIN))[2]


@pytest.mark.parametrize(("way", "text"), [("bypass", "over TLSv1.3: 250"), ("mta_sts", "over TLSv1.3: 250")])
async def test_an_admin_can_do_without_it(world: World, way: str, text: str) -> None:
    world.serve(policy("mx.evil.test"))
    settings = {"bypass": {DOMAIN: {"until": "2027-01-01", "reason": "x"}}} if way == "bypass" else {"mta_sts": False}
    assert text in fate_of(await world.relay(**settings).send(DOMAIN))[2] and world.site.asked == []


async def test_t_tls_25_mail_that_requires_tls_takes_the_name_that_the_policy_vouches_for(
    world: World, authority: Authority
) -> None:
    """RFC 8689 section 4.2.1: without DNSSEC it is MTA-STS that makes the host's name count."""
    server = authority.issue(HOST)
    with peer(certificate=(server.certificate, server.key), offers=("REQUIRETLS",)) as other:
        assert fate_of(await world.relay(other, mta_sts=False).send(DOMAIN, require_tls=True))[:2] == ("PERMANENT", "5.7.30")
        assert "verified by MTA-STS" in fate_of(await world.relay(other).send(DOMAIN, require_tls=True))[2]
