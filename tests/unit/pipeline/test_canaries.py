"""A canary for some recipients counts for them as if it were enforced, and for others in the same message as if it were in shadow."""

import asyncio
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.decisions.shadow import ShadowReport
from mailward.formats.message import MessageView
from mailward.model.decision import DecisionRecord
from mailward.model.edits import AddHeader
from mailward.model.ids import QueueId
from mailward.pipeline.canaries import NOT_SHOWN_ALL
from mailward.pipeline.judge import Judge
from mailward.pipeline.shadowing import NOT_HEARD_OF
from mailward.pipeline.transaction import Judgement
from mailward.policy import Direction, RecipientFacts
from mailward.policy.canary import canary_key
from mailward.policy.replay import Replay
from mailward.testing.making import make_envelope, make_session
from mailward.testing.policies import made_policy
from mailward.testing.world import FakeServices
from support.plugin_modules import plugin_module

CFO, CEO, BOB, EVE = "cfo@finance.example", "ceo@finance.example", "bob@example.org", "eve@example.org"
KEY = canary_key(b"a secret")
FINANCE = {"mode": "canary", "for": {"recipient": ["finance.example"]}}
SEES = "@hookimpl\ndef inspect_{0}():\n    return Finding('SEEN', 'at {0}', facts=OwnFacts(word='{0}', count=3))\n"
ASKS = "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'x', asks='reject')\n"
FAILS = "@hookimpl\ndef inspect_{}():\n    raise OSError('gone')\n"


def judge_of(
    plugins: Sequence[ModuleType],
    entries: Mapping[str, Mapping[str, object]],
    keys: Mapping[str, object] | None = None,
    direction: Direction = "inbound",
) -> Judge:
    services = FakeServices()
    policy, host = made_policy(direction, plugins, entries, keys or {})
    return Judge(policy, host, services.of, hostname="mx.example.org", clock=services.clock, key=KEY)


async def sent(
    judge: Judge, *to: str, each: bool = False, sender: str = "a@example.net", user: str = ""
) -> tuple[dict[str, int], Judgement | None, DecisionRecord | None]:
    """As a server would: what MAIL (under "") and RCPT refused, then the judgement for the others, and its record in the end."""
    session, refused, taken = make_session(lmtp=each, user=user), {}, list[str]()
    trial = judge.begin(session)
    reply = await trial.mail(session, make_envelope(sender, ()))
    if reply is not None:
        return {"": reply.code}, None, None
    for address in to:
        path = make_envelope(sender, address).forward_paths[0]
        reply = await trial.rcpt(session, make_envelope(sender, taken), path, RecipientFacts.of(path))
        if reply is None:
            taken.append(address)
        else:
            refused[address] = reply.code
    if not taken:
        return refused, None, None
    envelope = make_envelope(sender, taken)
    people = [RecipientFacts.of(path) for path in envelope.forward_paths]
    message = MessageView(b"From: a@example.net\r\nSubject: hello\r\n\r\nthe text\r\n")
    judgement = await trial.message(QueueId("1k0000000000000a"), session, envelope, people, message)
    return refused, judgement, await judgement.whole_record()


async def judged(judge: Judge, *to: str, **options: Any) -> tuple[Judgement, DecisionRecord]:
    refused, judgement, record = await sent(judge, *to, **options)
    assert not refused and judgement is not None and record is not None
    return judgement, record


def verdicts(record: DecisionRecord) -> list[str]:
    return [one.verdict for one in record.recipients]


def counted(record: DecisionRecord) -> list[tuple[str, bool, tuple[str, ...]]]:
    return [(one.name, one.counted, one.recipients) for one in record.canaries]


async def test_it_counts_for_those_it_names_and_the_record_says_for_whom() -> None:
    judge = judge_of([plugin_module("dlp", SEES.format("message"))], {"dlp": FINANCE}, {"limits": {"junk": 2}})
    for to, verdict, whom in (
        ([CFO], ["junk"], (True, ())),
        ([CFO, CEO], ["junk", "junk"], (True, ())),
        ([BOB], ["accept"], (False, ())),
        ([BOB, CFO, EVE], ["accept", "junk", "accept"], (True, (CFO,))),
    ):
        _, record = await judged(judge, *to)
        assert (verdicts(record), counted(record)) == (verdict, [("dlp", *whom)])
        assert DecisionRecord.from_json(record.to_json()) == record


async def test_nobody_else_waits_for_it_and_for_them_it_is_in_shadow() -> None:
    module = plugin_module("dlp", SEES.format("mail") + SEES.format("message"))
    judge = judge_of([module], {"dlp": FINANCE}, {"limits": {"junk": 2}})
    judgement, record = await judged(judge, BOB)
    assert [thing.unknown for thing in judgement.record.shadow] == [NOT_HEARD_OF]
    assert [call.status for call in record.calls] == ["shadow", "shadow"]
    assert [one.verdict for one in record.recipients[0].shadow] == ["junk"]


