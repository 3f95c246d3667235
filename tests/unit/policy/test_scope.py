"""For which mail an override holds: every key must, and within a key any word."""

import ipaddress
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.errors import PolicyError
from mailward.model.evidence import FactValue
from mailward.policy import Direction, Policy, RecipientFacts, Stage, load_policy
from mailward.policy.policy import MOST_VIEWS
from mailward.policy.scope import MOST_ORIGINS, Origin
from support.small_plugins import PLUGINS, STAGES, evidence

LISTENERS: dict[str, tuple[Direction, ...]] = {"mx": ("inbound",), "mx2": ("inbound",), "submission": ("submission", "access")}
BOB = RecipientFacts("bob@example.org", "example.org", "bob")
SUBADDRESS = RecipientFacts("Bob+x@example.org", "example.org", "Bob+x", tag="x")
ALL = RecipientFacts("all@example.net", "example.net", "all", mailboxes=("bob@example.org", "cfo@finance.example"))
CFO = RecipientFacts("CFO@finance.example", "finance.example", "CFO", groups=("staff", "board"))


def loaded(folder: Path, text: str, direction: Direction = "inbound") -> Policy:
    path = folder / f"{direction}.yaml"
    path.write_text("version: 1\n" + text)
    return load_policy(path, PLUGINS, stages=STAGES, listeners=LISTENERS)


def holding(policy: Policy, recipient: RecipientFacts | None, **origin: str | tuple[str, ...]) -> tuple[str, ...]:
    return policy.view(Origin(**origin), recipient).overrides  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "recipient", "origin", "holds"),
    [
        ("recipient: finance.example", CFO, {}, True),
        ("recipient: cfo@Finance.EXAMPLE", CFO, {}, True),
        ("recipient: [example.net, 'group:board']", CFO, {}, True),
        ("recipient: [example.net, 'group:boards']", CFO, {}, False),
        ("recipient: example", CFO, {}, False),
        ("recipient: finance.example", None, {}, False),
        ("recipient: bob@example.org", SUBADDRESS, {}, True),
        ("recipient: BOB+x@example.org", SUBADDRESS, {}, True),
        ("recipient: bob@example.org", replace(SUBADDRESS, is_local=False), {}, False),
        ("recipient: bob@example.org", replace(SUBADDRESS, tag=""), {}, False),  # an address of its own
        ("recipient: bob@example.org", ALL, {}, True),
        ("recipient: finance.example", ALL, {}, True),
        ("recipient: all@example.net", BOB, {}, False),
        ("sender: bob@example.org", SUBADDRESS, {"reverse_path": "bob+x@example.org"}, False),
        ("sender: example.net", BOB, {"reverse_path": "A@example.net"}, True),
        ("sender: a@example.net", None, {"reverse_path": "A@example.net"}, True),
        ("sender: a@example.net", BOB, {"reverse_path": "b@example.net"}, False),
        ("sender: example.net", BOB, {"reverse_path": "a@sub.example.net"}, False),
        ("sender: example.net", BOB, {"reverse_path": ""}, False),
        ("sender: example.net", CFO, {"reverse_path": "a@finance.example"}, False),
        ("network: 192.0.2.0/24", None, {"ip": "192.0.2.255"}, True),
        ("network: 192.0.2.0/24", BOB, {"ip": "192.0.3.0"}, False),
        ("network: [198.51.100.7, 192.0.2.0/25, 192.0.2.192/26]", BOB, {"ip": "192.0.2.200"}, True),
        ("network: 198.51.100.7", BOB, {"ip": "198.51.100.7"}, True),
        ("network: 0.0.0.0/0", BOB, {"ip": "2001:db8::1"}, False),
        ("network: '2001:db8::/32'", BOB, {"ip": "2001:db8:ffff::1"}, True),
        ("network: '::/0'", BOB, {"ip": "192.0.2.1"}, False),
        ("network: 0.0.0.0/0", BOB, {"ip": ""}, False),
        ("network: 0.0.0.0/0", BOB, {"ip": "a unix socket"}, False),
        ("listener: [mx, mx2]", None, {"listener": "mx2"}, True),
        ("listener: mx", BOB, {"listener": "mx2"}, False),
        ("recipient: example.org, sender: example.net, listener: mx", BOB, {"reverse_path": "a@example.net", "listener": "mx"}, True),
        ("recipient: example.org, sender: example.net, listener: mx", BOB, {"reverse_path": "a@example.net"}, False),
        ("recipient: example.org, sender: example.net, listener: mx", CFO, {"reverse_path": "a@example.net", "listener": "mx"}, False),
        ("recipient: example.org, sender: example.net", None, {"reverse_path": "a@example.net"}, False),
    ],
)  # fmt: skip
def test_all_keys_must_hold_and_of_each_any_word(
    tmp_path: Path, scope: str, recipient: RecipientFacts | None, origin: dict[str, str], holds: bool
) -> None:
    policy = loaded(tmp_path, f"overrides: [{{name: o, for: {{{scope}}}, limits: {{junk: 3}}}}]\n")
    assert holding(policy, recipient, **origin) == (("o",) if holds else ())


