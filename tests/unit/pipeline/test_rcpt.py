"""Plugins look at each forward-path once. What they find counts at RCPT for it alone, and then for the message if it was taken;
facts are those of one recipient to the end."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import permutations

import pytest

from mailward.api import EnvelopeView, MessageView
from mailward.model.address import NULL_REVERSE_PATH
from mailward.model.ids import QueueId
from mailward.pipeline.at_rcpt import MOST_RCPT_FINDINGS
from mailward.pipeline.judge import Judge
from mailward.pipeline.transaction import NOT_SHOWN, Judgement
from mailward.policy import RecipientFacts
from mailward.testing import FakeServices, make_forward_path, make_session
from mailward.testing.policies import made_policy
from support.plugin_modules import plugin_module

FINDS = """
@hookimpl
async def inspect_rcpt(forward_path, envelope):
    return Finding("SEEN", f"{forward_path} after {len(envelope.forward_paths)}")
"""
WORD = """
@hookimpl
def inspect_rcpt(forward_path):
    return Finding(None, 'x', facts=OwnFacts(word=forward_path.address.local_part))
"""
BLOCKED = """
@hookimpl
def inspect_rcpt(forward_path):
    return Finding(None, 'x', facts=OwnFacts(word='blocked' if forward_path.address.local_part == 'b' else 'free'))
"""
FOR_ALL = """
@hookimpl
def inspect_message(evidence):
    words = [finding.facts.word for _, finding in evidence.findings]
    assert evidence.value('own', 'word') == ''
    return Finding(None, 'x', facts=OwnFacts(word='-'.join(sorted(words))))
"""
JUNK_B = {"name": "no-b", "when": 'own.word == "blocked"', "at": "message", "then": "junk"}
FAILS = """
@hookimpl
def inspect_rcpt(forward_path):
    if forward_path.address.local_part == 'b':
        raise OSError('lost')
"""
LAST = """
@hookimpl
async def inspect_rcpt(forward_path):
    return Finding('SEEN', 'the last', asks='reject') if forward_path.address.local_part == "u24" else {otherwise}
