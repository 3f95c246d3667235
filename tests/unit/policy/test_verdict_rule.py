"""How one verdict comes about (design section 4): a table of cases, and a property against a ten-line reference."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.model.edits import AddHeader
from mailward.model.evidence import EvidenceSet, FactValue, HookCall
from mailward.model.verdict import Verdict
from mailward.policy import Policy, RecipientFacts, Ruling, load_policy
from support.small_plugins import PLUGINS, STAGES, evidence, failed, finding

BOB = RecipientFacts("bob@example.org", "example.org", "bob")
CFO = RecipientFacts("cfo@finance.example.org", "finance.example.org", "cfo")

POLICY = """
version: 1
plugins:
  antivirus: {heed: true, on_error: tempfail}
  spf: {on_error: accept}
  dmarc: {on_error: quarantine}
  spam: {on_error: junk}
  acme_dlp: {mode: shadow, heed: true, on_error: reject}
scores: {BAYES_SPAM: 5}
limits: {junk: 5, quarantine: 10, reject: 15}
lists:
  partners: {type: domain, values: [partner.example]}
rules:
  - {name: trusted-by-all-means, when: 'author.domain == "lab.example"', then: accept, override: [antivirus]}
  - {name: infected, when: antivirus.infected, then: reject, reply: "554 5.7.1 This message carries {antivirus.name}"}
  - {name: partners, when: 'author.domain.listed("partners")', then: accept}
  - {name: later, when: 'author.domain == "slow.example"', then: tempfail}
  - {name: vanish, when: 'author.domain == "vanish.example"', then: discard}
  - {name: boom, when: 'author.domain.size() / message.size_octets > 0', then: junk}
  - {name: try-lower-limit, mode: shadow, when: score >= 4, then: junk}
  - {name: dear, when: 'author.domain == "dear.example"', do: [{score: 5.5}, {flag: $Dear}]}
overrides:
  - name: finance
    for: {recipient: [finance.example.org, "group:finance"]}
    limits: {junk: 3, quarantine: 6, reject: 10}
    rules: [{name: finance-must-be-authentic, when: 'dmarc.result != "pass"', then: quarantine}]
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return loaded(tmp_path_factory.mktemp("policy"), POLICY)


def loaded(folder: Path, text: str) -> Policy:
    path = folder / "inbound.yaml"
    path.write_text(text)
    return load_policy(path, PLUGINS, stages=STAGES, shown_as="inbound.yaml")


def judged(
    policy: Policy, found: EvidenceSet, author: str = "example.net", recipient: RecipientFacts = BOB, size: int = 100
) -> Ruling:
    facts: dict[str, FactValue] = {"author.domain": author, "message.size_octets": size}
    ruling = policy.judge(facts, found, recipient, stage="message")
    assert ruling is not None
    return ruling


AV_ASKS = finding("antivirus", "VIRUS_FOUND", asks="reject")
SPAM = finding("spam", "BAYES_SPAM")

CASES: list[tuple[str, list[HookCall], str, str, str, str]] = [
    ("nothing-found", [], "example.net", "accept", "default", ""),
    ("limit", [SPAM], "example.net", "junk", "limit", "limits.junk 5"),
    ("limit-is-inclusive", [SPAM, SPAM], "example.net", "quarantine", "limit", "limits.quarantine 10"),
    ("strength-multiplies", [finding("spam", "BAYES_SPAM", 0.9)], "example.net", "accept", "default", ""),
    ("strength-is-capped", [finding("spam", "BAYES_SPAM", 3.0)], "example.net", "junk", "limit", "limits.junk 5"),
    ("strongest-limit", [SPAM, SPAM, SPAM], "example.net", "reject", "limit", "limits.reject 15"),
    ("rule-before-limits", [SPAM, SPAM, SPAM], "partner.example", "accept", "rule", "partners"),
    ("T-PLUG-05-allow-list-skips-no-virus-check", [AV_ASKS], "partner.example", "reject", "floor", "antivirus asks reject"),
    ("T-PLUG-05-override-goes-below-the-floor", [AV_ASKS], "lab.example", "accept", "rule", "trusted-by-all-means"),
    ("override-is-for-named-plugins-only", [failed("dmarc")], "lab.example", "quarantine", "floor", "dmarc failed"),
    ("failure-counts-as-on-error", [failed("antivirus")], "example.net", "tempfail", "floor", "antivirus failed"),
    ("failure-beats-an-accepting-rule", [failed("antivirus")], "partner.example", "tempfail", "floor", "antivirus failed"),
    ("strongest-failure", [failed("spam"), failed("dmarc")], "example.net", "quarantine", "floor", "dmarc failed"),
    ("on-error-accept-is-no-floor", [failed("spf")], "example.net", "accept", "default", ""),
    ("limit-above-floor", [failed("spam"), SPAM, SPAM], "example.net", "quarantine", "limit", "limits.quarantine 10"),
    ("asking-without-heed", [finding("spam", asks="reject")], "example.net", "accept", "default", ""),
    ("shadow-failure", [failed("acme_dlp")], "example.net", "accept", "default", ""),
    ("shadow-asks", [finding("acme_dlp", "ACME_DLP_CARDS", asks="reject")], "example.net", "accept", "default", ""),
    (
        "shadow-points",
        [finding("acme_dlp", "ACME_DLP_CARDS"), SPAM, SPAM],
        "example.net",
        "quarantine",
        "limit",
        "limits.quarantine 10",
    ),
    ("rule-tempfail", [], "slow.example", "tempfail", "rule", "later"),
    ("floor-over-discard", [failed("spam")], "vanish.example", "junk", "floor", "spam failed"),
    ("discard", [], "vanish.example", "discard", "rule", "vanish"),
    ("do-score", [], "dear.example", "junk", "limit", "limits.junk 5"),
    ("plugin-the-policy-does-not-name", [finding("dkim", "DKIM_PASS")], "example.net", "accept", "default", ""),
]