async def test_what_it_would_have_been_for_the_others_is_known_at_once_and_counted_for_them_alone() -> None:
    judge = judge_of([plugin_module("dlp", SEES.format("message"))], {"dlp": FINANCE}, {"limits": {"junk": 2}})
    judgement, record = await judged(judge, CFO, BOB)
    assert (judgement.shadowing, record) == (None, judgement.record)
    assert [[one.verdict for one in person.shadow] for person in record.recipients] == [[], ["junk"]]
    report = ShadowReport(10)
    report.add(record)
    (tally,) = report.things
    assert (tally.same, sum(tally.changes.values())) == (0, 1)
    assert (report.together.same, report.changed) == (0, 1)


async def test_it_looks_at_what_came_before_as_soon_as_one_of_them_is_named() -> None:
    hooks = ("connect", "helo", "mail", "rcpt", "message")
    judge = judge_of([plugin_module("dlp", "".join(SEES.format(hook) for hook in hooks))], {"dlp": FINANCE})
    _, record = await judged(judge, BOB, CFO, EVE, CEO)
    found = [(call.hook, call.status) for call in record.calls]
    assert [hook for hook, status in found if status == "ok"] == [
        "inspect_connect", "inspect_helo", "inspect_mail", "inspect_rcpt", "inspect_rcpt", "inspect_message"
    ]  # fmt: skip
    assert record.facts["dlp.word"] == "message"
    assert [thing.unknown for thing in record.shadow] == [NOT_SHOWN_ALL]


@pytest.mark.parametrize("hook", ["connect", "mail", "rcpt"])
async def test_where_it_fails_early_its_own_recipients_are_deferred_and_no_other(hook: str) -> None:
    judge = judge_of([plugin_module("bad", FAILS.format(hook))], {"bad": FINANCE})
    refused, judgement, record = await sent(judge, BOB, CFO, EVE)
    assert refused == {CFO: 451}
    assert judgement is not None and record is not None and judgement.reply.code == 250
    assert counted(record) == [("bad", False, ())]


@pytest.mark.parametrize(("each", "expected"), [(True, ["tempfail", "accept"]), (False, ["tempfail", "tempfail"])])
async def test_where_it_fails_at_the_message_one_reply_has_to_serve_all(each: bool, expected: list[str]) -> None:
    judge = judge_of([plugin_module("bad", FAILS.format("message"))], {"bad": FINANCE})
    _, record = await judged(judge, CFO, BOB, each=each)
    assert verdicts(record) == expected
    assert record.recipients[1].wanted == ("" if each else "accept")


@pytest.mark.parametrize(
    ("entry", "to", "expected"),
    [
        (FINANCE, (CFO, BOB), ["quarantine", "accept"]),
        (FINANCE, (CFO, CEO), ["reject", "reject"]),
        ({}, (CFO, BOB), ["reject", "reject"]),
    ],
)
async def test_what_it_asks_for_is_for_all_only_where_it_counts_for_all(
    entry: Mapping[str, object], to: tuple[str, ...], expected: list[str]
) -> None:
    judge = judge_of([plugin_module("strict", ASKS)], {"strict": {**entry, "heed": True}})
    _, record = await judged(judge, *to)
    assert verdicts(record) == expected


async def test_its_edits_are_for_its_recipients_in_their_place_among_those_of_others() -> None:
    edits = "@hookimpl\ndef edit_message():\n    return AddHeader('X-{}', 'yes')\n"
    modules = [plugin_module(name, edits.format(name)) for name in ("first", "own", "last")]
    orders = {name: {"order": number} for number, name in enumerate(("first", "own", "last"))}
    judge = judge_of(modules, {**orders, "own": {**orders["own"], **FINANCE}})

    def names(edits: Sequence[object]) -> list[str]:
        return [edit.name for edit in edits if isinstance(edit, AddHeader)]

    judgement, _ = await judged(judge, CFO, BOB)
    assert judgement.edits == ()
    assert [names(edits) for edits in judgement.recipient_edits] == [["X-first", "X-own", "X-last"], ["X-first", "X-last"]]
    judgement, _ = await judged(judge, CFO, CEO)
    assert (names(judgement.edits), judgement.recipient_edits) == (["X-first", "X-own", "X-last"], ((), ()))


async def test_what_it_says_of_the_author_is_told_only_where_it_counts_for_all() -> None:
    body = "@hookimpl\ndef inspect_message():\n    return Finding(None, 'x', auth=(AuthResult('spf', 'fail'),))\n"
    judge = judge_of([plugin_module("auth", body)], {"auth": FINANCE})
    assert [len((await judged(judge, *to))[0].auth_results) for to in ((CFO, BOB), (CFO, CEO), (BOB,))] == [0, 1, 0]


