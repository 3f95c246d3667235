"""Loading: the policy of the design, presets, merging, settings, scalars, the schema file."""

import json
from datetime import timedelta
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest

from mailward.formats.yaml_nodes import parse, scalar
from mailward.model.errors import PolicyError
from mailward.model.verdict import Verdict
from mailward.policy import Policy, RecipientFacts, eicar, live_message, load_policy, plugins_named
from mailward.policy.schema import json_schema
from mailward.policy.scope import Origin
from support.small_plugins import PLUGINS, STAGES, AntivirusSettings, Depth, EncryptionSettings, evidence, finding

REPOSITORY = Path(__file__).parents[3]
DESIGN = Path(__file__).parent / "design_policy.yaml"
BOB = RecipientFacts("bob@example.org", "example.org", "bob")


def loaded(folder: Path, text: str) -> Policy:
    path = folder / "inbound.yaml"
    path.write_text("version: 1\n" + text)
    return load_policy(path, PLUGINS, stages=STAGES, shown_as="inbound.yaml")


@pytest.fixture
def design(tmp_path: Path) -> Policy:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "partners.txt").write_text("# who proves it\npartner.example\n.branch.example  # and all below\n")
    path = tmp_path / "inbound.yaml"
    path.write_text(DESIGN.read_text())
    return load_policy(path, PLUGINS, stages=STAGES, shown_as="policies/inbound.yaml")


def test_the_policy_of_the_design_loads_and_its_tests_pass(design: Policy) -> None:
    assert [result.passed for result in design.run_tests()] == [True]
    assert [test.name for test in design.tests if test.live] == ["EICAR is refused"]
    assert design.plugins["antivirus"].settings == AntivirusSettings(socket="/run/clamav/clamd.ctl")
    assert (design.plugins["antivirus"].timeout_s, design.plugins["antivirus"].heed) == (30.0, True)
    assert (design.plugins["acme_dlp"].mode, design.plugins["spf"].mode) == ("shadow", "enforce")


@pytest.mark.parametrize(
    ("author", "dmarc", "verdict"),
    [
        ("partner.example", "pass", "accept"),
        ("partner.example", "fail", "junk"),
        ("a.branch.example", "pass", "accept"),
        ("branch.example", "pass", "junk"),
        ("sub.partner.example", "pass", "junk"),
    ],
)
def test_partners_who_prove_it_skip_the_score(design: Policy, author: str, dmarc: str, verdict: str) -> None:
    ruling = design.judge(
        {"author.domain": author}, evidence([finding("spam", "BAYES_SPAM")], dmarc__result=dmarc), BOB, stage="message"
    )
    assert ruling is not None
    assert ruling.verdict.value == verdict


def test_a_test_that_sends_eicar_carries_it_as_an_attachment(design: Policy) -> None:
    test = next(test for test in design.tests if test.live)
    assert test.message is not None
    envelope, octets = live_message(test.message)
    assert (str(envelope.reverse_path), [str(path) for path in envelope.forward_paths]) == ("a@example.net", ["bob@example.org"])
    message = message_from_bytes(octets, policy=SMTP)
    attachment = next(message.iter_attachments())
    assert attachment.get_content() == eicar()
    assert len(eicar()) == 68  # as https://www.eicar.org/download-anti-malware-testfile/ defines it
    assert octets.count(b"\n") == octets.count(b"\r\n")


def test_no_file_of_ours_is_the_eicar_file() -> None:
    for path in (REPOSITORY / "core/mailward/policy").glob("*.py"):
        assert eicar() not in path.read_bytes()


@pytest.mark.parametrize("name", ["inbound", "submission"])
def test_presets_load_and_their_tests_pass(name: str) -> None:
    policy = load_policy(REPOSITORY / "policies" / f"{name}.yaml", PLUGINS, stages=STAGES)
    assert policy.direction == name
    assert policy.run_tests()
    assert policy.warnings == ()


