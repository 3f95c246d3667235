"""Which hosts of a domain are tried in one attempt, and what their answers mean together (RFC 5321 section 5.1)."""

from collections.abc import Mapping

import pytest

from mailward.api.relaying import MailHost
from mailward.delivery.fate import Fate
from mailward.delivery.ports import HostFailed, HostFault
from mailward.delivery.relay import Attempt, Errand, Relay, Requirements, SevenBits, Taken
from mailward.delivery.route import Router, Target
from mailward.delivery.static_hop import StaticHop
from mailward.formats.address import parse_mailbox
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath
from mailward.model.errors import HooksUnavailable
from mailward.model.reply import Reply, reply
from mailward.model.session import TlsFacts
from mailward.model.tls import (
    ANY_PEER,
    NO_POLICY,
    PolicyType,
    Protection,
    TlsLevel,
    TlsPolicy,
    TlsRequirement,
    TlsResult,
    TlsSession,
    protection_of,
)
from mailward.protocol.smtp.outgoing import Outcome, OutgoingMail, Result
from mailward.testing.fakes import FakeZone

PATH = ForwardPath(parse_mailbox("b@example.net"))
OTHER = ForwardPath(parse_mailbox("c@example.net"))
MAIL = OutgoingMail(NULL_REVERSE_PATH, (PATH,), b"Subject: x\r\n\r\n")
ANY = ANY_PEER
NEEDED = TlsRequirement(TlsLevel.REQUIRED, "policies/outbound.yaml wants it")

GOOD = reply(250, "2.0.0", "taken")
BUSY = reply(451, "4.3.0", "busy")
NO = reply(550, "5.1.1", "nobody")
LOST = reply(451, "4.4.2", "lost")
DOWN = HostFailed(HostFault.UNREACHABLE, "no connection: Connection refused")
NO_TLS = HostFailed(HostFault.NO_TLS, "the server does not offer STARTTLS", result=TlsResult.STARTTLS_NOT_SUPPORTED)
CROWDED = HostFailed(HostFault.CROWDED, "100 connections to its network are open already")
BAD_TLS = HostFailed(HostFault.TLS, "its certificate is not trusted: expired", result=TlsResult.CERTIFICATE_EXPIRED)


class FakeHop:
    """Answers every message alike. may_have_arrived: as the test says."""

    def __init__(
        self, target: Target, answers: Mapping[str, Reply], requirement: TlsRequirement, *, breaks: bool, arrived: bool
    ) -> None:
        level = requirement.level
        self.requirement = requirement
        self.target = target
        self.domain = "example.net"
        self.tls = TlsFacts("TLSv1.3", "x") if level is not TlsLevel.OPPORTUNISTIC else None
        self.level = level
        self.is_usable = True
        self.setback = None if self.tls else NO_TLS
        self.unproven: str | None = None
        self.sending_ip = "9.9.8.1"
        self.offers_requiretls = "requiretls" in answers
        self.may_have_arrived = arrived
        self.sent: list[tuple[ForwardPath, ...]] = []
        self._answers = answers
        self._breaks = breaks

    def wants_seven_bits(self, mail: OutgoingMail) -> bool:
        return mail.is_eight_bit

    async def send(self, mail: OutgoingMail) -> tuple[Outcome, ...]:
        self.sent.append(mail.forward_paths)
        self.is_usable = not self._breaks
        return tuple(self._outcome(path) for path in mail.forward_paths)

    async def ask(self, forward_path: ForwardPath) -> Outcome:
        return self._outcome(forward_path)

    def _outcome(self, path: ForwardPath) -> Outcome:
        answer = self._answers.get(str(path), self._answers["*"])
        result = Result.ACCEPTED if answer.code < 300 else Result.TEMPORARY if answer.code < 500 else Result.PERMANENT
        return Outcome(path, result, answer)

    async def close(self) -> None:
        self.is_usable = False


