"""What does a policy cost? 200 rules for one recipient, loading 500, judging a week's records again, keeping a record, finding some.

No peer judges by rules of this kind; the aims are absolute, and `relay`, `smtp` and `imap` compare.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailward.app.filters import preset_filters
from mailward.decisions import DecisionStore
from mailward.decisions.marks import Mark
from mailward.decisions.replay import ReplayReport
from mailward.lists import ListStore, Remark
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.evidence import EvidenceSet, FactValue, HookCall, StoredFinding
from mailward.model.ids import QueueId
from mailward.pipeline.plugins import stages_of
from mailward.policy import Policy, RecipientFacts, load_policy
from mailward.policy.replay import Replay

JUDGED, REPLAYED, ENTRIES = 2_000, 5_000, 100_000
SYMBOLS = {"spf": "SPF_FAIL", "dkim": "DKIM_NONE", "dmarc": "DMARC_NONE", "spam": "BAYES_SPAM"}
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
BOB = RecipientFacts("bob@example.org", "example.org", "bob")
CONDITIONS = (
    'author.domain.listed("partners") && dmarc.result == "pass"',
    'mail_from.domain.endsWith(".n{0}.example") && spf.result != "pass"',
    'message.size_octets > {0}000000 && recipient.local_part == "user{0}"',
    'message.anomalies.exists(one, one == "BARE_LF") && peer.ip == "192.0.2.{0}"',
    'helo.name == "host{0}.example.net" && score > 4.0',
)
SCOPES = (
    "recipient: d{0}.example.org",
    "sender: d{0}.example.net, recipient: example.org",
    "network: 192.0.{0}.0/24, listener: mx",
)


def run(records: int) -> None:
    """Print each figure with its aim. records: in the store that is searched."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "partners.txt").write_text("".join(f"n{number}.example\n" for number in range(ENTRIES)))
        load_s, _ = _timed(lambda: _policy(folder, 500))
        _said("500 rules and a list of 100,000 domains, loaded", load_s, "s", "1 s")
        policy = _policy(folder, 200)
        _judging(policy, "200 rules, none of which matches, for one recipient")
        _judging(_policy(folder, 100, overrides=100), "100 rules and 100 overrides of one rule, none of which holds")
        _listed(policy)
        _kept(policy, folder)
        _keeping()
        store = _filled(folder / "decisions.sqlite", records)
        _replaying(policy, store)
        _searching(store, records)
        store.close()


def _policy(folder: Path, count: int, *, overrides: int = 0) -> Policy:
    made = [
        f"  - {{name: rule-{number}, when: '{CONDITIONS[number % len(CONDITIONS)].format(number % 250)}', then: junk}}\n"
        for number in range(count + overrides)
    ]
    rules = "".join(made[:count])
    if overrides:
        rules += "overrides:\n"
    for number, rule in enumerate(made[count:]):
        rules += f"  - {{name: o{number}, for: {{{SCOPES[number % len(SCOPES)].format(number)}}}, rules: [{rule[4:].strip()}]}}\n"
    file = folder / "inbound.yaml"
    file.write_text(
        "version: 1\nextends: mailward/inbound\nlists:\n  partners: {type: domain, file: partners.txt}\n"
        "  blocked: {type: domain, database: true}\nrules:\n" + rules
    )
    filters = preset_filters()
    loaded = [filters.host.load(name) for name in filters.policies["inbound"].plugins]
    known = {one.name: one.declaration for one in loaded}
    return load_policy(file, known, stages=stages_of("inbound", loaded), kept=_lists(folder))


def _lists(folder: Path) -> ListStore:
    return ListStore(folder / "lists.sqlite")


def _judging(policy: Policy, what: str) -> None:
    record = _record(1, random.Random(1))
    facts, evidence = _facts(), EvidenceSet(record.calls, dict(record.facts))

    def judged() -> None:
        for _ in range(JUDGED):
            policy.case(facts, evidence).judge(BOB, stage="message")

    took_s = statistics.median(_timed(judged)[0] for _ in range(3))
    _said(what, took_s / JUDGED * 1e6, "us", "150 us")


def _listed(policy: Policy, name: str = "partners", where: str = "a file") -> None:
    entries = policy.lists.listed
    rounds = 100_000

    def asked() -> None:
        for _ in range(rounds):
            entries("mail.n77777.example", name)

    _said(f"one question to a list of 100,000 in {where}", _timed(asked)[0] / rounds * 1e6, "us", "2 us")


def _kept(policy: Policy, folder: Path) -> None:
    """The same in the database, and what its changes cost who judges."""
    store, remark = _lists(folder), Remark("bench", BEGIN)
    store.fill("blocked", "domain", (f"n{number}.example" for number in range(ENTRIES)), remark)
    refresh, rounds = policy.lists.refresh, 10_000
    _said("100,000 entries of the database taken over", _timed(refresh)[0] * 1000, "ms", "500 ms")
    _listed(policy, "blocked", "the database")
    store.put("blocked", "domain", ["new.example"], remark)
    _said("one entry more among them taken over", _timed(refresh)[0] * 1000, "ms", "500 ms")
    _said(
        "lists asked whether they have changed",
        _timed(lambda: [refresh() for _ in range(rounds)])[0] / rounds * 1e6,
        "us",
        "20 us",
    )