@pytest.mark.parametrize(
    ("scope", "origin", "holds"),
    [
        ("identity: alice@example.org", {"user": "Alice@example.org"}, True),
        ("identity: example.org", {"user": "alice@example.org"}, True),
        ("identity: example.org", {"reverse_path": "alice@example.org"}, False),
        ("identity: 'group:staff'", {"user": "alice@example.org", "groups": ("staff",)}, True),
        ("identity: 'group:staff'", {"user": "alice@example.org", "groups": ("guests",)}, False),
        ("sender: 'group:staff'", {"reverse_path": "", "user": "alice@example.org", "groups": ("staff",)}, True),
        ("sender: example.org, identity: bob@example.org", {"reverse_path": "a@example.org", "user": "alice@example.org"}, False),
    ],
)
def test_in_submission_the_account_is_known(tmp_path: Path, scope: str, origin: dict[str, str], holds: bool) -> None:
    policy = loaded(tmp_path, f"overrides: [{{name: o, for: {{{scope}}}, limits: {{junk: 3}}}}]\n", "submission")
    assert holding(policy, BOB, **origin) == holding(policy, None, **origin) == (("o",) if holds else ())


def verdict(policy: Policy, stage: Stage, recipient: RecipientFacts | None, **facts: FactValue) -> str | None:
    known = {name.replace("__", "."): value for name, value in facts.items()}
    ruling = policy.judge(known, evidence(), recipient, stage=stage)
    return None if ruling is None else ruling.verdict.value


def test_without_recipients_an_override_may_refuse_at_mail(tmp_path: Path) -> None:
    rule = "{name: shut, at: mail, then: reject}"
    policy = loaded(tmp_path, f"overrides: [{{name: o, for: {{network: 192.0.2.0/24, sender: example.net}}, rules: [{rule}]}}]\n")
    assert policy.may_end_at("mail")
    assert verdict(policy, "mail", None, peer__ip="192.0.2.1", mail_from__address="a@example.net") == "reject"
    assert verdict(policy, "mail", None, peer__ip="192.0.2.1", mail_from__address="a@example.com") is None


def test_t_state_02_what_holds_for_one_sender_is_not_carried_over_to_the_next(tmp_path: Path) -> None:
    rules = "[{name: all, then: accept}]"
    policy = loaded(
        tmp_path,
        "rules: [{name: usual, then: quarantine}]\n"
        f"overrides: [{{name: o, for: {{sender: a@example.net, network: 192.0.2.1, listener: mx}}, rules: {rules}}}]\n",
    )
    known = {"peer__ip": "192.0.2.1", "listener__name": "mx", "mail_from__address": "a@example.net"}
    assert verdict(policy, "message", BOB, **known) == "accept"
    for other in ({"mail_from__address": "b@example.net"}, {"peer__ip": "192.0.2.2"}, {"listener__name": "mx2"}):
        assert verdict(policy, "message", BOB, **known | other) == "quarantine"


def test_of_several_the_order_of_the_file_decides(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        """
limits: {junk: 5, quarantine: 10}
overrides:
  - {name: partners, for: {network: 192.0.2.0/24}, limits: {junk: 8}, rules: [{name: first, then: accept}]}
  - {name: finance, for: {recipient: example.org}, limits: {junk: 2, quarantine: 9}, rules: [{name: second, then: junk}]}
""",
    )
    both = policy.view(Origin(ip="192.0.2.7"), BOB)
    assert [rule.name for rule in both.rules] == ["first", "second"]
    assert [limit.name for limit in both.limits] == ["limits.quarantine 9", "limits.junk 8"]
    assert [rule.name for rule in policy.view(Origin(ip="198.51.100.7"), BOB).rules] == ["second"]