def test_a_policy_of_one_line_is_the_preset(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "extends: mailward/inbound\n")
    assert [rule.name for rule in policy.view(Origin(), BOB).rules] == ["must-be-encrypted", "infected", "dmarc-policy"]
    assert policy.view(Origin(), BOB).rules[0].where.startswith("mailward/inbound.yaml:")
    assert [limit.name for limit in policy.view(Origin(), BOB).limits] == [
        "limits.reject 15",
        "limits.quarantine 10",
        "limits.junk 5",
    ]


def test_plugins_scores_and_limits_are_merged_by_key_and_rules_by_name(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        "extends: mailward/inbound\nplugins: {antivirus: {timeout: 60s}, spam: {mode: off}, acme_dlp: }\n"
        "scores: {SPF_FAIL: 7}\nlimits: {junk: 6, reject: off}\n"
        "rules:\n  - {name: mine, when: acme_dlp.cards > 3, then: junk}\n  - {name: dmarc-policy, mode: off}\n"
        "overrides:\n  - name: lab\n    for: {recipient: bob@example.org}\n    limits: {junk: off}\n"
        "    rules: [{name: infected, mode: off}, {name: mine, then: accept}]\n",
    )
    assert (policy.plugins["antivirus"].timeout_s, policy.plugins["antivirus"].heed) == (60.0, True)
    assert policy.weights["SPF_FAIL"] == 7.0
    other = RecipientFacts("eve@example.org", "example.org", "eve")
    assert [rule.name for rule in policy.view(Origin(), other).rules] == ["mine", "must-be-encrypted", "infected"]
    assert [rule.name for rule in policy.view(Origin(), BOB).rules] == ["mine", "must-be-encrypted"]
    assert policy.view(Origin(), BOB).rules[0].then is Verdict.ACCEPT
    assert [limit.name for limit in policy.view(Origin(), BOB).limits] == ["limits.quarantine 10"]
    found = evidence([finding("spf", "SPF_FAIL")])
    assert (ruling := policy.judge({}, found, other, stage="message")) is not None
    assert ruling.source.name == "limits.junk 6"


def test_plugins_that_are_off_or_missing_and_optional_leave_their_rules_out(tmp_path: Path) -> None:
    path = tmp_path / "inbound.yaml"
    path.write_text(
        "version: 1\nextends: mailward/inbound\nplugins: {client: {mode: off}, spam: {mode: off}, tlsrpt: {mode: off}, dkim: {optional: true}, dmarc: {optional: true}}\n"
        "scores: {BAYES_SPAM: 3}\n"
    )
    present = {name: PLUGINS[name] for name in ("ambiguity", "antivirus", "encryption", "spf")}
    assert plugins_named(path) == ("encryption", "antivirus", "ambiguity", "spf", "dkim", "dmarc")
    policy = load_policy(path, present, stages=STAGES)
    assert [rule.name for rule in policy.view(Origin(), BOB).rules] == ["must-be-encrypted", "infected"]
    assert [problem.path for problem in policy.warnings] == ["plugins.dkim", "plugins.dmarc", "scores.BAYES_SPAM", "rules[2]"]


def test_facts_of_a_plugin_in_shadow_or_off_keep_their_defaults(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        "plugins: {acme_dlp: {mode: shadow}, antivirus: {mode: off}}\nrules:\n"
        "  - {name: cards, when: acme_dlp.cards > 0 || antivirus.infected, then: reject}\n"
        '  - {name: status, when: \'acme_dlp.status == "shadow" && antivirus.status == "off"\', then: junk}\n',
    )
    found = evidence([], acme_dlp__cards=3, acme_dlp__status="ok", antivirus__infected=True)
    assert (ruling := policy.judge({}, found, BOB, stage="message")) is not None
    assert ruling.source.name == "status"


def test_settings_have_the_types_the_plugin_declares(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        "plugins:\n  antivirus: {idle: 1.5m, depth: deep, form: parts, skip: [exe, com], ratio: 2, enabled: false,"
        " max_octets: 0x10}\n",
    )
    assert policy.plugins["antivirus"].settings == AntivirusSettings(
        idle=timedelta(seconds=90), depth=Depth.DEEP, form="parts", skip=("exe", "com"), ratio=2, enabled=False, max_octets=16
    )