class FakeConnector:
    """hosts: name -> why there is no connection, or its answers."""

    def __init__(self, hosts: Mapping[str, HostFailed | Reply | Mapping[str, Reply]]) -> None:
        self.hosts = hosts
        self.asked: list[tuple[str, TlsLevel]] = []
        self.hops: dict[str, FakeHop] = {}

    async def connect(self, target: Target, domain: str, requirement: TlsRequirement) -> FakeHop:
        self.asked.append((target.host, requirement.level))
        found = self.hosts[target.host]
        if isinstance(found, HostFailed):
            raise found
        answers = {"*": found} if isinstance(found, Reply) else found
        breaks = answers["*"] is LOST
        self.hops[target.host] = FakeHop(target, answers, requirement, breaks=breaks, arrived="arrived" in answers)
        return self.hops[target.host]


async def nobody_listens(fates: Mapping[ForwardPath, Fate]) -> None:
    pass


async def not_asked() -> bytes:
    raise AssertionError


async def attempt(
    connector: FakeConnector,
    requirement: TlsRequirement = ANY,
    *paths: ForwardPath,
    hop: FakeHop | None = None,
    require_tls: bool = False,
    requirements: Requirements | None = None,
    via: StaticHop | None = None,
    taken: Taken | None = None,
    octets: bytes = MAIL.octets,
    seven_bits: SevenBits | None = None,
) -> Attempt:
    zone = FakeZone()
    zone.add("example.net", "MX", *(f"{n} {host}" for n, host in enumerate(connector.hosts)))
    for n, host in enumerate(connector.hosts):
        zone.add(host, "A", f"9.9.9.{n}")
    relay = Relay(Router(zone, hostname="mail.example.org", routes={}), connector)
    mail = OutgoingMail(NULL_REVERSE_PATH, paths or (PATH,), octets, require_tls=require_tls)

    async def asked(host: MailHost) -> tuple[TlsRequirement, ...]:
        return (requirement,)

    errand = Errand("example.net", mail, requirements or asked, taken or nobody_listens, seven_bits or not_asked, via)
    return await relay.attempt(errand, hop)


async def test_hosts_are_tried_in_order_until_one_takes_it() -> None:
    connector = FakeConnector({"mx1.test": DOWN, "mx2.test": GOOD, "mx3.test": GOOD})
    found = await attempt(connector)
    assert found.fates[PATH].text == "relayed to mx2.test [9.9.9.1] in clear: 250 2.0.0 taken"
    assert [host for host, _ in connector.asked] == ["mx1.test", "mx2.test"]
    assert found.hop is connector.hops["mx2.test"] and not found.is_domain_down


@pytest.mark.parametrize("first", [BUSY, LOST])
async def test_a_host_that_wants_it_later_is_followed_by_one_more(first: Reply) -> None:
    connector = FakeConnector({"mx1.test": first, "mx2.test": GOOD})
    found = await attempt(connector)
    assert found.fates[PATH].result is Result.ACCEPTED
    assert not connector.hops["mx1.test"].is_usable
    connector = FakeConnector({"mx1.test": first, "mx2.test": first, "mx3.test": GOOD})
    found = await attempt(connector)
    assert found.fates[PATH].result is Result.TEMPORARY and len(connector.asked) == 2


async def test_only_those_that_wait_go_to_the_next_host() -> None:
    connector = FakeConnector({"mx1.test": {"*": BUSY, str(OTHER): NO}, "mx2.test": GOOD})
    found = await attempt(connector, ANY, PATH, OTHER)
    assert connector.hops["mx2.test"].sent == [(PATH,)]
    assert (found.fates[PATH].result, found.fates[OTHER].result) == (Result.ACCEPTED, Result.PERMANENT)
    assert found.fates[OTHER].remote_mta == "mx1.test"