@pytest.mark.parametrize(
    ("calls", "author", "verdict", "kind", "name"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_verdict(policy: Policy, calls: list[HookCall], author: str, verdict: str, kind: str, name: str) -> None:
    ruling = judged(policy, evidence(calls), author)
    assert (ruling.verdict.value, ruling.source.kind, ruling.source.name) == (verdict, kind, name)


GROUNDED = """
version: 1
plugins:
  antivirus: {on_error: quarantine}
  ambiguity: {heed: true}
  dmarc: {on_error: accept}
  spam:
scores: {BAYES_SPAM: 20}
limits: {junk: 5, quarantine: 10, reject: 15}
rules:
  - {name: expected, when: 'author.domain == "lab.example"', then: quarantine, override: [ambiguity]}
  - {name: odd-friends, when: 'author.domain == "friend.example"', then: quarantine}
  - {name: friends, when: 'author.domain == "friend.example"', then: accept}
  - {name: dmarc-policy, when: 'dmarc.result == "fail"', then: quarantine}
  - {name: vanish, when: 'author.domain == "vanish.example"', then: discard}
"""
DMARC_FAIL: dict[str, FactValue] = {"dmarc__result": "fail"}
ASKS = finding("ambiguity", asks="quarantine")
GROUNDS: dict[str, tuple[list[HookCall], dict[str, FactValue], str, tuple[str, ...]]] = {
    "nothing": ([], {}, "", ()),
    "junk": ([finding("spam", "BAYES_SPAM", 0.3)], {}, "", ()),
    "the rule alone": ([], DMARC_FAIL, "", ("rule:dmarc-policy",)),
    "a plugin's objection alone": ([ASKS], {}, "", ("plugin:ambiguity",)),
    "a failure alone": ([failed("antivirus")], {}, "", ("failed:antivirus",)),
    "a failure that is accepted": ([failed("dmarc")], DMARC_FAIL, "", ("rule:dmarc-policy",)),
    "the score alone": ([finding("spam", "BAYES_SPAM", 0.5)], {}, "", ("limits",)),
    "a refused score": ([finding("spam", "BAYES_SPAM")], {}, "", ("limits", "limits.reject")),
    "the rule before an objection": ([ASKS], DMARC_FAIL, "", ("rule:dmarc-policy", "plugin:ambiguity")),
    "the rule before a failure": ([failed("antivirus")], DMARC_FAIL, "", ("rule:dmarc-policy", "failed:antivirus")),
    "the rule before the score": ([finding("spam", "BAYES_SPAM", 0.5)], DMARC_FAIL, "", ("rule:dmarc-policy", "limits")),
    "the rule before a refused score": (
        [finding("spam", "BAYES_SPAM")], DMARC_FAIL, "", ("rule:dmarc-policy", "limits", "limits.reject"),
    ),
    "the score before an objection": ([ASKS, finding("spam", "BAYES_SPAM", 0.5)], {}, "", ("limits", "plugin:ambiguity")),
    "an objection that the rule overrides": ([ASKS], {}, "lab.example", ("rule:expected",)),
    "a rule before another": ([], DMARC_FAIL, "lab.example", ("rule:expected", "rule:dmarc-policy")),
    "a rule before another that accepts": ([], DMARC_FAIL, "friend.example", ("rule:odd-friends",)),
    "a discard": ([], {}, "vanish.example", ("rule:vanish",)),
    "a discard that a plugin keeps": ([ASKS], {}, "vanish.example", ("plugin:ambiguity",)),
}  # fmt: skip


@pytest.mark.parametrize("case", GROUNDS)
def test_t_web_19_all_that_would_have_kept_a_message_is_said_and_what_decided_comes_first(tmp_path: Path, case: str) -> None:
    calls, facts, author, grounds = GROUNDS[case]
    ruling = judged(loaded(tmp_path, GROUNDED), evidence(calls, **facts), author or "example.net")
    assert ruling.grounds == grounds
    assert ruling.decision().grounds == grounds


def test_a_rule_and_its_floor_agree_and_the_rule_speaks(policy: Policy) -> None:
    ruling = judged(policy, evidence([AV_ASKS], antivirus__infected=True, antivirus__name="Eicar"))
    assert ruling.source.name == "infected"
    assert ruling.heeded
    assert str(ruling.reply) == "554 5.7.1 This message carries Eicar"
    assert ruling.source.where == "inbound.yaml:15:5"


def test_t_plug_07_facts_in_a_reply_are_printable_ascii_and_bounded(policy: Policy) -> None:
    name = "Evil\r\n250 ok\x00{antivirus.infected}é" + "x" * 1_000_000
    ruling = judged(policy, evidence([], antivirus__infected=True, antivirus__name=name))
    assert ruling.reply is not None
    octets = ruling.reply.to_octets()
    assert len(octets) <= 220
    assert octets.startswith(b"554 5.7.1 This message carries Evil??250 ok?{antivirus.infected}?xxx")
    assert octets.count(b"\r\n") == 1


def test_a_condition_that_fails_is_tempfail_with_an_alarm(policy: Policy) -> None:
    ruling = judged(policy, evidence(), size=0)
    assert ruling.verdict is Verdict.TEMPFAIL
    assert ruling.source.name == "boom"
    assert ruling.alarms == ("boom (inbound.yaml:19:5): division by zero in CEL expression",)


def test_a_failing_condition_below_the_rule_that_matched_changes_nothing(policy: Policy) -> None:
    assert judged(policy, evidence(), "partner.example", size=0).verdict is Verdict.ACCEPT


def test_a_rule_in_shadow_changes_nothing(policy: Policy) -> None:
    assert judged(policy, evidence([finding("spam", "BAYES_SPAM", 0.8)])).verdict is Verdict.ACCEPT


def test_a_plugin_in_shadow_changes_nothing(policy: Policy) -> None:
    ruling = judged(
        policy, evidence([finding("spam", "BAYES_SPAM", 0.6), finding("acme_dlp", "ACME_DLP_CARDS")], acme_dlp__cards=7)
    )
    assert (ruling.verdict, ruling.score) == (Verdict.ACCEPT, 3.0)


def test_override_has_its_own_limits_and_rules(policy: Policy) -> None:
    weak = evidence([finding("spam", "BAYES_SPAM", 0.7)], dmarc__result="pass")
    assert judged(policy, weak).verdict is Verdict.ACCEPT
    assert judged(policy, weak, recipient=CFO).source.name == "limits.junk 3"
    assert judged(policy, evidence(), recipient=CFO).source.name == "finance-must-be-authentic"
    grouped = RecipientFacts("eve@example.org", "example.org", "eve", groups=("finance",))
    assert judged(policy, evidence(), recipient=grouped).verdict is Verdict.QUARANTINE


def test_actions_are_collected_and_scores_of_rules_count(policy: Policy) -> None:
    ruling = judged(policy, evidence(), "dear.example")
    assert (ruling.score, ruling.flags) == (5.5, ("$Dear",))
    assert ruling.actions == ("dear: score +5.5", "dear: flag $Dear")


def test_a_text_tells_the_score_that_conditions_read(tmp_path: Path) -> None:
    rules = (
        '{name: dear, do: [{score: 5.5}]}, {name: note, when: score > 5.0, do: [{add_header: {name: X-Note, value: "{score}"}}]}'
    )
    ruling = judged(loaded(tmp_path, f"version: 1\nplugins: {{spam: }}\nrules: [{rules}]\n"), evidence())
    assert ruling.edits == (AddHeader("X-Note", "5.5"),)


def test_points_are_filled_in_for_the_record(policy: Policy) -> None:
    found = policy.weigh(evidence([finding("spam", "BAYES_SPAM", 0.5)]))
    assert found.calls[0].findings[0].points == 2.5


def test_hostile_text_never_breaks_a_condition(policy: Policy) -> None:
    ruling = judged(policy, evidence(), "\ud800\x00" + "a" * 1_900, size=1_000_000)
    assert ruling.verdict is Verdict.ACCEPT


VERDICTS = ["accept", "junk", "quarantine", "tempfail", "reject"]
RULES = """
rules:
  - {{name: one, when: 'helo.name == "one" || helo.name == "both"', then: {one}, {override}}}
  - {{name: two, when: 'helo.name == "two" || helo.name == "both"', then: {two}}}
"""


def reference(asks: str, on_error: str, has_failed: bool, points: float, helo: str, one: str, two: str, overrides: bool) -> str:
    """The rule of the design in ten lines. antivirus is heeded, dmarc fails."""
    by_rule = one if helo in ("one", "both") else two if helo == "two" else None
    floor = ["accept"]
    if not (overrides and helo in ("one", "both")):
        floor.append(asks)
    if has_failed:
        floor.append(on_error)
    by_score = next((word for word, limit in (("reject", 15), ("quarantine", 10), ("junk", 5)) if points >= limit), "accept")
    return max([*floor, by_rule or by_score], key=VERDICTS.index)


@settings(max_examples=150, deadline=None)
@given(
    asks=st.sampled_from(VERDICTS),
    on_error=st.sampled_from(VERDICTS),
    has_failed=st.booleans(),
    points=st.integers(0, 20),
    helo=st.sampled_from(["", "one", "two", "both"]),
    one=st.sampled_from(VERDICTS),
    two=st.sampled_from(VERDICTS),
    overrides=st.booleans(),
)
def test_verdict_agrees_with_the_reference(
    tmp_path_factory: pytest.TempPathFactory,
    asks: str,
    on_error: str,
    has_failed: bool,
    points: int,
    helo: str,
    one: str,
    two: str,
    overrides: bool,
) -> None:
    text = (
        f"version: 1\nplugins: {{antivirus: {{heed: true}}, spam: , dmarc: {{on_error: {on_error}}}}}\n"
        "scores: {BAYES_SPAM: 20}\nlimits: {junk: 5, quarantine: 10, reject: 15}"
        + RULES.format(one=one, two=two, override="override: [antivirus]" if overrides else "mode: enforce")
    )
    policy = loaded(tmp_path_factory.mktemp("property"), text)
    calls = [finding("spam", "BAYES_SPAM", points / 20), finding("antivirus", asks=None if asks == "accept" else asks)]
    calls += [failed("dmarc")] if has_failed else []
    ruling = policy.judge({"helo.name": helo}, evidence(calls), BOB, stage="message")
    assert ruling is not None
    assert ruling.verdict.value == reference(asks, on_error, has_failed, points, helo, one, two, overrides)


@pytest.mark.parametrize(
    ("rule", "fact", "value"),
    [
        ("'exe' in message.attachment_types", "message.attachment_types", (*(f"a{n:04}" for n in range(1000)), "exe")),
        ("message.attachment_types.exists(one, one.endsWith('exe'))", "message.attachment_types", ("x" * 2000 + "exe",)),
        ("message.subject.contains('invoice')", "message.subject", "x" * 2000 + "invoice"),
        ("message.subject.contains('invoice') && !mail_from.is_null", "message.subject", "x" * 2000 + "invoice"),
    ],
)
def test_t_mime_24_t_mime_21_what_was_cut_off_is_not_taken_for_what_is_not_there(
    tmp_path: Path, rule: str, fact: str, value: FactValue
) -> None:
    policy = loaded(tmp_path, f'version: 1\nrules: [{{name: bad, when: "{rule}", then: reject}}]\n')
    ruling = policy.judge({fact: value}, EvidenceSet(()), BOB, stage="message")
    assert ruling is not None and ruling.verdict is Verdict.TEMPFAIL
    assert ruling.alarms == (f"bad (inbound.yaml:2:9): {fact} is longer than conditions read: 2000 characters, 1000 items",)


def test_a_cut_fact_does_not_matter_where_another_need_is_not_so(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "version: 1\nrules: [{name: a, when: mail_from.is_null && message.subject != 'a', then: reject}]\n")
    ruling = policy.judge({"mail_from.is_null": False, "message.subject": "x" * 3000}, EvidenceSet(()), BOB, stage="message")
    assert ruling is not None and ruling.verdict is Verdict.ACCEPT and ruling.alarms == ()
