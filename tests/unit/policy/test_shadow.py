"""What is said of things in shadow is what happens when the policy enforces them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.model.decision import InShadow, RecipientDecision, WithIt
from mailward.model.errors import PolicyError
from mailward.model.evidence import EvidenceSet, HookCall, StoredFinding
from mailward.policy import Policy, RecipientFacts, combine, load_policy
from mailward.policy.ruling import separate
from mailward.policy.shadow import MOST_JUDGED, NOTHING, Compared, compare, compare_refused
from support.small_plugins import PLUGINS, STAGES, evidence, finding

BOB = RecipientFacts("bob@example.org", "example.org", "bob")
CFO = RecipientFacts("cfo@finance.example.org", "finance.example.org", "cfo")
NET = {"author.domain": "example.net", "helo.name": "mail.example.net"}


def loaded(folder: Path, text: str) -> Policy:
    path = folder / "inbound.yaml"
    path.write_text(text)
    return load_policy(path, PLUGINS, stages=STAGES, shown_as="inbound.yaml")


def decided(
    policy: Policy, facts: dict[str, str], found: EvidenceSet, recipients: Sequence[RecipientFacts], *, each: bool = False
) -> tuple[RecipientDecision, ...]:
    """As a server would, which asks at RCPT first."""
    decisions: dict[str, RecipientDecision] = {}
    rulings = []
    for who in recipients:
        early = policy.judge(facts, found, who, stage="rcpt")
        if early is not None:
            decisions[who.address] = early.decision()
            continue
        ruling = policy.judge(facts, found, who, stage="message")
        assert ruling is not None
        rulings.append(ruling)
    if rulings:
        outcome = (separate if each else combine)(rulings)
        decisions |= {decision.recipient: decision for decision in outcome.decisions}
    return tuple(decisions[who.address] for who in recipients)


def looked(name: str, symbol: str | None = None, asks: str | None = None, error: str | None = None) -> HookCall:
    found = () if symbol is None and asks is None else (StoredFinding(name, symbol, "found", asks=asks),)
    return HookCall(name, "1", "inspect_message", "message", 1.0, "shadow", error, found)


def compared(policy: Policy, found: EvidenceSet, *recipients: RecipientFacts, why: str = "") -> Compared:
    plugins = {name: why for name, plugin in policy.plugins.items() if plugin.mode == "shadow"}
    was = decided(policy, NET, found, recipients)
    return compare([policy] * len(recipients), NET, found, recipients, was, plugins, each=False)


def told(changes: Sequence[WithIt]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.name, one.verdict) for one in changes]


POLICY = """
version: 1
plugins:
  spam:
  acme_dlp: {mode: shadow, heed: true, on_error: reject}
scores: {BAYES_SPAM: 5, ACME_DLP_CARDS: 3}
limits: {junk: 5, quarantine: 10, reject: 15}
rules:
  - {name: many-cards, when: acme_dlp.cards > 5, then: reject}
  - {name: lower, mode: shadow, when: score >= 3, then: junk}
  - {name: note, mode: shadow, when: 'author.domain == "example.net"', do: [{add_header: {name: X-Note, value: net}}]}
overrides:
  - name: finance
    for: {recipient: [finance.example.org]}
    rules: [{name: lower, mode: shadow, when: score >= 3, then: quarantine}]
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return loaded(tmp_path_factory.mktemp("policy"), POLICY)


def test_each_thing_by_itself_and_all_of_them(policy: Policy) -> None:
    found = compared(policy, evidence([looked("acme_dlp", "ACME_DLP_CARDS")], acme_dlp__status="shadow"), BOB, CFO)
    assert found.shadow == (
        InShadow("plugin", "acme_dlp", "inbound.yaml:5:13"),
        InShadow("rule", "lower", "inbound.yaml:10:5"),
        InShadow("rule", "note", "inbound.yaml:11:5"),
    )
    bob, cfo = found.recipients
    # 3 points alone reach no limit, nor does the rule without them.
    assert told(bob) == [("plugin", "acme_dlp", "accept"), ("rule", "note", "accept"), ("all", "", "junk")]
    assert told(cfo)[-1] == ("all", "", "quarantine")
    assert (bob[0].score, bob[1].actions) == (3.0, ("note: add_header X-Note",))