"""
NULL = EnvelopeView(NULL_REVERSE_PATH)
A_AND_B = ["a@example.org", "b@example.org"]


def many(number: int) -> list[str]:
    return [f"u{n}@example.org" for n in range(number)]


def _judged(
    code: str,
    addresses: Sequence[str],
    keys: Mapping[str, object] | None = None,
    entry: Mapping[str, object] | None = None,
) -> tuple[list[str], Judgement | None]:
    """The answers to RCPT ("" goes on), and what becomes of the message for those that were taken."""
    services = FakeServices()
    policy, host = made_policy("inbound", [plugin_module("own", code)], {"own": entry or {}}, keys or {})
    judge = Judge(policy, host, services.of, hostname="mx.example.org", clock=services.clock)

    async def run() -> tuple[list[str], Judgement | None]:
        session = make_session("203.0.113.7")
        trial = judge.begin(session)
        await trial.mail(session, NULL)
        envelope, answers = NULL, []
        for path in map(make_forward_path, addresses):
            reply = await trial.rcpt(session, envelope, path, RecipientFacts.of(path))
            answers.append("" if reply is None else str(reply)[:9])
            if reply is None and path not in envelope.forward_paths:
                envelope = EnvelopeView(NULL_REVERSE_PATH, (*envelope.forward_paths, path))
        if not envelope.forward_paths:
            return answers, None
        recipients = [RecipientFacts.of(path) for path in envelope.forward_paths]
        message = MessageView(b"Subject: x\r\n\r\ntext\r\n")
        return answers, await trial.message(QueueId("1k0000000000000a"), session, envelope, recipients, message)

    return asyncio.run(run())


def _taken(code: str, addresses: Sequence[str], entry: Mapping[str, object] | None = None) -> Judgement:
    answers, judgement = _judged(code, addresses, None, entry)
    assert not any(answers) and judgement is not None
    return judgement


def _texts(judgement: Judgement) -> list[str]:
    return [finding.text for call in judgement.record.calls for finding in call.findings]


def test_each_forward_path_is_looked_at_once() -> None:
    judgement = _taken(FINDS, ["a@example.org", "b@example.org", "a@example.org"])
    assert _texts(judgement) == ["a@example.org after 0", "b@example.org after 1"]


def test_what_is_found_of_any_recipient_counts_however_many_there_are() -> None:
    for otherwise in ("None", "Finding(None, 'nothing')", "Finding('SEEN', 'little')"):
        judgement = _taken(LAST.format(otherwise=otherwise), many(60), {"heed": True})
        assert judgement.reply.code == 554 and "the last" in _texts(judgement)


def test_t_dos_16_what_found_nothing_is_recorded_once_and_too_much_is_a_failure() -> None:
    assert len(_taken("@hookimpl\nasync def inspect_rcpt(forward_path):\n    return None\n", many(50)).record.calls) == 1
    hundred = "@hookimpl\nasync def inspect_rcpt(forward_path):\n    return [Finding('SEEN', 'x')] * 100\n"
    answers, judgement = _judged(hundred, many(MOST_RCPT_FINDINGS // 100 + 3))
    assert answers == [""] * (MOST_RCPT_FINDINGS // 100) + ["451 4.3.0"] * 3
    assert judgement is not None and len(_texts(judgement)) == MOST_RCPT_FINDINGS


def test_t_plug_03_a_failure_defers_its_recipient_and_no_other() -> None:
    answers, judgement = _judged(FAILS, [*A_AND_B, "a@example.org", "b@example.org"])
    assert answers == ["", "451 4.3.0", "", "451 4.3.0"]
    assert judgement is not None and judgement.reply.code == 250


def test_t_plug_03_a_failure_that_is_let_pass_is_in_the_record() -> None:
    judgement = _taken(FAILS, A_AND_B, {"on_error": "accept"})
    assert [call.error is not None for call in judgement.record.calls] == [False, True]


def test_a_rule_reads_at_rcpt_what_was_found_there_and_who_is_refused_condemns_nobody() -> None:
    rule = {"name": "no-b", "when": 'own.word == "b"', "then": "reject"}
    answers, judgement = _judged(WORD, ["a@example.org", "b@example.org", "c@example.org", "b@example.org"], {"rules": [rule]})
    assert answers == ["", "554 5.7.1", "", "554 5.7.1"]
    assert judgement is not None and judgement.reply.code == 250


def _verdicts(judgement: Judgement) -> dict[str, str]:
    return {one.recipient: one.verdict for one in judgement.record.recipients}


@pytest.mark.parametrize("addresses", list(permutations(["a@example.org", "b@example.org", "c@example.org"])))
def test_t_plug_06_facts_of_one_recipient_are_not_another_s_in_whichever_order_they_come(addresses: tuple[str, ...]) -> None:
    _, judgement = _judged(BLOCKED, addresses, {"rules": [JUNK_B]})
    assert judgement is not None
    assert _verdicts(judgement) == {"a@example.org": "accept", "b@example.org": "junk", "c@example.org": "accept"}
    assert {one.recipient: one.facts["own.word"] for one in judgement.record.recipients}["b@example.org"] == "blocked"


@pytest.mark.parametrize("silent", [A_AND_B, A_AND_B[::-1]])
def test_t_plug_06_who_was_found_nothing_of_has_the_default(silent: list[str]) -> None:
    only_b = BLOCKED.replace("    return", "    if forward_path.address.local_part == 'b': return")
    _, judgement = _judged(only_b, silent, {"rules": [JUNK_B]})
    assert judgement is not None and _verdicts(judgement) == {"a@example.org": "accept", "b@example.org": "junk"}


@pytest.mark.parametrize("addresses", [A_AND_B, A_AND_B[::-1]])
def test_t_plug_06_what_a_plugin_sets_at_the_message_stage_holds_for_all(addresses: list[str]) -> None:
    rule = {"name": "both", "when": 'own.word == "blocked-free"', "then": "junk"}
    _, judgement = _judged(BLOCKED + FOR_ALL, addresses, {"rules": [rule]})
    assert judgement is not None and set(_verdicts(judgement).values()) == {"junk"}


@pytest.mark.parametrize("addresses", [A_AND_B, A_AND_B[::-1]])
def test_t_plug_06_in_shadow_each_recipient_has_its_own_facts_too(addresses: list[str]) -> None:
    _, judgement = _judged(BLOCKED, addresses, {"rules": [JUNK_B]}, {"mode": "shadow"})
    assert judgement is not None and set(_verdicts(judgement).values()) == {"accept"}
    record = asyncio.run(judgement.whole_record())
    assert {one.recipient: [it.verdict for it in one.shadow] for one in record.recipients} == {
        "a@example.org": [],
        "b@example.org": ["junk"],
    }
    assert [one.facts["own.word"] for one in record.recipients if one.recipient == "b@example.org"] == ["blocked"]


def test_of_recipients_that_a_plugin_in_shadow_was_not_shown_nothing_is_known() -> None:
    few, more = (_taken(FINDS, many(number), {"mode": "shadow"}) for number in (20, 21))
    looked = [asyncio.run(judgement.whole_record()).shadow for judgement in (few, more)]
    assert [thing.unknown for (thing,) in looked] == ["", NOT_SHOWN]
