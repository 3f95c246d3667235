"""A mail transaction from MAIL to the judgement: what hooks may see, when they run, and what is recorded."""

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from mailward.api import Services
from mailward.formats.message import MessageView
from mailward.model.address import Address, ForwardPath, ReversePath
from mailward.model.envelope import Envelope
from mailward.model.errors import PluginError
from mailward.model.evidence import FactValue
from mailward.model.ids import QueueId, SessionId
from mailward.model.session import Role, Session
from mailward.pipeline.facts import in_words
from mailward.pipeline.judge import Judge
from mailward.pipeline.plugins import PluginHost
from mailward.policy import RecipientFacts, load_policy
from mailward.testing import FakeClock, FakeZone, MemoryKeyValue, MemoryLog, MemoryMetrics, Scan
from mailward.testing.fakes import FakeCredentials, FakeHttp, MemorySecrets, RunDirectly, SentMail
from support.plugin_modules import plugin_module

MAIL = "From: Ann <a@example.net>\nMessage-ID: <1@example.net>\nSubject: hello\n\ntext\n"
ID = QueueId("1k0000000000000a")
SENDER = Envelope(ReversePath(Address("a", "example.net")))
TO_BOB = Envelope(SENDER.reverse_path, (ForwardPath(Address("bob", "example.org")),))
BOB = RecipientFacts("bob@example.org", "example.org", "bob")
CFO = RecipientFacts("cfo@finance.example.org", "finance.example.org", "cfo")


@pytest.fixture
def session(clock: FakeClock) -> Session:
    return Session(SessionId("s"), Role.MX, "mx", "192.0.2.1", clock.now(), helo="mail.example.net", extended=True)


def make_judge(
    folder: Path,
    plugins: list[ModuleType],
    settings: Mapping[str, Mapping[str, object]] | None = None,
    message_stage_s: float = 120.0,
    **keys: object,
) -> Judge:
    file = folder / "inbound.yaml"
    entries = {p.__name__: dict((settings or {}).get(p.__name__, {})) for p in plugins}
    file.write_text(yaml.safe_dump({"version": 1, **keys, "plugins": entries}))
    host = PluginHost(modules={p.__name__: p for p in plugins})
    services = Services(
        FakeZone(),
        FakeClock(),
        MemoryKeyValue(),
        MemoryLog(),
        RunDirectly(),
        MemorySecrets(),
        FakeCredentials(),
        SentMail(),
        FakeHttp(),
        MemoryMetrics(),
    )
    policy = load_policy(file, host.enable(p.__name__ for p in plugins))
    return Judge(policy, host, lambda _: services, hostname="mx", clock=FakeClock(), message_stage_s=message_stage_s)


SAYS = "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'seen')\n"


def test_plugins_run_at_the_same_time(scan: Scan) -> None:
    body = "@hookimpl\ndef inspect_message(services):\n    plugin_barrier.wait(5)\n"
    barrier = threading.Barrier(3)
    plugins = [plugin_module(name, body) for name in ("one", "two", "three")]
    for module in plugins:
        module.__dict__["plugin_barrier"] = barrier
    assert scan(MAIL, plugins=plugins).verdict == "accept"


def test_evidence_holds_earlier_stages_and_what_was_asked_for_and_nothing_racing(scan: Scan) -> None:
    early = plugin_module(
        "early", "@hookimpl\ndef inspect_mail():\n    return Finding('SEEN', 'mail', facts=OwnFacts(word='mail'))\n"
    )
    first = plugin_module(
        "first", "@hookimpl\ndef inspect_message():\n    return Finding('SEEN', 'x', facts=OwnFacts(word='x'))\n"
    )
    quiet = plugin_module("quiet", "@hookimpl\ndef inspect_message():\n    return None\n")
    body = """
@hookimpl({})
def inspect_message(evidence):
    seen = ' '.join(name + '=' + evidence.value(name, 'word') for name in sorted(evidence.facts_by_plugin))
    return Finding('SEEN', seen + ' / ' + ' '.join(name for name, _ in evidence.findings) + ' / ' + str(dict(evidence.status)))
"""
    needs = plugin_module("needs", body.format("needs=['first']"))
    nobody = plugin_module("nobody", body.format(""))
    last = plugin_module("last", body.format("after='*'"))
    observed = dict(scan(MAIL, plugins=[last, nobody, needs, quiet, first, early]).observed)
    assert observed["needs"].text == "early=mail first=x / early first / {'early': 'ok', 'first': 'ok'}"
    assert observed["nobody"].text == "early=mail / early / {'early': 'ok'}"
    assert observed["last"].text.startswith("early=mail first=x needs= nobody= quiet= / early first needs nobody / ")


