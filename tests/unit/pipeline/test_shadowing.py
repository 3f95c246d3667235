"""Plugins in shadow look after the reply: nobody waits for them, a bounded number of messages at once, and nothing they do counts."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from structlog.testing import capture_logs

from mailward.disk import Disk
from mailward.formats.message import MessageView
from mailward.model.decision import DecisionRecord, Looked
from mailward.model.errors import PluginError
from mailward.model.ids import QueueId
from mailward.pipeline import shadowing
from mailward.pipeline.judge import Judge
from mailward.pipeline.shadowing import LEFT_OUT, NOT_HEARD_OF, ShadowRoom
from mailward.pipeline.transaction import Judgement
from mailward.policy import RecipientFacts
from mailward.policy.canary import Canary, canary_key
from mailward.queue.spool import Spool
from mailward.testing.making import make_envelope, make_session
from mailward.testing.policies import made_policy
from mailward.testing.world import FakeServices
from support.plugin_modules import plugin_module
from support.spooling import item_for

ID = QueueId("1k0000000000000a")
KEY = canary_key(b"a secret")
OCTETS = b"From: a@example.net\r\nSubject: hello\r\n\r\nthe text\r\n"
PEOPLE = ("bob@example.org", "eve@example.org")
WAITS = "GATE = None\n@hookimpl\nasync def inspect_message(message):\n    await GATE.wait()\n    return Finding('SEEN', '{}')\n"
READS = WAITS.format("x").replace("'x'", "bytes(message.octets[-10:-2]).decode()")


def judge_of(
    plugins: Sequence[ModuleType],
    entries: Mapping[str, Mapping[str, object]],
    keys: Mapping[str, object] | None = None,
    room: ShadowRoom | None = None,
) -> Judge:
    services = FakeServices()
    policy, host = made_policy("inbound", plugins, entries, keys or {})
    return Judge(policy, host, services.of, hostname="mx.example.org", clock=services.clock, key=KEY, room=room)


async def judged(judge: Judge, octets: MessageView | None = None, sender: str = "a@example.net") -> Judgement:
    session, envelope = make_session(), make_envelope(sender, PEOPLE)
    trial = judge.begin(session)
    await trial.mail(session, make_envelope(sender, ()))
    recipients = [RecipientFacts.of(path) for path in envelope.forward_paths]
    return await trial.message(ID, session, envelope, recipients, octets or MessageView(OCTETS))


def waiting(name: str = "slow", body: str = READS) -> tuple[ModuleType, asyncio.Event]:
    """A plugin that looks when it may, and what lets it."""
    module, gate = plugin_module(name, body), asyncio.Event()
    module.__dict__["GATE"] = gate
    return module, gate


def unknown(record: DecisionRecord) -> list[str]:
    return [thing.unknown for thing in record.shadow]


async def test_the_judgement_waits_for_nobody_in_shadow_and_the_record_has_them_later() -> None:
    module, gate = waiting()
    judge = judge_of([module], {"slow": {"mode": "shadow"}}, {"limits": {"junk": 2}})
    judgement = await judged(judge)
    assert (judgement.reply.code, judgement.record.calls, unknown(judgement.record)) == (250, (), [NOT_HEARD_OF])
    kept: asyncio.Future[Looked] = asyncio.get_running_loop().create_future()

    async def keep(looked: Looked) -> None:
        kept.set_result(looked)

    assert judgement.shadowing is not None
    judgement.shadowing.start(keep)
    gate.set()
    whole = judgement.record.looked_at(await kept)
    (call,) = whole.calls
    assert (call.status, call.findings[0].text, call.findings[0].points) == ("shadow", "the text", 2.0)
    assert (unknown(whole), {one.verdict for one in whole.recipients}) == ([""], {"accept"})
    assert [[one.verdict for one in recipient.shadow] for recipient in whole.recipients] == [["junk"], ["junk"]]
    assert Looked.from_json(kept.result().to_json()) == kept.result()


async def test_who_comes_when_the_places_are_taken_is_left_out_and_counted_once_a_minute() -> None:
    module, _ = waiting()
    for room in (ShadowRoom(messages=2), ShadowRoom(octets=2 * len(OCTETS))):
        judge = judge_of([module], {"slow": {"mode": "shadow"}}, room=room)
        with capture_logs() as logs:
            taken = [await judged(judge) for _ in range(5)]
        assert [unknown(one.record) for one in taken] == [[NOT_HEARD_OF]] * 2 + [[LEFT_OUT]] * 3
        assert [one.shadowing is None for one in taken] == [False] * 2 + [True] * 3
        assert [line["messages"] for line in logs if line["event"] == "shadow left out"] == [1]
        first = taken[0].shadowing
        assert first is not None
        first.leave()
        first.leave()
        assert [unknown((await judged(judge)).record) for _ in range(2)] == [[NOT_HEARD_OF], [LEFT_OUT]]


async def test_a_message_larger_than_all_places_is_looked_at_by_itself() -> None:
    module, _ = waiting()
    judge = judge_of([module], {"slow": {"mode": "shadow"}}, room=ShadowRoom(octets=3))
    assert [unknown((await judged(judge)).record) for _ in range(2)] == [[NOT_HEARD_OF], [LEFT_OUT]]


async def test_in_a_busy_process_they_see_a_sample_and_the_rest_when_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing, "QUIET", 0.0)
    monkeypatch.setattr(shadowing, "SAMPLE_S", 60.0)
    room = ShadowRoom()
    module, gate = waiting()
    gate.set()
    judge = judge_of([module], {"slow": {"mode": "shadow"}}, room=room)
    looked: asyncio.Queue[Looked] = asyncio.Queue()
    for _ in range(3):
        after = (await judged(judge)).shadowing
        assert after is not None
        after.start(looked.put)
    await looked.get()
    await asyncio.sleep(5 * shadowing.PAUSE_S)
    assert looked.empty()
    monkeypatch.setattr(shadowing, "QUIET", 1000.0)
    await looked.get()
    await looked.get()
    await room.stop()


async def test_who_waits_for_a_turn_when_the_process_stops_gives_the_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing, "PAUSE_S", 60.0)
    room = ShadowRoom(messages=1)
    module, _ = waiting()
    judge = judge_of([module], {"slow": {"mode": "shadow"}}, room=room)
    after = (await judged(judge)).shadowing
    assert after is not None
    kept: asyncio.Queue[Looked] = asyncio.Queue()
    after.start(kept.put)
    await room.stop()
    assert room.take(1)


async def test_a_result_that_cannot_be_kept_and_one_that_is_given_up_free_their_places() -> None:
    room = ShadowRoom(messages=1)
    module, gate = waiting()
    judge = judge_of([module], {"slow": {"mode": "shadow"}}, room=room)
    tried = asyncio.Event()

    async def fail(_: Looked) -> None:
        tried.set()
        raise OSError("the disk is full")

    first = (await judged(judge)).shadowing
    assert first is not None
    first.start(fail)
    gate.set()
    with capture_logs() as logs:
        await tried.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert [line["event"] for line in logs] == ["shadow not recorded"]
    gate.clear()
    second = (await judged(judge)).shadowing
    assert second is not None
    second.start(fail)
    await room.stop()
    assert (await judged(judge)).shadowing is not None


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_large_message_can_be_read_when_it_is_delivered_or_refused_already(tmp_path: Path, is_kept: bool) -> None:
    spool = Spool(tmp_path, Disk(), owner="test", in_memory_octets=10)
    item = item_for(OCTETS, 1, queue_id=ID)
    incoming = spool.begin(ID)
    incoming.write(OCTETS)
    assert incoming.is_on_disk
    module, gate = waiting()
    judgement = await judged(judge_of([module], {"slow": {"mode": "shadow"}}), MessageView(incoming.octets))
    if is_kept:
        await incoming.commit(item)
        await spool.finish([(ID, 0, "delivered")])
    else:
        incoming.abort()
    await spool.close()
    gate.set()
    (call,) = (await judgement.whole_record()).calls
    assert call.findings[0].text == "the text"


BEHAVIOURS = {
    "finds": "return Finding('SEEN', 'x', facts=OwnFacts(word='seen', count=3))",
    "asks": "return Finding('SEEN', 'x', asks='reject')",
    "authenticates": "return Finding(None, 'x', auth=(AuthResult('spf', 'fail'),))",
    "nothing": "return None",
    "raises": "raise ValueError('no')",
    "exits": "sys.exit(1)",
    "hangs": "await asyncio.Event().wait()",
    "rubbish": "return {'a': object()}",
    "huge": "return [Finding('SEEN', 'x' * 10**6)] * 500",
    "unknown": "return Finding('NO_SUCH_SYMBOL', 'x')",
}
EDITS = "\n@hookimpl(inline=True)\ndef edit_message():\n    return [AddHeader('X-{0}', 'yes'), RemoveHeader('Subject')]\n"
HOOK = "@hookimpl{}\nasync def inspect_{}():\n    {}\n"
CONDITIONS = (
    "true",
    "score > 2",
    "{0}.count > 2",
    "{0}.word == 'seen'",
    "{0}.status == 'failed'",
    "recipient.local_part == 'bob'",
)
RULE = st.fixed_dictionaries(
    {"when": st.sampled_from(CONDITIONS), "about": st.sampled_from(["counts", "ghost"])},
    optional={"then": st.sampled_from(["reject", "tempfail", "quarantine", "junk", "accept", "discard"])},
)
POLICY = st.fixed_dictionaries(
    {
        "counts": st.tuples(
            st.sampled_from(sorted(BEHAVIOURS.keys() - {"hangs"})), st.sampled_from(["accept", "tempfail", "reject"])
        ),
        "ghosts": st.lists(
            st.tuples(st.sampled_from(["mail", "message"]), st.sampled_from(sorted(BEHAVIOURS)), st.booleans()),
            min_size=1,
            max_size=2,
        ),
        "limits": st.sampled_from([{}, {"junk": 2}, {"junk": 2, "quarantine": 4, "reject": 6}]),
        "rules": st.lists(RULE, max_size=2),
        "shadow_rules": st.lists(RULE, max_size=2),
    }
)


def written(number: int, rule: Mapping[str, str], ghosts: bool, mode: str) -> dict[str, object]:
    """One rule. Without the ghosts it reads what they leave: the defaults of their facts."""
    about = "ghost0" if rule["about"] == "ghost" else "counts"
    when = rule["when"].format(about)
    if about == "ghost0" and not ghosts and "ghost0" in when:
        when = "false"
    does = {"then": rule["then"]} if "then" in rule else {"do": [{"add_header": {"name": f"X-{number}", "value": "yes"}}]}
    return {"name": f"{mode}{number}", "mode": mode, "when": when, **does}


async def outcome(
    drawn: Mapping[str, Any], *, ghosts: bool, mode: Mapping[str, object] | None = None
) -> tuple[Judgement, DecisionRecord]:
    """mode: of the ghosts and of the rules that are in shadow otherwise."""
    how = mode or {"mode": "shadow"}
    behaviour, on_error = drawn["counts"]
    modules = [plugin_module("counts", HOOK.format("", "message", BEHAVIOURS[behaviour]) + EDITS.format("Counts"))]
    entries: dict[str, dict[str, object]] = {"counts": {"on_error": on_error, "heed": True}}
    rules = [written(n, rule, ghosts, "enforce") for n, rule in enumerate(drawn["rules"])]
    if ghosts:
        for number, (stage, does, heed) in enumerate(drawn["ghosts"]):
            name = f"ghost{number}"
            modules.append(plugin_module(name, HOOK.format("", stage, BEHAVIOURS[does]) + EDITS.format(name)))
            entries[name] = {**how, "heed": heed, "on_error": "reject", "timeout": "5ms" if does == "hangs" else "10s"}
        shadow = [written(n, rule, ghosts, "shadow") for n, rule in enumerate(drawn["shadow_rules"])]
        shadow = [{**rule, **how} for rule in shadow]
        rules = shadow[:1] + rules + shadow[1:]
    judge = judge_of(modules, entries, {"limits": drawn["limits"], "rules": rules})
    try:
        judgement = await judged(judge)
        return judgement, await judgement.whole_record()
    finally:
        judge.close()


@settings(max_examples=60, deadline=None)
@given(POLICY)
def test_whatever_is_in_shadow_the_same_becomes_of_the_message(drawn: Mapping[str, Any]) -> None:
    async def both() -> tuple[tuple[Judgement, DecisionRecord], tuple[Judgement, DecisionRecord]]:
        return await outcome(drawn, ghosts=True), await outcome(drawn, ghosts=False)

    (one, whole), (other, _) = asyncio.run(both())

    def seen(judgement: Judgement) -> tuple[object, ...]:
        # A place in the file is another one with more in the file; verdict, score, names and actions stay.
        people = [replace(decision, shadow=(), source_where="") for decision in judgement.recipients]
        return judgement.reply, people, judgement.edits, judgement.recipient_edits, judgement.auth_results, judgement.replies

    assert seen(one) == seen(other)
    assert [replace(d, shadow=()) for d in whole.recipients] == [replace(d, shadow=()) for d in one.recipients]
    assert {call.plugin for call in whole.calls if call.status == "shadow"} == {
        f"ghost{number}" for number in range(len(drawn["ghosts"]))
    }


@pytest.mark.parametrize(("share", "mode"), [("100%", "enforce"), ("0%", "shadow")])
@settings(max_examples=25, deadline=None)
@given(drawn=POLICY)
def test_a_canary_for_all_is_enforced_and_one_for_nobody_is_in_shadow(share: str, mode: str, drawn: Mapping[str, Any]) -> None:
    async def both() -> tuple[tuple[Judgement, DecisionRecord], tuple[Judgement, DecisionRecord]]:
        canary = await outcome(drawn, ghosts=True, mode={"mode": "canary", "share": share})
        return canary, await outcome(drawn, ghosts=True, mode={"mode": mode})

    (one, canary), (other, plain) = asyncio.run(both())
    assert (one.reply, one.edits, one.recipient_edits) == (other.reply, other.edits, other.recipient_edits)

    def seen(record: DecisionRecord) -> DecisionRecord:
        # Written differently, so places in the file and the policy's hash differ; calls take their time.
        def bare(text: str) -> str:
            return re.sub(r"inbound\.yaml:\d+:\d+", "", text)

        people = tuple(
            replace(d, source_where=bare(d.source_where), shadow=tuple(replace(w, source_where="") for w in d.shadow))
            for d in record.recipients
        )
        # What hangs on a busy machine ends by its own limit or with the time before it: the words differ.
        calls = tuple(structs.replace(call, duration_ms=0, error=call.error and "failed") for call in record.calls)
        shadow = tuple(replace(thing, where="", unknown=thing.unknown and "unknown") for thing in record.shadow)
        return replace(record, recipients=people, calls=calls, shadow=shadow, canaries=(), policy_hash="", received_at="")

    assert seen(canary) == seen(plain)
    assert {of.counted for of in canary.canaries} == {mode == "enforce"}


async def test_a_canary_meets_the_same_senders_at_every_attempt_and_about_its_share_of_them() -> None:
    module = plugin_module("lookout", "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'x')\n")
    judge = judge_of([module], {"lookout": {"mode": "canary", "share": "20%"}}, {"limits": {"reject": 2}})
    sides: dict[str, bool] = {}
    for number in range(200):
        sender = f"user{number}@example.net"
        for attempt in (sender, sender.upper()):  # it comes again by a way that does not keep the case
            judgement = await judged(judge, sender=attempt)
            (canary,) = judgement.record.canaries
            assert sides.setdefault(sender, canary.counted) is canary.counted
            (call,) = (await judgement.whole_record()).calls
            assert (judgement.reply.code, call.status) == ((554, "ok") if canary.counted else (250, "shadow"))
    assert 20 <= sum(sides.values()) <= 60  # 40 are expected


async def test_canaries_of_other_names_meet_other_senders_and_keep_their_threads() -> None:
    modules = [
        plugin_module(name, "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', threading.current_thread().name)\n")
        for name in ("one", "two")
    ]
    judge = judge_of(modules, {name: {"mode": "canary", "share": "50%"} for name in ("one", "two")})
    found = set()
    for number in range(40):
        judgement = await judged(judge, sender=f"user{number}@example.net")
        found.add(tuple(one.counted for one in judgement.record.canaries))
        assert {call.findings[0].text for call in (await judgement.whole_record()).calls} == {"plugin one", "plugin two"}
    assert len(found) == 4


async def test_a_canary_that_fails_defers_mail_only_where_it_counts() -> None:
    module = plugin_module("bad", "@hookimpl\ndef inspect_mail():\n    raise OSError\n")
    judge = judge_of([module], {"bad": {"mode": "canary", "share": "50%"}})
    codes = set()
    for number in range(20):
        session, envelope = make_session(), make_envelope(f"user{number}@example.net", ())
        reply = await judge.begin(session).mail(session, envelope)
        counts = Canary("plugin", "bad", 50).draws(f"user{number}@example.net", KEY)
        codes.add((None if reply is None else reply.code, counts))
    assert codes == {(None, False), (451, True)}


def test_a_canary_cannot_need_another_one() -> None:
    one = plugin_module("one", "@hookimpl\ndef inspect_message(): ...\n")
    two = plugin_module("two", "@hookimpl(needs=['one'])\ndef inspect_message(): ...\n")
    canary = {"mode": "canary", "share": "5%"}
    with pytest.raises(PluginError, match="needs the plugin 'one'"):
        judge_of([one, two], {"one": canary, "two": canary})
    judge_of([one, two], {"two": canary})