def _keeping() -> None:
    record = _record(1, random.Random(1))
    rounds = 5_000
    took_s, _ = _timed(lambda: [replace(record, reply="x").to_json() for _ in range(rounds)])
    _said("a record made into what is synced with the message", took_s / rounds * 1e6, "us", "100 us")


def _filled(file: Path, count: int) -> DecisionStore:
    store, chance = DecisionStore(file), random.Random(2)
    for start in range(0, count, 5_000):
        store.add_all([(_record(number, chance), ()) for number in range(start, min(count, start + 5_000))])
    return store


def _replaying(policy: Policy, store: DecisionStore) -> None:
    replay, report = Replay(policy, lambda name: BOB, b"k"), ReplayReport(20)

    def replayed() -> None:
        for _, record in zip(range(REPLAYED), store.evidence(BEGIN), strict=False):
            report.add(record, replay.judged(record))

    took_s, _ = _timed(replayed)
    _said(
        f"records judged again by 200 rules ({report.tally.messages} of {report.messages} known)",
        REPLAYED / took_s,
        "/s",
        "5000 /s",
    )
    small = Replay(preset_filters().policies["inbound"], lambda name: BOB, b"k")
    took_s, _ = _timed(lambda: [small.judged(one) for _, one in zip(range(REPLAYED), store.evidence(BEGIN), strict=False)])
    _said("records judged again by the preset", REPLAYED / took_s, "/s", "5000 /s")


def _searching(store: DecisionStore, count: int) -> None:
    end = BEGIN + timedelta(seconds=count)
    asked: dict[str, Callable[[], object]] = {
        "address": lambda: store.find(marks=[Mark("to", "user77@example.org")]),
        "rule and verdict": lambda: store.find(marks=[Mark("rule", "rule-77"), Mark("verdict", "reject")]),
        "two frequent symbols": lambda: store.find(marks=[Mark("symbol", "SPF_FAIL"), Mark("symbol", "BAYES_SPAM")]),
        "nothing that is there": lambda: store.find(marks=[Mark("symbol", "SPF_FAIL"), Mark("rule", "rule-199"), Mark("to", "user3@example.org")]),
        "time": lambda: store.find(since=end - timedelta(hours=1), until=end),
    }  # fmt: skip
    for what, ask in asked.items():
        took_s, found = _timed(ask)
        rows = len(found) if isinstance(found, tuple) else 0
        _said(f"of {count:,} records {rows} by {what}", took_s * 1000, "ms", "200 ms")


def _facts() -> dict[str, FactValue]:
    return {
        "peer.ip": "203.0.113.7", "peer.rdns": "mail.example.net", "peer.rdns_result": "pass", "helo.name": "mail.example.net",
        "tls.version": "TLSv1.3", "listener.name": "mx", "mail_from.address": "a@example.net", "mail_from.domain": "example.net",
        "mail_from.is_null": False, "author.address": "a@example.net", "author.domain": "example.net", "message.size_octets": 4000,
        "message.subject": "An invoice", "author.display_name": "Ann", "message.anomalies": (), "message.attachment_types": (),
    }  # fmt: skip


def _record(number: int, chance: random.Random) -> DecisionRecord:
    """As the shipped preset makes it: ten calls, of which four find something."""
    calls = [
        HookCall(name, "1", "inspect_message", "message", 1.5, "ok") for name in ("client", "ambiguity", "antivirus", "tlsrpt")
    ]
    for plugin, symbol in SYMBOLS.items():
        if chance.random() < 0.5:
            findings = (StoredFinding(plugin, symbol, "what was found of it, in a sentence", 1.0, 1.5),)
            calls.append(HookCall(plugin, "1", "inspect_message", "message", 1.5, "ok", None, findings))
    facts = {
        **_facts(),
        **{f"{name}.status": "ok" for name in ("client", "encryption", "ambiguity", "antivirus", "tlsrpt", *SYMBOLS)},
    }
    facts |= {"spf.result": "fail", "dkim.result": "none", "dmarc.result": "none", "dmarc.policy": "", "antivirus.infected": False,
              "encryption.required": False, "encryption.satisfied": True}  # fmt: skip
    verdict = chance.choice(("accept", "accept", "accept", "junk", "reject"))
    decided = ("rule", f"rule-{chance.randrange(200)}") if verdict != "accept" else ("default", "")
    who = f"user{chance.randrange(2_000)}@example.org"
    return DecisionRecord(
        id=QueueId(f"m{number:08}"),
        received_at=utc_text(BEGIN + timedelta(seconds=number)),
        direction="inbound",
        session={"peer.ip": "203.0.113.7", "helo.name": "mail.example.net"},
        reverse_path=f"a{chance.randrange(5_000)}@n{chance.randrange(500)}.example",
        message_id=f"<{number}@example.net>",
        size_octets=4000,
        calls=tuple(calls),
        facts={name: value for name, value in facts.items() if name not in ("message.subject", "author.display_name")},
        recipients=(RecipientDecision(who, verdict, 1.5, *decided, "inbound.yaml:9:5"),),
        reply="250 2.0.0 Accepted",
        policy_hash="8c1f0e2",
    )


def _timed(run: Callable[[], object]) -> tuple[float, object]:
    before = time.process_time()
    found = run()
    return time.process_time() - before, found


def _said(what: str, figure: float, unit: str, aim: str) -> None:
    print(f"{what:<75} {figure:10,.2f} {unit}  (aim: {'at least' if unit == '/s' else 'below'} {aim})")