def test_a_plugin_whose_need_failed_has_failed_too(scan: Scan) -> None:
    bad = plugin_module("bad", "@hookimpl\ndef inspect_mail():\n    raise OSError\n")
    needs = plugin_module("needs", "@hookimpl(needs=['bad'])\ndef inspect_message():\n    return Finding('SEEN', 'x')\n")
    result = scan(MAIL, plugins=[bad, needs], settings={"bad": {"on_error": "accept"}})
    assert result.call("needs").error == "it needs 'bad', which failed"
    assert result.verdict == "tempfail"


def test_needs_in_a_circle_and_missing_ones_are_refused_at_load(scan: Scan) -> None:
    one = plugin_module("one", "@hookimpl(needs=['two'])\ndef inspect_message(): ...\n")
    two = plugin_module("two", "@hookimpl(after=['one'])\ndef inspect_message(): ...\n")
    with pytest.raises(PluginError, match="go in a circle"):
        scan(MAIL, plugins=[one, two])
    with pytest.raises(PluginError, match="plugin 'one': its inspect_message needs the plugin 'two', which does not count here"):
        scan(MAIL, plugins=[one])


def test_nobody_who_counts_may_need_a_plugin_that_is_only_shadowed(scan: Scan) -> None:
    one = plugin_module("one", "@hookimpl(needs=['two'])\ndef inspect_message(): ...\n")
    with pytest.raises(PluginError, match="needs the plugin 'two', which does not count here"):
        scan(MAIL, plugins=[one, plugin_module("two", SAYS)], settings={"two": {"mode": "shadow"}})


def test_a_shadowed_plugin_is_recorded_and_never_counted(scan: Scan) -> None:
    shadow = plugin_module(
        "shadow",
        "@hookimpl\ndef inspect_mail(): ...\n@hookimpl\ndef inspect_message():\n"
        "    return Finding('SEEN', 'x', facts=OwnFacts(count=3), asks='reject', auth=(AuthResult('x-own', 'pass'),))\n"
        "@hookimpl\ndef edit_message():\n    return PrefixSubject('x')\n",
    )
    good = plugin_module("good", SAYS)
    result = scan(
        MAIL,
        plugins=[shadow, good],
        settings={"shadow": {"mode": "shadow", "heed": True}},
        policy={"limits": {"junk": 3}, "rules": [{"name": "counts", "when": "shadow.count > 0", "then": "reject"}]},
    )
    assert (result.verdict, result.record.recipients[0].score, result.edits) == ("accept", 2.0, ())
    assert [(c.plugin, c.hook, c.status) for c in result.calls] == [
        ("good", "inspect_message", "ok"),
        ("shadow", "inspect_mail", "shadow"),
        ("shadow", "inspect_message", "shadow"),
    ]
    assert result.call("shadow").findings[0].points == 2.0
    (with_it,) = result.record.recipients[0].shadow
    assert (with_it.kind, with_it.name, with_it.verdict) == ("plugin", "shadow", "reject")


@pytest.mark.parametrize("body", ["raise OSError", "sys.exit(1)", "return 'rubbish'"])
def test_a_shadowed_plugin_that_fails_changes_nothing(scan: Scan, body: str) -> None:
    bad = plugin_module("bad", f"@hookimpl\ndef inspect_message():\n    {body}\n")
    result = scan(MAIL, plugins=[bad], settings={"bad": {"mode": "shadow"}})
    assert result.verdict == "accept"
    assert result.call("bad").error
    (thing,) = result.record.shadow
    assert thing.unknown.startswith("inspect_message failed: ")


def test_every_declared_fact_is_recorded_with_its_default(scan: Scan) -> None:
    quiet = plugin_module("quiet", "@hookimpl\ndef inspect_message(): ...\n")
    watcher = plugin_module("watcher", "@hookimpl\ndef on_moved(): ...\n")
    facts = scan(MAIL, plugins=[quiet, watcher]).record.facts
    assert {name: facts[name] for name in facts if name.startswith(("quiet.", "watcher.s"))} == {
        "quiet.word": "", "quiet.count": 0, "quiet.share": 0.0, "quiet.names": (), "quiet.status": "ok",
        "watcher.status": "skipped", "watcher.share": 0.0,
    }  # fmt: skip