async def test_t_q_10_what_one_host_has_taken_is_told_before_the_next_is_tried() -> None:
    connector = FakeConnector({"mx1.test": {"*": BUSY, str(OTHER): GOOD}, "mx2.test": GOOD})
    heard: list[tuple[list[ForwardPath], int]] = []

    async def taken(fates: Mapping[ForwardPath, Fate]) -> None:
        heard.append((list(fates), len(connector.asked)))

    found = await attempt(connector, ANY, PATH, OTHER, taken=taken)
    assert heard == [([OTHER], 1)]
    assert {fate.result for fate in found.fates.values()} == {Result.ACCEPTED} and len(connector.asked) == 2


async def test_a_message_that_may_have_arrived_is_not_given_to_another_host_at_once() -> None:
    connector = FakeConnector({"mx1.test": {"*": LOST, "arrived": LOST}, "mx2.test": GOOD})
    found = await attempt(connector)
    assert found.fates[PATH].result is Result.TEMPORARY and len(connector.asked) == 1


async def test_a_refusal_is_final_whatever_other_hosts_there_are() -> None:
    connector = FakeConnector({"mx1.test": NO, "mx2.test": GOOD})
    found = await attempt(connector)
    assert (found.fates[PATH].status, found.fates[PATH].words) == ("5.1.1", "550 5.1.1 nobody")
    assert len(connector.asked) == 1


async def test_when_no_host_can_be_reached_the_domain_is_down() -> None:
    found = await attempt(FakeConnector({"mx1.test": DOWN, "mx2.test": DOWN}))
    fate = found.fates[PATH]
    assert found.is_domain_down and fate.result is Result.TEMPORARY and fate.status == "4.4.1"
    assert fate.words == "mx2.test [9.9.9.1]: no connection: Connection refused" and fate.remote_mta == ""


async def test_t_tls_08_all_hosts_are_tried_before_mail_that_must_be_encrypted_fails() -> None:
    connector = FakeConnector({"mx1.test": NO_TLS, "mx2.test": NO_TLS})
    found = await attempt(connector, NEEDED)
    fate = found.fates[PATH]
    assert fate.result is Result.PERMANENT and fate.status == "5.7.10"
    assert "policies/outbound.yaml wants it" in fate.words and not found.is_domain_down
    assert connector.asked == [("mx1.test", TlsLevel.REQUIRED), ("mx2.test", TlsLevel.REQUIRED)]


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        ({"mx1.test": NO_TLS, "mx2.test": BAD_TLS}, "4.7.5"),
        ({"mx1.test": BAD_TLS}, "4.7.5"),
        ({"mx1.test": NO_TLS, "mx2.test": DOWN}, "4.4.1"),
        ({"mx1.test": BAD_TLS, "mx2.test": DOWN}, "4.4.1"),
    ],
)
async def test_t_tls_08_where_one_host_may_yet_be_good_enough_the_mail_waits(hosts: dict[str, HostFailed], status: str) -> None:
    found = await attempt(FakeConnector(hosts), NEEDED)
    assert found.fates[PATH].result is Result.TEMPORARY and found.fates[PATH].status == status
    assert not found.is_domain_down  # other mail may go without


@pytest.mark.parametrize("require_tls", [False, True])
@pytest.mark.parametrize("others", [[], [DOWN], [NO_TLS], [BAD_TLS, DOWN]])
async def test_t_q_16_a_host_that_our_own_limit_kept_us_from_is_neither_down_nor_without_tls(
    others: list[HostFailed], require_tls: bool
) -> None:
    hosts = {f"mx{n}.test": host for n, host in enumerate([CROWDED, *others])}
    found = await attempt(FakeConnector(hosts), NEEDED, require_tls=require_tls)
    fate = found.fates[PATH]
    assert found.is_crowded_out and not found.is_domain_down
    assert (fate.result, fate.status) == (Result.TEMPORARY, "4.4.5")
    assert fate.words == "mx0.test [9.9.9.0]: 100 connections to its network are open already"
    found = await attempt(FakeConnector({**hosts, "last.test": GOOD}))
    assert found.fates[PATH].result is Result.ACCEPTED and not found.is_crowded_out