def test_rules_on_the_facts_of_a_plugin_in_shadow_see_them(policy: Policy) -> None:
    (changes,) = compared(policy, evidence([looked("acme_dlp", "ACME_DLP_CARDS")], acme_dlp__cards=7), BOB).recipients
    assert changes[0] == WithIt("plugin", "acme_dlp", "reject", 3.0, "rule", "many-cards", "inbound.yaml:9:5")


def test_what_it_asks_is_heeded_if_it_would_be(policy: Policy) -> None:
    (changes,) = compared(policy, evidence([looked("acme_dlp", asks="reject")]), BOB).recipients
    assert (changes[0].verdict, changes[0].source_name) == ("reject", "acme_dlp asks reject")


@pytest.mark.parametrize(
    ("call", "why", "unknown"),
    [
        ([looked("acme_dlp", error="OSError: gone")], "", "inspect_message failed: OSError: gone"),
        ([], "left out: it was behind", "left out: it was behind"),
    ],
)
def test_what_failed_or_was_left_out_is_unknown_and_so_is_all_together(
    policy: Policy, call: list[HookCall], why: str, unknown: str
) -> None:
    found = compared(policy, evidence(call), BOB, why=why)
    assert [thing.unknown for thing in found.shadow] == [unknown, "", ""]
    assert told(found.recipients[0]) == [("rule", "note", "accept")]


def test_a_message_for_very_many_is_not_judged_again_for_each_of_them(policy: Policy) -> None:
    found = evidence([looked("acme_dlp", "ACME_DLP_CARDS")], acme_dlp__status="shadow")
    many = [replace(BOB, address=f"b{number}@example.org", local_part=f"b{number}") for number in range(MOST_JUDGED)]
    known, unknown = compared(policy, found, *many[:100]), compared(policy, found, *many)
    assert not any(thing.unknown for thing in known.shadow) and any(known.recipients)
    assert {thing.unknown for thing in unknown.shadow} == {"not compared: too many recipients for all that is in shadow"}
    assert not any(unknown.recipients)


def test_where_nothing_is_in_shadow_there_is_nothing_to_say(tmp_path: Path) -> None:
    plain = loaded(tmp_path, POLICY.replace("mode: shadow, ", ""))
    assert compared(plain, evidence([finding("spam", "BAYES_SPAM")]), BOB, CFO) is NOTHING


def test_what_the_server_itself_decided_says_nothing_of_the_policy(policy: Policy) -> None:
    late = RecipientDecision(BOB.address, "tempfail", 0.0, "core", "the message stage took longer than 120 s", "")
    found = compare([policy], NET, evidence(), [BOB], [late], {"acme_dlp": ""}, each=False)
    assert all(thing.unknown for thing in found.shadow)
    assert found.recipients == ((),)


REFUSING = """
version: 1
plugins: {spf: {mode: shadow}, encryption: {mode: shadow}}
rules:
  - {name: friends, mode: shadow, when: 'helo.name == "mail.example.net"', then: accept}
  - {name: harsher, mode: shadow, when: 'helo.name == "other.example.net"', then: reject}
  - {name: by-spf, when: 'spf.result == "fail"', then: reject}
  - {name: not-him, when: 'recipient.local_part == "bob"', then: tempfail}
  - {name: below, mode: shadow, when: 'recipient.local_part == "bob" && !encryption.satisfied', then: reject}
"""


