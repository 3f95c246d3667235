"""Where mail goes next, from answers of DNS (RFC 5321 section 5.1; RFC 7505; T-RELAY-17)."""

import asyncio
import ipaddress

import pytest

from mailward.delivery import route
from mailward.delivery.route import (
    LOOP,
    MOST_TARGETS,
    NO_ADDRESS,
    NO_SUCH_DOMAIN,
    NOT_PUBLIC,
    NULL_MX,
    NoRoute,
    Router,
)
from mailward.delivery.static_hop import StaticHop
from mailward.formats.network import is_public
from mailward.model.dns import DnsAnswer, RecordType
from mailward.testing.fakes import FakeZone

OURS = "mail.example.org"


def router(zone: FakeZone, **settings: object) -> Router:
    values: dict[str, object] = {"hostname": OURS, "routes": {}, "chance": lambda: 0.5, **settings}
    return Router(zone, **values)  # type: ignore[arg-type]


async def hosts(found: Router, domain: str = "example.net") -> list[str]:
    targets = await found.find(domain)
    assert not isinstance(targets, NoRoute), targets
    return [str(target) for target in targets]


async def refusal(found: Router, domain: str = "example.net") -> NoRoute:
    answer = await found.find(domain)
    assert isinstance(answer, NoRoute), answer
    return answer


def zone() -> FakeZone:
    made = FakeZone()
    made.add("example.net", "MX", "20 mx2.example.net", "10 MX1.example.net")
    made.add("mx1.example.net", "A", "9.9.1.1")
    made.add("mx1.example.net", "AAAA", "2a00::1", "2a00::2")
    made.add("mx2.example.net", "A", "9.9.2.1")
    return made


async def test_mx_hosts_come_by_preference_their_addresses_of_both_kinds_by_turns() -> None:
    assert await hosts(router(zone())) == [
        "mx1.example.net [2a00::1]",
        "mx1.example.net [9.9.1.1]",
        "mx1.example.net [2a00::2]",
        "mx2.example.net [9.9.2.1]",
    ]


async def test_equals_come_in_random_order() -> None:
    made = FakeZone()
    made.add("example.net", "MX", *(f"10 mx{n}.example.net" for n in range(4)))
    for n in range(4):
        made.add(f"mx{n}.example.net", "A", f"9.9.9.{n}")
    draws = iter([0.9, 0.1, 0.5, 0.3])
    assert [host.split(".")[0] for host in await hosts(router(made, chance=lambda: next(draws)))] == ["mx1", "mx3", "mx2", "mx0"]


async def test_without_mx_the_domain_itself_is_the_host() -> None:
    made = FakeZone()
    made.add("example.net", "A", "9.9.9.9")
    assert await hosts(router(made)) == ["example.net [9.9.9.9]"]


async def test_with_mx_the_domain_itself_is_no_host() -> None:
    made = FakeZone()
    made.add("example.net", "MX", "10 gone.example.net")
    made.add("example.net", "A", "9.9.9.9")
    assert await refusal(router(made)) == NoRoute(NO_ADDRESS, permanent=True)


async def test_t_relay_17_a_null_mx_is_556() -> None:
    made = FakeZone()
    made.add("example.net", "MX", "0 .")
    made.add("example.net", "A", "9.9.9.9")
    found = await refusal(router(made))
    assert (found.reply.code, found.reply.enhanced) == (556, "5.1.10") and found.reply == NULL_MX and found.permanent


async def test_t_relay_17_a_dot_beside_other_records_is_passed_over() -> None:
    made = zone()
    made.add("example.net", "MX", "0 .", "10 mx2.example.net")
    assert await hosts(router(made)) == ["mx2.example.net [9.9.2.1]"]


async def test_a_domain_that_does_not_exist_is_550() -> None:
    for made in (FakeZone(), FakeZone({("example.net", "TXT"): ["x"]})):
        assert await refusal(router(made)) == NoRoute(NO_SUCH_DOMAIN, permanent=True)