async def test_nobody_who_counts_for_others_is_given_what_it_found() -> None:
    reads = "@hookimpl(after=['*'])\ndef inspect_{0}(evidence):\n    return Finding(None, str(len(evidence.findings)))\n"
    modules = [
        plugin_module("dlp", SEES.format("mail") + SEES.format("message")),
        plugin_module("reader", reads.format("message")),
    ]
    judge = judge_of(modules, {"dlp": FINANCE, "reader": {}})
    _, record = await judged(judge, CFO, BOB)
    assert [call.findings[0].text for call in record.calls if call.plugin == "reader"] == ["0"]


async def test_one_in_shadow_may_need_it_and_looks_after_the_reply() -> None:
    needs = "@hookimpl(needs=['dlp'])\ndef inspect_message(evidence):\n    return Finding(None, str(len(evidence.findings)))\n"
    modules = [plugin_module("dlp", SEES.format("message")), plugin_module("ghost", needs)]
    judge = judge_of(modules, {"dlp": FINANCE, "ghost": {"mode": "shadow"}})
    judgement, record = await judged(judge, CFO, BOB)
    assert judgement.shadowing is not None
    assert [(call.plugin, call.status) for call in record.calls] == [("dlp", "ok"), ("ghost", "shadow")]
    assert record.calls[1].findings[0].text == "1"


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        ({"for": {"sender": ["finance.example"]}}, {CFO: True, BOB: False, "": False}),
        ({"for": {"sender": [BOB.upper()]}}, {CFO: False, BOB: True, "": False}),
        ({"for": {"sender": ["group:pilots"]}}, {CFO: False, BOB: False, "": False}),
        ({"for": {"sender": ["finance.example"], "recipient": "example.net"}}, {CFO: True, BOB: False}),
        ({"for": {"sender": ["finance.example"], "recipient": "example.com"}}, {CFO: False, BOB: False}),
        ({"for": {"sender": ["finance.example"]}, "share": "100%"}, {CFO: True, BOB: False}),
        ({"for": {"sender": ["finance.example"]}, "share": "0%"}, {CFO: False, BOB: False}),
        ({"for": {"identity": [BOB], "sender": ["finance.example"], "listener": "submission"}}, {CFO: True, BOB: False}),
        ({"for": {"identity": [CFO]}}, {CFO: False, BOB: False}),
    ],
)
async def test_in_submission_it_may_be_for_senders(entry: Mapping[str, object], counts: Mapping[str, bool]) -> None:
    module = plugin_module("dlp", SEES.format("message"))
    judge = judge_of([module], {"dlp": {"mode": "canary", **entry}}, {"limits": {"junk": 2}}, "submission")
    for sender, expected in counts.items():
        _, record = await judged(judge, "x@example.net", sender=sender, user=BOB)
        assert (verdicts(record), counted(record)) == (["junk" if expected else "accept"], [("dlp", expected, ())])


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ({"network": "192.0.2.0/24"}, True),
        ({"network": "192.0.2.0/24", "listener": ["mx"]}, True),
        ({"network": "198.51.100.0/24"}, False),
        ({"listener": "mx2"}, False),
    ],
)
async def test_of_a_network_or_listener_it_counts_for_all_recipients(scope: Mapping[str, object], counts: bool) -> None:
    module = plugin_module("dlp", SEES.format("mail"))
    judge = judge_of([module], {"dlp": {"mode": "canary", "for": scope}}, {"limits": {"junk": 2}})
    _, record = await judged(judge, CFO, BOB)
    assert (verdicts(record), counted(record)) == (["junk" if counts else "accept"] * 2, [("dlp", counts, ())])


async def test_of_a_share_for_some_both_must_hold() -> None:
    module = plugin_module("dlp", SEES.format("message"))
    both, share = {**FINANCE, "share": "50%"}, {"mode": "canary", "share": "50%"}
    narrow = judge_of([module], {"dlp": both}, {"limits": {"junk": 2}})
    wide = judge_of([module], {"dlp": share}, {"limits": {"junk": 2}})
    seen = set()
    for number in range(20):
        sender = f"user{number}@example.net"
        drawn = verdicts((await judged(wide, BOB, sender=sender))[1]) == ["junk"]
        _, record = await judged(narrow, CFO, BOB, sender=sender)
        assert verdicts(record) == ["junk" if drawn else "accept", "accept"]
        assert counted(record) == [("dlp", drawn, (CFO,) if drawn else ())]
        seen.add(drawn)
    assert seen == {True, False}