@pytest.mark.parametrize(
    ("helo", "friends_known", "changes"),
    [("mail.example.net", False, []), ("other.example.net", True, [("rule", "harsher", "reject")])],
)
def test_a_refusal_at_rcpt(tmp_path: Path, helo: str, friends_known: bool, changes: list[tuple[str, str, str]]) -> None:
    policy = loaded(tmp_path, REFUSING)
    facts = {"helo.name": helo}
    ruling = policy.judge(facts, evidence(), BOB, stage="rcpt")
    assert ruling is not None
    unseen = dict.fromkeys(("spf", "encryption"), "refused before it had looked")
    found = compare_refused(policy, facts, evidence(), BOB, ruling.decision(), unseen)
    known = [(thing.name, not thing.unknown) for thing in found.shadow]
    assert known == [("spf", False), ("friends", friends_known), ("harsher", True)]
    assert told(found.recipients[0]) == changes


def test_a_refusal_that_would_wait_for_the_message_is_not_known(tmp_path: Path) -> None:
    text = "version: 1\nplugins: {}\nrules:\n  - {name: later, mode: shadow, when: score > 3, then: accept}\n"
    policy = loaded(tmp_path, f"{text}  - {{name: not-him, when: 'recipient.local_part == \"bob\"', then: reject}}\n")
    ruling = policy.judge({}, evidence(), BOB, stage="rcpt")
    assert ruling is not None
    (thing,) = compare_refused(policy, {}, evidence(), BOB, ruling.decision(), {}).shadow
    assert "not have been refused before its message" in thing.unknown


def test_one_recipient_who_would_be_refused_at_rcpt_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    text = "version: 1\nplugins: {}\nrules: [{name: no, mode: shadow, when: 'recipient.local_part == \"bob\"', then: reject}]\n"
    bob, cfo = compared(loaded(tmp_path, text), evidence(), BOB, CFO).recipients
    assert (told(bob), told(cfo)) == ([("rule", "no", "reject")], [])


VERDICTS = ["accept", "junk", "quarantine", "tempfail", "reject"]
MODES = ["enforce", "shadow"]
MIXED = """
version: 1
plugins: {{spam: {{mode: {spam}, heed: true}}, acme_dlp: {{mode: {dlp}, heed: true}}}}
scores: {{BAYES_SPAM: 6, ACME_DLP_CARDS: 6}}
limits: {{junk: 5, quarantine: 10, reject: 15}}
rules:
  - {{name: one, mode: {one}, when: 'helo.name == "one" || helo.name == "both"', then: {first}}}
  - {{name: cards, mode: {cards}, when: 'acme_dlp.cards > 1 && recipient.local_part == "bob"', then: {second}}}
  - {{name: dear, mode: {dear}, when: spam.probability > 0.5, do: [{{score: 4}}, {{flag: $Dear}}]}}
  - {{name: last, mode: enforce, when: 'recipient.local_part == "cfo" && helo.name != "both"', then: {third}}}
"""
MODE, VERDICT = st.sampled_from(MODES), st.sampled_from(VERDICTS)