def test_logins_have_overrides_for_networks_and_listeners(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        """
overrides: [{name: inside, for: {network: 10.0.0.0/8, listener: submission}, rules: [{name: welcome, then: accept}]}]
rules: [{name: shut, then: reject}]
tests:
  - {name: inside, given: {peer.ip: 10.1.2.3, listener.name: submission}, expect: {verdict: accept, rule: welcome}}
  - {name: outside, given: {peer.ip: 192.0.2.3, listener.name: submission}, expect: {verdict: reject}}
""",
        "access",
    )
    assert verdict(policy, "auth", None, peer__ip="10.1.2.3", listener__name="submission") == "accept"
    assert verdict(policy, "auth", None, peer__ip="10.1.2.3", listener__name="imap") == "reject"


def test_a_test_of_the_policy_gives_the_facts_of_the_session(tmp_path: Path) -> None:
    text = """
overrides: [{name: staff, for: {identity: "group:staff", network: 10.0.0.0/8}, rules: [{name: welcome, then: accept}]}]
rules: [{name: held, then: quarantine}]
tests:
  - name: staff at home
    message: {mail_from: alice@example.org, rcpt: bob@example.net}
    given: {identity.user: alice@example.org, identity.groups: [staff], peer.ip: %s}
    expect: {verdict: accept}
"""
    assert all(result.passed for result in loaded(tmp_path, text % "10.0.0.1", "submission").run_tests())
    with pytest.raises(PolicyError, match="expected accept, got quarantine"):
        loaded(tmp_path, text % "192.0.2.1", "submission")


def test_a_test_of_the_policy_says_what_leads_to_a_mailbox(tmp_path: Path) -> None:
    text = """
overrides: [{name: strict, for: {recipient: bob@example.org}, rules: [{name: held, then: quarantine}]}]
tests:
  - {name: by a subaddress, message: {rcpt: bob+x@example.org}, expect: {verdict: quarantine}}
  - {name: no subaddress, message: {rcpt: bob+x@example.org}, given: {recipient.tag: ""}, expect: {verdict: accept}}
  - {name: by an alias, message: {rcpt: all@example.org}, given: {recipient.mailboxes: [Bob@example.org]}, expect: {verdict: quarantine}}
"""
    assert all(result.passed for result in loaded(tmp_path, text).run_tests())


@pytest.mark.parametrize(
    ("override", "warned"),
    [
        ("for: {sender: example.net}, limits: {junk: 9}", True),
        ("for: {sender: example.net}, limits: {junk: off}", True),
        ("for: {sender: example.net}, rules: [{name: usual, mode: off}]", True),
        ("for: {sender: example.net}, rules: [{name: all, then: accept}]", True),
        ("for: {sender: example.net}, rules: [{name: all, when: helo.name == 'a', then: accept}]", True),
        ("for: {sender: example.net, network: 192.0.2.0/24}, limits: {junk: 9}", False),
        ("for: {sender: example.net}, rules: [{name: all, when: dmarc.result == 'pass', then: accept}]", False),
        ("for: {sender: example.net}, limits: {junk: 2}, rules: [{name: all, when: helo.name == 'a', then: junk}]", False),
        ("for: {network: 192.0.2.0/24}, limits: {junk: 9}", False),
        ("for: {sender: example.net}, rules: [{name: less, do: [{score: -100}]}]", True),
        ("for: {sender: example.net}, rules: [{name: more, do: [{score: 1}]}]", False),
        ("for: {sender: example.net}, rules: [{name: less, when: dmarc.result == 'pass', do: [{score: -1}]}]", False),
        ("for: {sender: example.net}, rules: [{name: a, then: junk}, {name: b, when: helo.name == 'a', then: reject}]", True),
        ("for: {sender: example.net}, rules: [{name: b, when: helo.name == 'a', then: reject}, {name: a, then: junk}]", False),
        ("for: {sender: example.net}, rules: [{name: all, when: dmarc.status == 'ok', then: accept}]", True),
    ],
)
def test_what_is_easier_for_a_sender_whom_anybody_can_write_is_told(tmp_path: Path, override: str, warned: bool) -> None:
    rest = "limits: {junk: 5, quarantine: 10}\nplugins: {dmarc: }\nrules: [{name: usual, then: junk}]\n"
    policy = loaded(tmp_path, f"{rest}overrides: [{{name: o, {override.replace(chr(39), chr(34))}}}]\n".replace('"a"', "'a'"))
    assert [problem.path for problem in policy.warnings] == (["overrides.o.for.sender"] if warned else [])


