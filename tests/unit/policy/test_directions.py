"""What each direction can say: its facts, its verdicts, its keys; what it cannot is a Problem with a hint."""

from pathlib import Path

import pytest

from mailward.api import Plugin, Symbol
from mailward.model.errors import PolicyError
from mailward.model.evidence import FactValue
from mailward.policy import Direction, Policy, load_policy, load_preset
from support.small_plugins import PLUGINS, STAGES, evidence, finding

LOGIN_PLUGINS = {**PLUGINS, "guard": Plugin(1, "guards", symbols={"SPRAYING": Symbol(5.0, "many names")})}


def loaded(folder: Path, direction: str, text: str) -> Policy:
    path = folder / f"{direction}.yaml"
    path.write_text("version: 1\n" + text)
    return load_policy(path, LOGIN_PLUGINS, stages={"guard": "auth"}, shown_as=path.name)


@pytest.mark.parametrize(
    ("direction", "rule", "problem"),
    [
        (
            "inbound",
            "when: identity.user == 'a'",
            "the fact 'identity.user' is not known in inbound\n    It is known in submission.",
        ),
        (
            "inbound",
            "when: login.protocol == 'imap'",
            "the fact 'login.protocol' is not known in inbound\n    It is known in access.",
        ),
        ("access", "when: identity.second_factor", "the fact 'identity.second_factor' is not known in access"),
        ("access", "when: helo.name == 'x'", "It is known in inbound and submission."),
        ("access", "when: peer.rdns == 'x'", "the fact 'peer.rdns' is not known in access"),
        ("access", "when: tls.verified", "the fact 'tls.verified' is not available yet"),
        ("submission", "when: tls.verified", "the fact 'tls.verified' is not available yet"),
    ],
)
def test_a_fact_that_cannot_exist_in_a_direction_is_a_problem_with_a_hint(
    tmp_path: Path, direction: str, rule: str, problem: str
) -> None:
    with pytest.raises(PolicyError) as error:
        loaded(tmp_path, direction, f"rules:\n  - {{name: x, {rule.replace(chr(39), chr(34))}, then: reject}}\n")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("direction", "text", "problem"),
    [
        ("outbound", "rules: [{name: x, then: reject}]", "outbound.yaml:2:1  rules: 'rules' is not available yet in outbound"),
        ("outbound", "limits: {reject: 5}", "'limits' is not available yet in outbound"),
        ("outbound", "overrides: []", "'overrides' is not available yet in outbound"),
        ("outbound", "scores: {SPF_FAIL: 1.0}", "'scores' is not available yet in outbound"),
        ("outbound", "tests: []", "'tests' is not available yet in outbound"),
        ("outbound", "plugins: {spf: {mode: shadow}}", "there is no shadow in outbound\n    Use enforce or off."),
        ("outbound", "plugins: {spf: {on_error: junk}}", "accept or tempfail was expected in outbound, 'junk' was found"),
        ("access", "plugins: {guard: {mode: shadow}}", "there is no shadow in access"),
        ("access", "limits: {junk: 5}", "access.yaml:2:10  limits.junk: there is no verdict junk in access"),
        ("access", "rules: [{name: x, then: quarantine}]", "there is no verdict quarantine in access"),
        ("access", "rules: [{name: x, then: reject, reply: 554 5.7.1 no}]", "a login is answered alike whatever the reason"),
        ("access", "rules: [{name: x, do: [{folder: Lists}]}]", "'folder' changes a message, and in access there is none"),
        ("access", "rules: [{name: x, at: rcpt, then: reject}]", "the stage 'rcpt' is not available yet\n    Stages: auth."),
        ("access", "tests: [{name: x, message: {rcpt: a@b.example}, expect: {verdict: accept}}]", "in access there is no message"),
        ("access", "tests: [{name: x, live: true, expect: {verdict: accept}}]", "only tests with a message can be live"),
        ("outbound", "plugins: {spf: {mode: canary, share: 5%}}", "there is no canary in outbound\n    Use enforce or off."),
        ("access", "rules: [{name: x, then: reject, mode: canary, share: 5%}]", "there is no canary in access: a login has no sender"),
        ("inbound", "plugins: {spf: {mode: canary}}", "inbound.yaml:2:17  plugins.spf.mode: a canary needs its share, or whom it is for\n    Write share: 5%"),
        ("inbound", "plugins: {spf: {share: 5%}}", "inbound.yaml:2:17  plugins.spf.share: only a canary has a share\n    Write mode:"),
        ("inbound", "plugins: {spf: {mode: canary, share: 101%}}", "plugins.spf.share: a share from 0% to 100% such as 5% was expected"),
        ("inbound", "plugins: {spf: {mode: canary, share: 0.5}}", "inbound.yaml:2:31  plugins.spf.share: a share from 0% to 100%"),
        ("inbound", "rules: [{name: x, then: reject, mode: canary}]", "rules[0].mode: a canary needs its share"),
        ("inbound", "rules: [{name: x, then: reject, mode: canary, share: -5%}]", "rules[0].share: a share from 0% to 100%"),
        ("inbound", "rules: [{name: x, then: reject, mode: shadow, share: 5%}]", "rules[0].share: only a canary has a share"),
        ("inbound", "plugins: {spf: {for: {recipient: a.example}}}", "plugins.spf.for: only a canary is for some\n    Write mode: canary."),
        ("inbound", "rules: [{name: x, then: reject, for: {recipient: a.example}}]", "mode: canary, or put a rule under overrides:."),
        ("inbound", "plugins: {spf: {mode: canary, for: {}}}", "inbound.yaml:2:31  plugins.spf.for: it does not say for what\n    Keys: recipient, sender, network, listener."),
        ("inbound", "plugins: {spf: {mode: canary, for: {recipient: []}}}", "inbound.yaml:2:37  plugins.spf.for.recipient: nobody is named"),
        ("inbound", "plugins: {spf: {mode: canary, for: {recipient: 5}}}", "plugins.spf.for.recipient: a list was expected, the number 5"),
        ("inbound", "plugins: {spf: {mode: canary, for: [a.example]}}", "plugins.spf.for: a mapping was expected, a list was found"),
        ("inbound", "plugins: {spf: {mode: canary, for: {recipients: a.example}}}", "there is no key 'recipients' here\n    Did you mean 'recipient'?"),
        (
            "inbound", "plugins: {spf: {mode: canary, for: {recipient: [a.example, '*.a.example']}}}",
            "inbound.yaml:2:60  plugins.spf.for.recipient: '*.a.example' is no domain, address or group:name: the domain is not a host name"
            "\n    Each domain is named for itself",
        ),
        ("inbound", "plugins: {spf: {mode: canary, for: {recipient: a b@c}}}", "inbound.yaml:2:37  plugins.spf.for.recipient: 'a b@c' is no domain"),
        ("inbound", "plugins: {spf: {mode: canary, for: {sender: a.example}}}", "plugins.spf.for.sender: strangers choose their senders"),
        (
            "inbound", "rules: [{name: x, at: mail, then: reject, mode: canary, for: {recipient: a.example}}]",
            "rules[0].at: a canary for recipients counts for them, and at mail there are none\n    Use at: rcpt.",
        ),
        ("inbound", "tests: [{name: x, expect: {verdict: accept}}]", "tests[0].message: the key 'message' is missing"),
        ("access", "tests: [{name: x, given: {peer.ip: 10/8}, expect: {verdict: accept}}]", "given.peer.ip: an IP address was expected, '10/8'"),
    ],
)  # fmt: skip
def test_what_means_nothing_in_a_direction_is_a_problem(tmp_path: Path, direction: str, text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as error:
        loaded(tmp_path, direction, text + "\n")
    assert problem in str(error.value)
    assert len(error.value.problems) == 1


def test_a_test_of_the_policy_meets_a_canary_where_it_counts(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        "inbound",
        """
plugins: {guard: {mode: canary, for: {recipient: finance.example}}}
limits: {junk: 5}
rules: [{name: held, mode: canary, for: {recipient: cfo@finance.example}, when: '"SPRAYING" in symbols', then: quarantine}]
tests:
  - name: for some
    message: {rcpt: [cfo@finance.example, ceo@finance.example, bob@example.org]}
    given: {symbols: [SPRAYING]}
    expect: {cfo@finance.example: quarantine, ceo@finance.example: junk, bob@example.org: accept}
""",
    )
    assert policy.in_shadow == ["plugin guard (canary to finance.example)", "rule held (canary to cfo@finance.example)"]
    assert [result.passed for result in policy.run_tests()] == [True]


def test_in_submission_a_canary_for_senders_may_count_at_mail(tmp_path: Path) -> None:
    rule = "{name: x, at: mail, then: reject, mode: canary, share: 5%, for: {sender: [b.example, group:g, c@a.example]}}"
    policy = loaded(tmp_path, "submission", f"rules: [{rule}]\n")
    assert policy.in_shadow == ["rule x (canary 5% from b.example, c@a.example, group:g)"]


def test_a_login_is_judged_by_floor_rules_and_limits(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        "access",
        """
plugins: {guard: {heed: true}}
limits: {reject: 10}
lists: {bad: {type: network, values: [192.0.2.0/24]}}
rules:
  - {name: strangers, when: peer.ip.listed("bad"), then: reject}
  - {name: pop3-later, when: login.protocol == "pop3" && "SPRAYING" in symbols, then: tempfail}
  - {name: pop3-counts-more, when: login.protocol == "pop3", do: [{score: 6}]}
tests:
  - {name: a stranger is refused, given: {peer.ip: 192.0.2.9}, expect: {verdict: reject, rule: strangers}}
  - {name: one symbol is not enough, given: {symbols: [SPRAYING]}, expect: {verdict: accept, score: 5}}
  - {name: a failed guard stops everybody, given: {guard.status: failed}, expect: {verdict: tempfail}}
""",
    )
    assert [result.passed for result in policy.run_tests()] == [True, True, True]

    def verdict(*calls: object, **facts: str) -> str:
        given = {name.replace("__", "."): value for name, value in facts.items()}
        ruling = policy.judge(given, evidence(calls), None, stage="auth")  # type: ignore[arg-type]
        assert ruling is not None
        return ruling.verdict.value

    assert verdict() == "accept"
    assert verdict(finding("guard", "SPRAYING", asks="reject")) == "reject"
    assert verdict(finding("guard", "SPRAYING"), login__protocol="imap") == "accept"
    assert verdict(finding("guard", "SPRAYING"), login__protocol="pop3") == "tempfail"


def test_identity_is_known_in_submission_from_mail_on(tmp_path: Path) -> None:
    text = 'rules: [{name: x, when: identity.user == "eve@example.org" && !identity.second_factor, at: mail, then: reject}]\n'
    policy = loaded(tmp_path, "submission", text)
    facts: dict[str, FactValue] = {"identity.user": "eve@example.org", "identity.second_factor": False, "identity.groups": ()}
    ruling = policy.judge(facts, evidence(), None, stage="mail")
    assert ruling is not None and ruling.verdict.value == "reject"
    assert policy.judge({**facts, "identity.user": "bob@example.org"}, evidence(), None, stage="mail") is None


@pytest.mark.parametrize("direction", ["inbound", "submission", "outbound", "access"])
def test_a_preset_alone_is_a_policy_whose_tests_pass(direction: Direction) -> None:
    policy = load_preset(direction, PLUGINS, stages=STAGES)
    assert policy.direction == direction
    assert all(result.passed for result in policy.run_tests())