@settings(max_examples=60, deadline=None)
@given(
    modes=st.tuples(MODE, MODE, MODE, MODE, MODE),
    then=st.tuples(VERDICT, VERDICT, VERDICT),
    helo=st.sampled_from(["", "one", "both"]),
    cards=st.integers(0, 2),
    asks=st.sampled_from([None, *VERDICTS]),
    probability=st.sampled_from([0.1, 0.9]),
    each=st.booleans(),
)
def test_it_is_what_happens_when_the_policy_enforces_it(
    tmp_path_factory: pytest.TempPathFactory,
    modes: tuple[str, ...],
    then: tuple[str, ...],
    helo: str,
    cards: int,
    asks: str | None,
    probability: float,
    each: bool,
) -> None:
    names = ("spam", "dlp", "one", "cards", "dear")
    kinds = dict.fromkeys(("spam", "dlp"), "plugin")

    def policy(chosen: dict[str, str]) -> Policy:
        text = MIXED.format(**chosen, **dict(zip(("first", "second", "third"), then, strict=True)))
        return loaded(tmp_path_factory.mktemp("mixed"), text)

    def found(chosen: dict[str, str]) -> EvidenceSet:
        status = {name: "ok" if chosen[key] == "enforce" else "shadow" for name, key in (("spam", "spam"), ("acme_dlp", "dlp"))}
        calls = [
            HookCall("spam", "1", "inspect_message", "message", 1.0, status["spam"], None, (StoredFinding("spam", None, "", asks=asks),)),
            HookCall(
                "acme_dlp", "1", "inspect_message", "message", 1.0, status["acme_dlp"], None,
                (StoredFinding("acme_dlp", "ACME_DLP_CARDS", ""),) if cards else (),
            ),
        ]  # fmt: skip
        return evidence(
            calls, acme_dlp__cards=cards, spam__probability=probability,
            spam__status=status["spam"], acme_dlp__status=status["acme_dlp"],
        )  # fmt: skip

    facts = {"helo.name": helo}
    given_modes = dict(zip(names, modes, strict=True))
    with_shadow = policy(given_modes)
    was = decided(with_shadow, facts, found(given_modes), [BOB, CFO], each=each)
    taken = [who for who in (BOB, CFO) if with_shadow.judge(facts, found(given_modes), who, stage="rcpt") is None]
    kept = tuple(decision for decision in was if decision.recipient in {who.address for who in taken})
    if not taken:
        return
    plugins = {name: "" for name, key in (("spam", "spam"), ("acme_dlp", "dlp")) if given_modes[key] == "shadow"}
    answer = compare([with_shadow] * len(taken), facts, found(given_modes), taken, kept, plugins, each=each)

    shadowed = [key for key in names if given_modes[key] == "shadow"]
    expected = [(kinds.get(key, "rule"), {"dlp": "acme_dlp"}.get(key, key), [key]) for key in shadowed]
    assert {(thing.kind, thing.name) for thing in answer.shadow} == {(kind, name) for kind, name, _ in expected}
    if len(shadowed) > 1:
        expected.append(("all", "", shadowed))
    for kind, name, chosen in expected:
        other = {**given_modes, **dict.fromkeys(chosen, "enforce")}
        then_decided = decided(policy(other), facts, found(other), taken, each=each)
        for index, (before, after) in enumerate(zip(kept, then_decided, strict=True)):
            said = [one for one in answer.recipients[index] if (one.kind, one.name) == (kind, name)]
            wanted = WithIt.of(kind, name, after)
            assert said == ([] if wanted == WithIt.of(kind, name, before) else [wanted])


TESTED = """
version: 1
plugins: {acme_dlp: {mode: shadow}}
rules: [{name: many-cards, when: acme_dlp.cards > 5, then: reject}]
tests:
  - name: many cards are refused
    message: {mail_from: a@example.net, rcpt: bob@example.org}
    given: {acme_dlp.cards: 7}
    expect: {verdict: VERDICT}
"""


@pytest.mark.parametrize(("verdict", "is_told"), [("reject", True), ("junk", False)])
def test_a_test_of_the_policy_that_fails_because_of_shadow_says_so(tmp_path: Path, verdict: str, is_told: bool) -> None:
    with pytest.raises(PolicyError) as raised:
        loaded(tmp_path, TESTED.replace("VERDICT", verdict))
    assert ("it would pass if what is in shadow counted: plugin acme_dlp" in str(raised.value)) is is_told


@pytest.mark.parametrize("mode", ["shadow", "enforce", "canary, share: 0%"])
def test_a_test_of_what_is_being_tried_is_judged_as_if_it_counted(tmp_path: Path, mode: str) -> None:
    tried = TESTED.replace("mode: shadow", f"mode: {mode}").replace("    expect:", "    shadow: true\n    expect:")
    loaded(tmp_path, tried.replace("VERDICT", "reject"))
    with pytest.raises(PolicyError, match="expected junk, got reject"):
        loaded(tmp_path, tried.replace("VERDICT", "junk"))