BEHAVIOURS = {
    "finds": "return Finding('SEEN', 'x', facts=OwnFacts(word='seen', count=3))",
    "asks": "return Finding('SEEN', 'x', asks='reject')",
    "nothing": "return None",
    "raises": "raise ValueError('no')",
    "rubbish": "return {'a': object()}",
}
HOOK = "@hookimpl\nasync def inspect_{}():\n    {}\n@hookimpl\ndef edit_message():\n    return [AddHeader('X-{}', 'yes')]\n"
RULE = st.fixed_dictionaries(
    {
        "when": st.sampled_from(["true", "score > 2", "one.count > 2", "one.status == 'failed'", "two.word == 'seen'"]),
        "then": st.sampled_from(["reject", "tempfail", "quarantine", "junk", "accept", "discard"]),
        "mode": st.sampled_from(["canary", "enforce", "shadow"]),
    }
)
DRAWN = st.fixed_dictionaries(
    {
        "plugins": st.tuples(
            *[
                st.tuples(
                    st.sampled_from(["connect", "mail", "message"]),
                    st.sampled_from(sorted(BEHAVIOURS)),
                    st.sampled_from(["accept", "tempfail", "reject"]),
                    st.booleans(),
                    st.sampled_from(["canary", "enforce", "shadow"]),
                )
                for _ in range(2)
            ]
        ),
        "limits": st.sampled_from([{}, {"junk": 2}, {"junk": 2, "quarantine": 4, "reject": 6}]),
        "rules": st.lists(RULE, max_size=3),
        "to": st.lists(st.sampled_from([CFO, CEO, BOB, EVE]), min_size=1, max_size=4, unique=True),
    }
)
WORDS = {4: "tempfail", 5: "reject"}


def written(
    drawn: Mapping[str, Any], how: Mapping[str, object]
) -> tuple[list[ModuleType], dict[str, dict[str, object]], dict[str, object]]:
    """The plugins, their entries and the other keys of the policy."""

    def mode(word: str) -> Mapping[str, object]:
        return how if word == "canary" else {"mode": word}

    modules, entries = [], {}
    for name, (hook, does, on_error, heed, word) in zip(("one", "two"), drawn["plugins"], strict=True):
        modules.append(plugin_module(name, HOOK.format(hook, BEHAVIOURS[does], name)))
        entries[name] = {**mode(word), "on_error": on_error, "heed": heed}
    rules = [{"name": f"r{n}", **{**rule, **mode(rule["mode"])}} for n, rule in enumerate(drawn["rules"])]
    return modules, entries, {"limits": drawn["limits"], "rules": rules}


def replayed(drawn: Mapping[str, Any], record: DecisionRecord) -> list[str]:
    """What the same policy makes of the record; [] where that is not known."""

    def recipient(name: str) -> RecipientFacts:
        return RecipientFacts.of(make_envelope("", name).forward_paths[0])

    replay = Replay(judge_of(*written(drawn, FINANCE)).policy, recipient, KEY)
    return [one.verdict for one in replay.judged(record).decisions]


async def outcome(
    drawn: Mapping[str, Any], how: Mapping[str, object]
) -> tuple[dict[str, tuple[object, ...]], DecisionRecord | None]:
    """For each recipient what it came to, by one reply each, and what the others' would have been. how: canaries are then."""
    judge = judge_of(*written(drawn, how))
    try:
        refused, judgement, record = await sent(judge, *drawn["to"], each=True)
    finally:
        judge.close()
    found: dict[str, tuple[object, ...]] = {who: (WORDS[refused[""] // 100],) for who in drawn["to"] if "" in refused}
    found |= {who: (WORDS[code // 100],) for who, code in refused.items() if who}
    for person, edits in zip(record.recipients, judgement.recipient_edits, strict=True) if judgement and record else ():
        name = person.source_name if person.source_kind != "core" else ""
        taken = (person.verdict, person.score, name, (*judgement.edits, *edits)) if judgement else ()
        found[person.recipient] = (person.verdict,) if person.verdict in WORDS.values() else taken
    return found, record


@settings(max_examples=60, deadline=None)
@given(DRAWN)
def test_each_recipient_meets_what_is_enforced_or_what_is_in_shadow(drawn: Mapping[str, Any]) -> None:
    async def all_of_it() -> None:
        canary, record = await outcome(drawn, FINANCE)
        enforced, _ = await outcome(drawn, {"mode": "enforce"})
        shadowed, _ = await outcome(drawn, {"mode": "shadow"})
        assert record is None or replayed(drawn, record) in ([], [one.verdict for one in record.recipients])
        assert canary == {who: (enforced if "finance" in who else shadowed)[who] for who in drawn["to"]}

    asyncio.run(all_of_it())