def test_what_strangers_choose_is_not_all_kept(tmp_path: Path) -> None:
    names = [f"d{number}.example" for number in range(60)]
    overrides = "\n".join(
        f"  - {{name: {name.partition('.')[0]}, for: {{sender: {name}}}, limits: {{junk: 3}}}}" for name in names
    )
    people = [f"  - {{name: p{number}, for: {{recipient: p{number}.example}}, limits: {{junk: 3}}}}" for number in range(30)]
    policy = loaded(tmp_path, "overrides:\n" + overrides + "\n" + "\n".join(people) + "\n")
    for name in names:
        for number in range(30):
            to = RecipientFacts(f"a@p{number}.example", f"p{number}.example", "a")
            assert holding(policy, to, reverse_path=f"a{number}@{name}") == (name.partition(".")[0], f"p{number}")
    assert policy._view_of.cache_info().currsize <= MOST_VIEWS  # type: ignore[attr-defined]
    assert policy.override_scopes._from.cache_info().currsize <= MOST_ORIGINS


WORDS = ("example.org", "example.net", "a@example.org", "b@example.net", "group:staff", "group:board")
NETWORKS = ("192.0.2.0/24", "192.0.2.128/25", "192.0.2.200/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1/128", "::/0")
IPS = ("", "192.0.2.1", "192.0.2.200", "198.51.100.1", "2001:db8::1", "2001:db8:1::", "fd00::1")
"""Where no value is, the key is not there."""
SCOPE = st.fixed_dictionaries(
    {},
    optional={
        "recipient": st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
        "sender": st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
        "identity": st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
        "network": st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=3),
        "listener": st.lists(st.sampled_from(("submission", "other")), min_size=1, max_size=2),
    },
).filter(bool)
PEOPLE = st.sampled_from(("", "a@example.org", "A@Example.org", "b@example.org", "b@example.net", "c@sub.example.org"))
GROUPS = st.lists(st.sampled_from(("staff", "board", "guests")), max_size=2, unique=True).map(tuple)


def is_named(words: list[str], address: str, groups: tuple[str, ...]) -> bool:
    """As the documentation says it, one word after the other."""
    address = address.lower()
    return any(
        word[6:] in groups if word.startswith("group:") else word == address if "@" in word else address.endswith("@" + word)
        for word in words
    )


def is_inside(words: list[str], ip: str) -> bool:
    return bool(ip) and any(ipaddress.ip_address(ip) in ipaddress.ip_network(word) for word in words)


@given(
    scopes=st.lists(SCOPE, max_size=6),
    origin=st.builds(
        Origin, ip=st.sampled_from(IPS), listener=st.sampled_from(("submission", "other", "")), reverse_path=PEOPLE, user=PEOPLE,
        groups=GROUPS,
    ),
    recipient=st.none() | st.tuples(PEOPLE.filter(bool), GROUPS),
)  # fmt: skip
def test_those_hold_that_a_plain_reading_says(
    tmp_path_factory: pytest.TempPathFactory,
    scopes: list[dict[str, list[str]]],
    origin: Origin,
    recipient: tuple[str, tuple[str, ...]] | None,
) -> None:
    overrides = [{"name": f"o{number}", "for": scope, "limits": {"junk": 3}} for number, scope in enumerate(scopes)]
    path = tmp_path_factory.mktemp("policy") / "submission.yaml"
    path.write_text(json.dumps({"version": 1, "overrides": overrides}))
    policy = load_policy(path, PLUGINS, stages=STAGES)
    who = (
        None
        if recipient is None
        else RecipientFacts(recipient[0], recipient[0].rpartition("@")[2].lower(), "x", groups=recipient[1])
    )

    def holds(scope: dict[str, list[str]]) -> bool:
        return all(
            (
                "recipient" not in scope or (recipient is not None and is_named(scope["recipient"], *recipient)),
                "sender" not in scope or is_named(scope["sender"], origin.reverse_path, origin.groups),
                "identity" not in scope or is_named(scope["identity"], origin.user, origin.groups),
                "network" not in scope or is_inside(scope["network"], origin.ip),
                "listener" not in scope or origin.listener in scope["listener"],
            )
        )

    expected = tuple(f"o{number}" for number, scope in enumerate(scopes) if holds(scope))
    assert policy.view(origin, who).overrides == policy.view(origin, who).overrides == expected
    failing = [policy.override_scopes.failing(place, origin, who) for place in range(len(scopes))]
    assert tuple(f"o{number}" for number, keys in enumerate(failing) if not keys) == expected