async def test_an_attempt_says_of_each_connection_how_it_was_protected_and_what_was_wrong() -> None:
    """RFC 8460 section 4; one to a host that cannot be reached is none."""
    required, expired = TlsLevel.REQUIRED, TlsResult.CERTIFICATE_EXPIRED
    found = await attempt(FakeConnector({"mx1.test": DOWN, "mx2.test": BAD_TLS, "mx3.test": GOOD}), NEEDED)
    assert found.sessions == [
        TlsSession(NO_POLICY, "mx2.test", "9.9.9.1", "", None, expired, str(BAD_TLS)),
        TlsSession(NO_POLICY, "mx3.test", "9.9.9.2", "9.9.8.1", required),
    ]
    (clear,) = (await attempt(FakeConnector({"mx1.test": GOOD}))).sessions
    assert (clear.level, clear.result) == (TlsLevel.OPPORTUNISTIC, TlsResult.STARTTLS_NOT_SUPPORTED)


@pytest.mark.parametrize(
    ("via", "level"),
    [
        (StaticHop("/run/dovecot/lmtp", 0, is_lmtp=True), TlsLevel.OPPORTUNISTIC),
        (StaticHop("127.0.0.1", 24, is_lmtp=True), TlsLevel.REQUIRED),
    ],
)
async def test_of_a_connection_over_a_socket_no_tls_is_asked_and_none_is_told(via: StaticHop, level: TlsLevel) -> None:
    """Over a loopback address rules ask for TLS as anywhere, so what is told of it is what would become of the mail."""
    connector = FakeConnector({"mail.example.org": GOOD, "127.0.0.1": GOOD})
    found = await attempt(connector, NEEDED, via=via)
    assert found.fates[PATH].result is Result.ACCEPTED and [asked for _, asked in connector.asked] == [level]
    assert [session.level for session in found.sessions] == ([] if via.is_socket else [level])


async def test_a_connection_that_is_there_is_used_when_it_is_good_enough() -> None:
    connector = FakeConnector({"mx1.test": GOOD})
    first = await attempt(connector)
    hop = connector.hops["mx1.test"]
    assert (await attempt(connector, hop=hop)).hop is hop and first.hop is hop
    assert len(connector.asked) == 1 and len(hop.sent) == 2
    found = await attempt(connector, NEEDED, hop=hop)
    assert not hop.is_usable and found.hop is not hop and len(connector.asked) == 2


async def test_a_connection_that_an_order_made_is_used_only_while_the_order_stands() -> None:
    via = StaticHop("9.9.9.7", 25)
    target = Target("9.9.9.7", "9.9.9.7", 25, is_trusted=True, is_routed=True, is_ordered=True, static=via)
    connector = FakeConnector({"mx1.test": GOOD, "9.9.9.7": GOOD})
    ordered = FakeHop(target, {"*": GOOD}, ANY, breaks=False, arrived=False)
    assert (await attempt(connector, hop=ordered, via=via)).hop is ordered and len(ordered.sent) == 1
    found = await attempt(connector, hop=ordered)
    assert found.hop is connector.hops["mx1.test"] and not ordered.is_usable and len(ordered.sent) == 1
    back = await attempt(connector, hop=connector.hops["mx1.test"], via=via)
    assert back.hop is connector.hops["9.9.9.7"] and not connector.hops["mx1.test"].is_usable


async def test_a_connection_that_ends_between_two_messages_is_replaced() -> None:
    connector = FakeConnector({"mx1.test": GOOD})
    old = FakeHop(Target("mx1.test", "9.9.9.0", 25), {"*": LOST}, ANY, breaks=True, arrived=False)
    found = await attempt(connector, hop=old)
    assert found.fates[PATH].result is Result.ACCEPTED and len(old.sent) == 1
    arrived = FakeHop(Target("mx1.test", "9.9.9.0", 25), {"*": LOST}, ANY, breaks=True, arrived=True)
    assert (await attempt(connector, hop=arrived)).fates[PATH].result is Result.TEMPORARY