@pytest.mark.parametrize("question", [("example.net", "MX"), ("mx1.example.net", "A")])
async def test_dns_that_fails_is_temporary(question: tuple[str, str]) -> None:
    made = FakeZone()
    made.add("example.net", "MX", "10 mx1.example.net")
    made.fail(*question)  # type: ignore[arg-type]
    found = await refusal(router(made))
    assert found.reply.enhanced == "4.4.3" and not found.permanent


async def test_one_host_whose_addresses_are_unknown_today_does_not_hide_the_others() -> None:
    made = zone()
    made.fail("mx1.example.net", "A")
    made.fail("mx1.example.net", "AAAA")
    assert await hosts(router(made)) == ["mx2.example.net [9.9.2.1]"]


async def test_aliases_are_followed() -> None:
    made = FakeZone()
    made.add("www.example.net", "CNAME", "example.net")
    made.add("example.net", "MX", "10 mx.example.net")
    made.add("mx.example.net", "CNAME", "host.example.com")
    made.add("host.example.com", "A", "9.9.9.9")
    assert await hosts(router(made), "www.example.net") == ["mx.example.net [9.9.9.9]"]


@pytest.mark.parametrize("own", ["by name", "by address"])
async def test_t_relay_17_hosts_no_better_than_ourselves_are_dropped(own: str) -> None:
    made = zone()
    name = OURS if own == "by name" else "alias.example.net"
    made.add("example.net", "MX", "10 mx1.example.net", f"20 {name}", "20 mx2.example.net", "30 mx2.example.net")
    made.add(name, "A", "9.9.7.7")
    found = await hosts(router(made, is_ours=lambda address: address == "9.9.7.7"))
    assert {host.split(" ")[0] for host in found} == {"mx1.example.net"}


async def test_t_relay_17_our_own_place_counts_whatever_order_chance_gives() -> None:
    made = zone()
    made.add("example.net", "MX", "10 mx1.example.net", "10 alias.example.net")
    made.add("alias.example.net", "A", "9.9.7.7")
    for draws in ([0.1, 0.9], [0.9, 0.1]):
        found = router(made, is_ours=lambda address: address == "9.9.7.7", chance=iter(draws).__next__)
        assert await refusal(found) == NoRoute(LOOP, permanent=True)


@pytest.mark.parametrize("domain", ["example.net", "[9.9.7.7]", "mail.example.org"])
async def test_t_relay_17_a_domain_whose_best_host_we_are_loops(domain: str) -> None:
    made = zone()
    made.add("example.net", "MX", f"10 {OURS}", "20 mx2.example.net")
    made.add(OURS, "A", "9.9.7.7")
    found = await refusal(router(made, is_ours=lambda address: address == "9.9.7.7"), domain)
    assert found == NoRoute(LOOP, permanent=True) and found.reply.enhanced == "5.4.6"


NOT_OURS_TO_REACH = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "192.88.99.1", "fec0::1", "feff::1", "3fff::1", "3fff:fff::1", "2001:db8::1", "::ffff:192.88.99.1", "64:ff9b:1::9.9.9.9",
    "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "2002:0a00:0001::1", "2002:7f00:0001::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_OURS_TO_REACH)
async def test_t_relay_17_t_net_05_mx_records_lead_to_public_addresses_only(address: str) -> None:
    made = FakeZone()
    made.add("example.net", "MX", "10 inside.example.net")
    made.add("inside.example.net", "AAAA" if ":" in address else "A", address)
    assert await refusal(router(made)) == NoRoute(NOT_PUBLIC, permanent=True)
    made.add("bare.example", "AAAA" if ":" in address else "A", address)
    assert await refusal(router(made), "bare.example") == NoRoute(NOT_PUBLIC, permanent=True)
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    assert await refusal(router(made), literal) == NoRoute(NOT_PUBLIC, permanent=True)


@pytest.mark.parametrize("address", ["9.9.9.9", "2a00::1", "64:ff9b::9.9.9.9", "::ffff:9.9.9.9", "192.88.98.1", "3ffe::1"])
def test_t_net_05_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


