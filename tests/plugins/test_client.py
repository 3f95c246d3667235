"""How a client introduces itself: RFC 5321 sections 4.1.1.1, 4.1.3 and 4.1.4, RFC 8601 section 2.7.3."""

import pytest

from mailward.api import ReverseName
from mailward.testing import CallHook, Scan, make_session
from mailward_plugins.client.rules import is_generic
from mailward_plugins.client.settings import ClientFacts

MAIL = "From: a@example.net\nSubject: hello\n\ntext\n"
PTR = "7.113.0.203.in-addr.arpa"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mail.example.net", ()),
        ("MAIL.example.net.", ()),
        ("my_host.example.net", ()),
        ("xn--bcher-kva.example", ()),
        ("[203.0.113.7]", ()),
        ("[198.51.100.1]", ("other_ip",)),
        ("[IPv6:2001:db8::1]", ("other_ip",)),
        ("[nonsense]", ("not_fqdn",)),
        ("203.0.113.7", ("bare_ip",)),
        ("2001:db8::1", ("bare_ip",)),
        ("localhost", ("not_fqdn",)),
        ("a..b", ("not_fqdn",)),
        ("1.2.3.4.5", ("not_fqdn",)),
        ("mx.example.org", ("ours",)),
        ("MX.Example.Org.", ("ours",)),
        ("example.org", ("ours",)),
        ("host.inside.example.org", ("ours",)),
        ("example.org.attacker.example", ()),
    ],
)
def test_helo_names(call_hook: CallHook, name: str, words: tuple[str, ...]) -> None:
    found = call_hook(
        "client",
        "inspect_helo",
        session=make_session("203.0.113.7", name),
        settings={"own_names": ["example.org", ".inside.example.org"]},
    )
    assert tuple(one.symbol for one in found) == tuple(f"HELO_{word.upper()}" for word in words)
    assert all(one.facts.helo == words for one in found)


def test_an_ipv6_literal_is_compared_as_an_address(call_hook: CallHook) -> None:
    assert call_hook("client", "inspect_helo", session=make_session("2001:db8::1", "[IPv6:2001:0db8:0:0:0:0:0:1]")) == ()


@pytest.mark.parametrize(("former", "symbols"), [(None, []), ("MAIL.example.net", []), ("other.example.net", ["HELO_CHANGED"])])
def test_a_name_that_changed(call_hook: CallHook, former: str | None, symbols: list[str]) -> None:
    found = call_hook("client", "inspect_helo", session=make_session("203.0.113.7", "mail.example.net"), former=former)
    assert [one.symbol for one in found] == symbols


@pytest.mark.parametrize(
    ("rdns", "symbol"),
    [
        (ReverseName("pass", "mail.example.net"), None),
        (ReverseName("pass", "203-0-113-7.pool.example"), "RDNS_GENERIC"),
        (ReverseName("fail", claimed="mail.bank.example"), "RDNS_UNCONFIRMED"),
        (ReverseName("permerror"), "RDNS_NONE"),
        (ReverseName("temperror"), None),
    ],
)
def test_reverse_dns(call_hook: CallHook, rdns: ReverseName, symbol: str | None) -> None:
    (found,) = call_hook("client", "inspect_connect", session=make_session("203.0.113.7", rdns=rdns))
    assert found.symbol == symbol
    assert [(one.method, one.result, one.properties) for one in found.auth] == [
        ("iprev", rdns.result, (("policy.iprev", "203.0.113.7"),))
    ]


@pytest.mark.parametrize(
    "session",
    [
        make_session("10.0.0.1", "localhost", rdns=ReverseName("none")),
        make_session("203.0.113.7", "localhost", user="bob@example.org"),
        make_session("203.0.113.7", "localhost", lmtp=True, rdns=ReverseName("permerror")),
    ],
)
def test_users_and_servers_of_ours_are_not_looked_at(call_hook: CallHook, session: object) -> None:
    assert call_hook("client", "inspect_connect", session=session) == ()
    assert call_hook("client", "inspect_helo", session=session) == ()


@pytest.mark.parametrize(
    ("name", "ip", "generic"),
    [
        ("203-0-113-7.pool.example", "203.0.113.7", True),
        ("host7.113.0.203.example", "203.0.113.7", True),
        ("203000113007.dsl.example", "203.0.113.7", True),
        ("cb007107.ip.example", "203.0.113.7", True),
        ("ec2-203-0-113-7.compute.example", "203.0.113.7", True),
        ("2001-db8-0-0-0-a-b-c.example", "2001:db8::a:b:c", True),
        ("mail7.example.net", "203.0.113.7", False),
        ("mx-113-7.example.net", "203.0.113.7", False),
        ("198-51-100-1.pool.example", "203.0.113.7", False),
        ("mail.example.net", "2001:db8::1", False),
        ("mail.example.net", "", False),
    ],
)
def test_names_made_from_an_address(name: str, ip: str, generic: bool) -> None:
    assert is_generic(name, ip) is generic


def test_both_stages_give_one_set_of_facts_that_rules_read_at_mail(scan: Scan) -> None:
    rule = {"name": "r", "when": 'client.rdns == "permerror" && "bare_ip" in client.helo', "at": "mail", "then": "reject"}
    result = scan(MAIL, plugins=["client"], ip="203.0.113.7", helo="203.0.113.7", policy={"rules": [rule]})
    assert result.facts("client") == ClientFacts("permerror", False, ("bare_ip",))
    assert set(result.findings) == {"RDNS_NONE", "HELO_BARE_IP"}
    assert result.record.session["peer.rdns_result"] == "permerror"
    scan.services.zone.add(PTR, "PTR", "mail.example.net")
    scan.services.zone.add("mail.example.net", "A", "203.0.113.7")
    assert scan(MAIL, plugins=["client"], ip="203.0.113.7").findings == {}