async def test_what_routing_says_is_told_as_our_own_words() -> None:
    relay = Relay(Router(FakeZone(), hostname="mail.example.org", routes={}), FakeConnector({}))

    async def asked(host: MailHost) -> tuple[TlsRequirement, ...]:
        return ()

    found = await relay.attempt(Errand("example.net", MAIL, asked, nobody_listens, not_asked), None)
    assert found.fates[PATH].status == "5.1.2" and not found.fates[PATH].words[0].isdigit()


PROMISES = {"*": GOOD, "requiretls": GOOD}
BUSY_PROMISES = {"*": BUSY, "requiretls": GOOD}


@pytest.mark.parametrize(
    ("hosts", "result", "code"),
    [
        ([NO_TLS, BAD_TLS, GOOD, PROMISES], Result.ACCEPTED, "2.0.0"),
        ([GOOD], Result.PERMANENT, "5.7.30"),
        ([NO_TLS], Result.PERMANENT, "5.7.30"),
        ([BAD_TLS, GOOD], Result.PERMANENT, "5.7.30"),
        ([GOOD, DOWN], Result.TEMPORARY, "4.4.1"),
        ([DOWN, GOOD], Result.TEMPORARY, "4.4.1"),
        ([BUSY_PROMISES, GOOD], Result.TEMPORARY, "4.3.0"),
    ],
)
async def test_t_tls_25_mail_that_requires_tls_is_given_up_only_when_no_host_of_the_domain_may_have_it(
    hosts: list[HostFailed | Reply | Mapping[str, Reply]], result: Result, code: str
) -> None:
    connector = FakeConnector({f"mx{n}.test": host for n, host in enumerate(hosts)})
    found = await attempt(connector, require_tls=True)
    assert (found.fates[PATH].result, found.fates[PATH].status) == (result, code)
    assert {level for _, level in connector.asked} == {TlsLevel.VERIFIED} and len(connector.asked) == len(hosts)
    assert all(hop.offers_requiretls or not hop.sent for hop in connector.hops.values())


@pytest.mark.parametrize(("answers", "level"), [({"*": GOOD}, TlsLevel.VERIFIED), (PROMISES, TlsLevel.REQUIRED)])
async def test_t_tls_25_a_connection_made_for_other_mail_is_not_used_when_it_is_not_fit(
    answers: Mapping[str, Reply], level: TlsLevel
) -> None:
    old = FakeHop(Target("old.test", "9.9.9.9", 25), answers, TlsRequirement(level, "x"), breaks=False, arrived=False)
    found = await attempt(FakeConnector({"mx1.test": PROMISES}), hop=old, require_tls=True)
    assert not old.sent and not old.is_usable and found.fates[PATH].result is Result.ACCEPTED


def required(level: TlsLevel, kind: PolicyType = PolicyType.NONE, **said: object) -> TlsRequirement:
    return TlsRequirement(level, f"{kind.value} {level.value}", TlsPolicy(kind), **said)  # type: ignore[arg-type]


DANE = required(TlsLevel.VERIFIED, PolicyType.TLSA)
DANE_BROKEN = required(TlsLevel.VERIFIED, PolicyType.TLSA, problem=TlsResult.DNSSEC_INVALID)
DANE_UNUSABLE = required(TlsLevel.REQUIRED, PolicyType.TLSA, problem=TlsResult.TLSA_INVALID)
STS = required(TlsLevel.VERIFIED, PolicyType.STS, names=("mx.test",))
STS_TESTING = required(TlsLevel.VERIFIED, PolicyType.STS, testing=True)
ADMIN = required(TlsLevel.VERIFIED)