async def test_t_relay_17_networks_that_were_allowed_are_reached() -> None:
    made = FakeZone()
    made.add("example.net", "MX", "10 inside.example.net")
    made.add("inside.example.net", "A", "10.1.2.3", "192.168.1.1")
    allowed = [ipaddress.ip_network("10.0.0.0/8")]
    assert await hosts(router(made, allowed=allowed)) == ["inside.example.net [10.1.2.3]"]
    assert is_public("::ffff:10.0.0.1", allowed)


async def test_t_relay_17_an_ip_address_is_no_mx_host() -> None:
    made = zone()
    made.add("example.net", "MX", "5 9.9.9.9", "10 mx2.example.net")
    made.add("9.9.9.9", "A", "9.9.9.9")
    assert await hosts(router(made)) == ["mx2.example.net [9.9.2.1]"]


async def test_t_relay_17_a_domain_with_a_thousand_hosts_costs_a_few_questions() -> None:
    made = FakeZone()
    made.add("example.net", "MX", *(f"10 mx{n}.example.net" for n in range(1000)))
    for n in range(1000):
        made.add(f"mx{n}.example.net", "A", *(f"9.9.{n % 250}.{m}" for m in range(100)))
    assert len(await hosts(router(made))) == MOST_TARGETS
    assert len(made.asked) <= 1 + 2 * 10


async def test_an_address_literal_is_its_own_host() -> None:
    assert await hosts(router(FakeZone()), "[9.9.9.9]") == ["[9.9.9.9]"]
    assert await hosts(router(FakeZone()), "[IPv6:2a00::1]") == ["[2a00::1]"]


async def test_static_routes_come_first_and_may_lead_anywhere() -> None:
    made = zone()
    made.add("smart.example", "A", "10.0.0.1")
    routes = {"example.net": StaticHop("127.0.0.1", 2525), "*": StaticHop("smart.example", 587)}
    found = router(made, routes=routes)
    (target,) = await found.find("example.net")  # type: ignore[misc]
    assert (target.host, target.address, target.port) == ("127.0.0.1", "127.0.0.1", 2525)
    (target,) = await found.find("elsewhere.example")  # type: ignore[misc]
    assert (target.host, target.address, target.port) == ("smart.example", "10.0.0.1", 587)


async def test_a_routed_host_without_an_address_is_temporary() -> None:
    found = await refusal(router(FakeZone(), routes={"*": StaticHop("typo.example", 25)}))
    assert not found.permanent and found.reply.enhanced == "4.4.4"


async def trusted(found: Router, domain: str = "example.net") -> set[bool]:
    targets = await found.find(domain)
    assert not isinstance(targets, NoRoute), targets
    return {target.is_trusted for target in targets}


async def test_t_tls_08_a_host_that_dns_named_is_trusted_by_dnssec_only() -> None:
    made = zone()
    assert await trusted(router(made)) == {False}
    made.authenticated.add("example.net")
    assert await trusted(router(made)) == {True}


async def test_hosts_that_nobody_else_named_are_trusted() -> None:
    assert await trusted(router(FakeZone()), "[9.9.9.9]") == {True}
    assert await trusted(router(FakeZone(), routes={"*": StaticHop("127.0.0.1", 25)})) == {True}
    assert await trusted(router(zone(), routes={"*": StaticHop("mx1.example.net", 25)})) == {True}


class _Silent(FakeZone):
    """Name servers of slow hosts never answer."""

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        if name.startswith("slow") and record_type in ("A", "AAAA"):
            await asyncio.Event().wait()
        return await super().resolve(name, record_type)


@pytest.mark.parametrize("first", ["mx1", "slow0"])
async def test_t_q_16_name_servers_that_never_answer_hold_up_a_look_up_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(route, "HOSTS_S", 0.1)
    made = _Silent()
    made.add("example.net", "MX", f"5 {first}.example.net", *(f"10 slow{n}.example.net" for n in range(9)))
    made.add("mx1.example.net", "A", "9.9.1.1")
    async with asyncio.timeout(10):
        if first == "mx1":
            assert await hosts(router(made)) == ["mx1.example.net [9.9.1.1]"]
        else:
            refused = await refusal(router(made))
            assert not refused.permanent and "take longer than" in str(refused.reply)