def test_a_setting_may_be_a_mapping_whose_values_have_types(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "plugins: {encryption: {domains: {a.example: required, .b: opportunistic}, ports: {smtp: 25}}}\n")
    settings = policy.plugins["encryption"].settings
    assert settings == EncryptionSettings(domains={"a.example": "required", ".b": "opportunistic"}, ports={"smtp": 25})
    with pytest.raises(PolicyError) as error:
        loaded(tmp_path, "plugins:\n  encryption:\n    domains: {a.example: requird}\n    ports: {smtp: '25'}\n")
    assert [(problem.where, problem.path) for problem in error.value.problems] == [
        ("inbound.yaml:4:15", "plugins.encryption.domains.a.example"),
        ("inbound.yaml:5:13", "plugins.encryption.ports.smtp"),
    ]
    assert error.value.problems[0].hint == "Did you mean 'required'?"


def test_t_plug_09_settings_are_never_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    policy = loaded(tmp_path, "plugins: {antivirus: {socket: '{{SECRET}} ${SECRET} %(SECRET)s {antivirus.name}'}}\n")
    settings = policy.plugins["antivirus"].settings
    assert isinstance(settings, AntivirusSettings)
    assert settings.socket == "{{SECRET}} ${SECRET} %(SECRET)s {antivirus.name}"


@pytest.mark.parametrize(
    ("text", "value"),
    [  # YAML 1.2.2 section 10.3.2, example 10.9 among them
        ("null", None), ("", None), ("~", None), ("true", True), ("False", False), ("0", 0), ("0o7", 7), ("0x3A", 58),
        ("-19", -19),
        ("0.", 0.0), ("-0.0", -0.0), (".5", 0.5), ("+12e03", 12000.0), ("-2E+05", -200000.0), (".inf", float("inf")),
        ("-.Inf", float("-inf")), ("no", "no"), ("off", "off"), ("Yes", "Yes"), ("12:30:45", "12:30:45"), ("0777", 777),
        ("1_000", "1_000"), ("2026-01-01", "2026-01-01"), ("0b1", "0b1"), ("1" * 40, "1" * 40),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_scalars_are_text_and_places_count_from_one() -> None:
    root, problems = parse(b"a: \"1\"\nb:\n  - c: 'true'\n", "x.yaml")
    assert problems == []
    assert root is not None
    assert root.plain() == {"a": "1", "b": ({"c": "true"},)}
    assert root.where_of(["b", 0, "c"]) == "x.yaml:3:5"
    found = root.at("b", 0, "c")
    assert found is not None
    assert found.where == "x.yaml:3:8"


def test_the_json_schema_file_is_current() -> None:
    kept = json.loads((REPOSITORY / "policies/schema/policy-1.json").read_text())
    assert kept == json_schema(), "write it again as policies/README.md says"


def test_the_hash_names_the_files_and_the_lists(tmp_path: Path) -> None:
    listed = tmp_path / "partners.txt"
    listed.write_text("a.example\n")
    text = (
        "lists: {partners: {type: domain, file: partners.txt}}\n"
        "rules: [{name: p, when: 'author.domain.listed(\"partners\")', then: junk}]\n"
    )
    policy = loaded(tmp_path, text)
    first = policy.hash
    assert len(first) == 7
    assert loaded(tmp_path, text).hash == first
    assert loaded(tmp_path, text + "# more\n").hash != first
    listed.write_text("a.example\nb.example\n")
    assert (ruling := policy.judge({"author.domain": "b.example"}, evidence(), BOB, stage="message")) is not None
    assert ruling.verdict is Verdict.JUNK
    assert policy.hash != first


def test_a_failing_given_test_keeps_the_policy_from_loading(tmp_path: Path) -> None:
    text = "tests: [{name: all is junk, message: {rcpt: bob@example.org}, expect: {verdict: junk}}]\n"
    with pytest.raises(PolicyError) as error:
        loaded(tmp_path, text)
    assert "bob@example.org: expected junk, got accept (no rule and no limit, score 0)" in str(error.value)