@pytest.mark.parametrize(
    ("asked", "floor", "tested"),
    [
        ([], ANY, None),
        ([ANY, NEEDED, ADMIN], ADMIN, None),
        ([STS, DANE], DANE, None),
        ([ADMIN, STS, DANE_BROKEN], DANE_BROKEN, None),
        ([STS, DANE_UNUSABLE], STS, None),
        ([ANY, DANE_UNUSABLE], DANE_UNUSABLE, None),
        ([ADMIN, STS], STS, None),
        ([ANY, STS_TESTING], ANY, STS_TESTING),
        ([NEEDED, STS_TESTING], NEEDED, STS_TESTING),
        ([DANE, STS_TESTING], DANE, None),
    ],
)
def test_t_tls_21_the_strictest_holds_and_dane_before_mta_sts(
    asked: list[TlsRequirement], floor: TlsRequirement, tested: TlsRequirement | None
) -> None:
    """RFC 8461 section 2: that an MTA-STS policy is met never makes up for DANE that is not."""
    for order in (asked, asked[::-1]):
        assert protection_of(order) == Protection(floor, tested)


async def test_t_tls_22_what_is_only_tested_is_told_and_never_keeps_mail_back() -> None:
    connector = FakeConnector({"mx1.test": GOOD})
    ordinary = connector.connect

    async def strict(target: Target, domain: str, requirement: TlsRequirement) -> FakeHop:
        if requirement is STS_TESTING:
            raise BAD_TLS
        return await ordinary(target, domain, requirement)

    connector.connect = strict  # type: ignore[method-assign]
    found = await attempt(connector, STS_TESTING)
    assert found.fates[PATH].result is Result.ACCEPTED
    (session,) = found.sessions
    assert (session.policy.type, session.result) == (PolicyType.STS, TlsResult.CERTIFICATE_EXPIRED)
    again = await attempt(connector, STS_TESTING, hop=connector.hops["mx1.test"])
    assert again.hop is found.hop and not again.sessions


async def test_t_q_11_a_plugin_that_fails_between_two_hosts_loses_no_outcome() -> None:
    connector = FakeConnector({"mx1.test": {"*": BUSY, str(OTHER): GOOD}, "mx2.test": GOOD})
    asked: list[str] = []

    async def once(host: MailHost) -> tuple[TlsRequirement, ...]:
        asked.append(host.name)
        if len(asked) > 1:
            raise HooksUnavailable("acme", "collect_tls_requirement", "it broke")
        return ()

    found = await attempt(connector, ANY, PATH, OTHER, requirements=once)
    assert (found.fates[PATH].result, found.fates[OTHER].result) == (Result.TEMPORARY, Result.ACCEPTED)
    with pytest.raises(HooksUnavailable):
        await attempt(connector, ANY, PATH, requirements=once)


EIGHT_BIT = "Subject: x\r\n\r\n\u00fcber\r\n".encode()


async def test_what_a_host_does_not_take_in_eight_bits_is_made_ready_for_it_again() -> None:
    async def seven_bits() -> bytes:
        return b"Subject: x\r\n\r\n=C3=BCber\r\n"

    connector = FakeConnector({"mx1.test": GOOD})
    found = await attempt(connector, octets=EIGHT_BIT, seven_bits=seven_bits)
    assert found.fates[PATH].text == "relayed to mx1.test [9.9.9.0] in clear, in seven bits: 250 2.0.0 taken"


async def test_what_has_no_form_in_seven_bits_is_for_the_host_to_refuse() -> None:
    async def seven_bits() -> bytes:
        raise ValueError("a signature")

    connector = FakeConnector({"mx1.test": NO})
    found = await attempt(connector, octets=EIGHT_BIT, seven_bits=seven_bits)
    assert found.fates[PATH].text == "mx1.test [9.9.9.0] in clear: 550 5.1.1 nobody"


async def test_a_converted_message_that_cannot_be_signed_is_not_sent_and_its_connection_is_closed() -> None:
    async def seven_bits() -> bytes:
        raise HooksUnavailable("dkim", "edit_relay", "no key")

    connector = FakeConnector({"mx1.test": GOOD})
    with pytest.raises(HooksUnavailable):
        await attempt(connector, octets=EIGHT_BIT, seven_bits=seven_bits)
    hop = connector.hops["mx1.test"]
    assert hop.sent == [] and not hop.is_usable