def test_what_a_later_stage_found_replaces_the_earlier(scan: Scan) -> None:
    both = plugin_module(
        "both",
        "@hookimpl\ndef inspect_mail():\n    return Finding(None, 'a', facts=OwnFacts(word='a', count=1))\n"
        "@hookimpl\ndef inspect_message():\n    return Finding(None, 'b', facts=OwnFacts(word='b'))\n",
    )
    result = scan(MAIL, plugins=[both])
    assert (result.record.facts["both.word"], result.record.facts["both.count"]) == ("b", 0)
    assert result.facts("both") == both.OwnFacts(word="b")


def test_the_core_knows_session_envelope_and_message(scan: Scan) -> None:
    names = {
        "peer.ip == '192.0.2.7'", "helo.name == 'h.example'", "tls.version == ''", "listener.name == 'test'",
        "mail_from.address == 'x@y.example'", "mail_from.domain == 'y.example'", "!mail_from.is_null",
        "author.address == 'a@example.net'", "author.domain == 'example.net'", "author.display_name == 'Ann'",
        "message.subject == 'hello'", f"message.size_octets == {len(MAIL) + MAIL.count(chr(10))}",
        "size(message.attachment_types) == 0", "recipient.local_part == 'bob'", "recipient.domain == 'example.org'",
    }  # fmt: skip
    rule = {"name": "all", "when": " && ".join(sorted(names)), "then": "junk"}
    result = scan(
        MAIL, mail_from="x@y.example", ip="192.0.2.7", helo="h.example", rcpt="bob@example.org", policy={"rules": [rule]}
    )
    assert result.verdict == "junk"
    assert result.record.message_id == "<1@example.net>"


def test_a_record_holds_nothing_that_somebody_wrote(scan: Scan) -> None:
    text = scan("From: Ann Confidential <a@example.net>\nSubject: Confidential\n\nConfidential\n").record.to_json()
    assert "Confidential" not in text


async def test_a_failure_at_mail_is_answered_at_mail_and_recorded(tmp_path: Path, session: Session) -> None:
    bad = plugin_module("bad", "@hookimpl\ndef inspect_mail():\n    raise OSError('no disk')\n")
    trial = make_judge(tmp_path, [bad]).begin(session)
    refusal = await trial.mail(session, SENDER)
    assert str(refusal).startswith("451 4.3.0 ")
    assert refusal is not None
    record = trial.refusal(ID, session, SENDER, refusal)
    assert [(call.plugin, call.status) for call in record.calls] == [("bad", "failed")]
    assert "no disk" in (record.calls[0].error or "")
    (decision,) = record.recipients
    assert (decision.verdict, decision.source_kind, decision.source_name) == ("tempfail", "floor", "bad failed")


async def test_rules_that_are_certain_early_answer_early(tmp_path: Path, session: Session) -> None:
    rules = [
        {"name": "nobody-there", "when": "recipient.local_part == 'bob'", "then": "reject", "reply": "550 5.7.1 Not for Bob"},
    ]
    trial = make_judge(tmp_path, [], rules=rules).begin(session)
    assert await trial.mail(session, SENDER) is None
    assert str(await trial.rcpt(session, SENDER, TO_BOB.forward_paths[0], BOB)) == "550 5.7.1 Not for Bob"
    assert await trial.rcpt(session, SENDER, ForwardPath(Address("cfo", "example.org")), CFO) is None


async def test_each_recipient_gets_its_own_verdict_and_edits(tmp_path: Path, session: Session) -> None:
    keys: dict[str, Any] = {
        "rules": [
            {"name": "mark", "when": "author.domain != recipient.domain", "do": [{"subject_prefix": "[{recipient.local_part}] "}]}
        ],
        "overrides": [{"name": "finance", "for": {"recipient": ["finance.example.org"]}, "limits": {"quarantine": 2}}],
    }
    trial = make_judge(tmp_path, [plugin_module("good", SAYS)], **keys).begin(session)
    to_both = replace(TO_BOB, forward_paths=(ForwardPath(Address("cfo", "finance.example.org")), *TO_BOB.forward_paths))
    judgement = await trial.message(ID, session, to_both, [CFO, BOB], MessageView(MAIL.encode()))
    assert [decision.verdict for decision in judgement.recipients] == ["quarantine", "accept"]
    assert [edits[0].prefix for edits in judgement.recipient_edits] == ["[cfo] ", "[bob] "]  # type: ignore[union-attr]
    assert str(judgement.reply) == f"250 2.0.0 Accepted, id {ID}"
    assert judgement.record.recipients == judgement.recipients


