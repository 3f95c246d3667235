"""Where mail goes next by what real name servers say: RFC 5321 section 5 and RFC 7505."""

from collections.abc import Callable

import pytest

from mailward.delivery.route import LOOP, NO_ADDRESS, NO_SUCH_DOMAIN, NOT_PUBLIC, NULL_MX, NoRoute, Router
from mailward.delivery.static_hop import StaticHop
from mailward.services.resolver import DnsResolver
from support.dns_server import DnsServer

ZONE = """
@ MX 10 b
@ MX 10 a
@ MX 20 backup
@ MX 5 gone
a A 8.8.8.1
a AAAA 2606:4700::1
b A 8.8.8.2
backup A 8.8.8.3
null MX 0 .
nearly-null MX 0 .
nearly-null MX 10 a
nearly-null A 8.8.8.4
implicit A 8.8.8.5
implicit AAAA 2606:4700::5
alias CNAME implicit
alias-mx CNAME @
mx-is-alias MX 10 alias
nothing TXT "neither MX nor address"
dead MX 10 gone
address MX 10 8.8.8.8.
ours MX 10 mail.example.org.
ours-second MX 10 a
ours-second MX 20 mail.example.org.
ours-second MX 20 b
ours-second MX 30 backup
ours-by-address MX 10 us
us A 9.9.9.9
private MX 10 inside
inside A 10.0.0.1
inside AAAA ::1
partly MX 10 inside
partly MX 20 a
"""


@pytest.fixture(scope="module")
def resolver(dns_server: DnsServer) -> DnsResolver:
    dns_server.publish("routing.test", ZONE)
    return DnsResolver([dns_server.address])


def router(resolver: DnsResolver, chance: Callable[[], float] = lambda: 0.0, **routes: StaticHop) -> Router:
    named = {name.replace("_", "."): hop for name, hop in routes.items()}
    is_ours = {"9.9.9.9"}.__contains__
    return Router(resolver, hostname="mail.example.org", routes=named, is_ours=is_ours, chance=chance)


async def hosts(router: Router, domain: str) -> list[str]:
    found = await router.find(domain)
    assert not isinstance(found, NoRoute), found
    return [str(target) for target in found]


A = ["a.routing.test [2606:4700::1]", "a.routing.test [8.8.8.1]"]
B, BACKUP = ["b.routing.test [8.8.8.2]"], ["backup.routing.test [8.8.8.3]"]
IMPLICIT = ["[2606:4700::5]", "[8.8.8.5]"]


async def test_rfc_5321_5_1_the_lowest_preference_first_equals_at_random(resolver: DnsResolver) -> None:
    first = set()
    for turn in range(40):
        chances = iter([0.1, 0.9] * 10) if turn % 2 else iter([0.9, 0.1] * 10)
        found = await hosts(router(resolver, lambda chances=chances: next(chances)), "routing.test")  # type: ignore[misc]
        assert found in (A + B + BACKUP, B + A + BACKUP)  # the host of preference 5 has no address
        first.add(found[0])
    assert first == {A[0], B[0]}


@pytest.mark.parametrize("domain", ["implicit", "alias"])
async def test_rfc_5321_5_1_without_mx_the_domain_is_its_own_host(resolver: DnsResolver, domain: str) -> None:
    assert await hosts(router(resolver), f"{domain}.routing.test") == [f"{domain}.routing.test {one}" for one in IMPLICIT]


async def test_rfc_5321_5_1_an_alias_has_the_mx_records_of_its_name(resolver: DnsResolver) -> None:
    assert sorted(await hosts(router(resolver), "alias-mx.routing.test")) == sorted(A + B + BACKUP)


async def test_an_mx_that_names_an_alias_is_followed(resolver: DnsResolver) -> None:
    """It must not be one (RFC 5321 section 5.1), but some are, and everybody follows them."""
    assert await hosts(router(resolver), "mx-is-alias.routing.test") == [f"alias.routing.test {one}" for one in IMPLICIT]


async def test_rfc_7505_a_null_mx_beside_others_is_none(resolver: DnsResolver) -> None:
    assert await hosts(router(resolver), "nearly-null.routing.test") == A


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        ("null.routing.test", NULL_MX),
        ("absent.routing.test", NO_SUCH_DOMAIN),
        ("nothing.routing.test", NO_SUCH_DOMAIN),
        ("dead.routing.test", NO_ADDRESS),  # RFC 5321 section 5.1: never the domain's own address when there is an MX
        ("address.routing.test", NO_ADDRESS),
        ("ours.routing.test", LOOP),
        ("ours-by-address.routing.test", LOOP),
        ("private.routing.test", NOT_PUBLIC),
    ],
)
async def test_t_relay_17_what_leads_nowhere_or_back_to_us_goes_back_at_once(
    resolver: DnsResolver, domain: str, why: object
) -> None:
    found = await router(resolver).find(domain)
    assert isinstance(found, NoRoute) and found.permanent and found.reply is why


async def test_rfc_5321_5_1_only_hosts_before_us_are_tried(resolver: DnsResolver) -> None:
    assert await hosts(router(resolver), "ours-second.routing.test") == A


async def test_t_relay_17_private_addresses_are_passed_over(resolver: DnsResolver) -> None:
    assert await hosts(router(resolver), "partly.routing.test") == A


@pytest.mark.parametrize("domain", ["bogus.test", "x.silent.test"])
async def test_what_dns_cannot_answer_now_waits(resolver: DnsResolver, domain: str) -> None:
    found = await router(resolver).find(domain)
    assert isinstance(found, NoRoute) and not found.permanent and found.reply.code == 451


async def test_a_route_looks_up_its_host_and_no_mx(resolver: DnsResolver) -> None:
    routed = router(resolver, null_routing_test=StaticHop("backup.routing.test", 2525))
    assert await hosts(routed, "null.routing.test") == BACKUP
    lost = await router(resolver, null_routing_test=StaticHop("gone.routing.test", 25)).find("null.routing.test")
    assert isinstance(lost, NoRoute) and not lost.permanent