async def test_past_the_limit_of_the_stage_it_is_451_whatever_on_error_says(tmp_path: Path, session: Session) -> None:
    slow = plugin_module("slow", "@hookimpl\nasync def inspect_message():\n    await asyncio.Event().wait()\n")
    late = plugin_module("late", "@hookimpl(after='*')\ndef inspect_message():\n    return Finding('SEEN', 'x')\n")
    settings = {"slow": {"on_error": "accept"}, "late": {"on_error": "accept"}}
    trial = make_judge(tmp_path, [slow, late], settings, message_stage_s=0.1).begin(session)
    judgement = await trial.message(ID, session, TO_BOB, [BOB], MessageView(MAIL.encode()))
    assert str(judgement.reply).startswith("451 4.3.0 ")
    assert judgement.recipients[0].source_name == "the message stage took longer than 0.1 s"
    errors = {call.plugin: call.error for call in judgement.record.calls}
    assert errors["slow"] == "the time of its stage ran out"
    assert errors["late"] == "no time was left for it; the other plugins of this stage used it up"


class BrokenMessage(MessageView):
    """A message whose reading fails in a way nobody foresaw."""

    @property
    def authors(self):  # type: ignore[no-untyped-def]
        raise RuntimeError("unforeseen")


async def test_an_unforeseen_error_defers_the_mail_and_is_recorded(tmp_path: Path, session: Session) -> None:
    trial = make_judge(tmp_path, []).begin(session)
    judgement = await trial.message(ID, session, TO_BOB, [BOB, CFO], BrokenMessage(MAIL.encode()))
    assert str(judgement.reply).startswith("451 4.3.0 ")
    assert [decision.verdict for decision in judgement.record.recipients] == ["tempfail", "tempfail"]


async def test_a_plugin_that_never_comes_back_holds_up_neither_loop_nor_others(tmp_path: Path, session: Session) -> None:
    release = threading.Event()
    stuck = plugin_module("stuck", "@hookimpl\ndef inspect_message():\n    release.wait()\n")
    stuck.__dict__["release"] = release
    judge = make_judge(tmp_path, [stuck, plugin_module("good", SAYS)], {"stuck": {"timeout": "20ms"}})

    async def one() -> dict[str, str | None]:
        judgement = await judge.begin(session).message(ID, session, TO_BOB, [BOB], MessageView(MAIL.encode()))
        return {call.plugin: call.error for call in judgement.record.calls}

    try:
        started = time.monotonic()
        errors = [await one() for _ in range(8)]
        errors += await asyncio.gather(*(one() for _ in range(20)))
        assert time.monotonic() - started < 30
        assert all(e["good"] is None for e in errors)
        assert errors[0]["stuck"] == "it took longer than its limit of 0.02 s"
        # All its threads are lost by now, so nothing waits for it any more.
        assert errors[-1]["stuck"] == "all its threads are busy with calls that never came back"
    finally:
        release.set()


async def test_plugins_that_are_off_or_absent_and_optional_are_not_called(tmp_path: Path, session: Session) -> None:
    off = plugin_module("off", "@hookimpl\ndef inspect_message():\n    raise OSError\n")
    judge = make_judge(tmp_path, [off], {"off": {"mode": "off"}})
    judgement = await judge.begin(session).message(ID, session, TO_BOB, [BOB], MessageView(MAIL.encode()))
    assert (judgement.reply.code, judgement.record.calls) == (250, ())


@pytest.mark.parametrize(
    ("value", "words"), [(True, "yes"), (False, ""), ((), ""), (("staff", "vip"), "staff, vip"), ("TLSv1.3", "TLSv1.3"), (3, "3")]
)
def test_a_record_tells_facts_in_words(value: FactValue, words: str) -> None:
    assert in_words(value) == words
