"""Plugins look at each forward-path once, whoever gives thousands, and their failure is answered at RCPT."""

import asyncio
from collections.abc import Mapping, Sequence

from mailward.api import EnvelopeView
from mailward.model.address import NULL_REVERSE_PATH
from mailward.pipeline.judge import Judge
from mailward.pipeline.transaction import Trial
from mailward.policy import RecipientFacts
from mailward.testing import FakeServices, make_forward_path, make_session
from mailward.testing.policies import made_policy
from support.plugin_modules import plugin_module

FINDS = """
@hookimpl
async def inspect_rcpt(forward_path, envelope):
    return Finding("SEEN", f"{forward_path} after {len(envelope.forward_paths)}")
"""
NULL = EnvelopeView(NULL_REVERSE_PATH)


def _answers(code: str, addresses: Sequence[str], keys: Mapping[str, object] | None = None) -> tuple[list[str], Trial]:
    services = FakeServices()
    policy, host = made_policy("inbound", [plugin_module("own", code)], {}, keys or {})
    judge = Judge(policy, host, services.of, hostname="mx.example.org", clock=services.clock)

    async def run() -> tuple[list[str], Trial]:
        session = make_session("203.0.113.7")
        trial = judge.begin(session)
        await trial.mail(session, NULL)
        envelope, answers = NULL, []
        for path in map(make_forward_path, addresses):
            answers.append(str(await trial.rcpt(session, envelope, path, RecipientFacts.of(path)))[:9])
            envelope = EnvelopeView(NULL_REVERSE_PATH, (*envelope.forward_paths, path))
        return answers, trial

    return asyncio.run(run())


def _texts(trial: Trial) -> list[str]:
    return [finding.text for called in trial.calls for finding in called.findings]


def test_each_forward_path_is_looked_at_once() -> None:
    answers, trial = _answers(FINDS, ["a@example.org", "b@example.org", "a@example.org"])
    assert answers == ["None"] * 3
    assert _texts(trial) == ["a@example.org after 0", "b@example.org after 1"]


def test_t_dos_16_thousands_of_recipients_make_no_endless_record() -> None:
    _, trial = _answers(FINDS, [f"u{number}@example.org" for number in range(1000)])
    assert len(trial.calls) == 20
    quiet, late = "    return None\n", 'if forward_path.address.local_part == "u999" else None\n'
    _, trial = _answers("@hookimpl\nasync def inspect_rcpt(forward_path):\n" + quiet, [f"u{n}@example.org" for n in range(50)])
    assert len(trial.calls) == 1
    code = "@hookimpl\nasync def inspect_rcpt(forward_path):\n    return Finding('SEEN', 'the last') " + late
    _, trial = _answers(code, [f"u{number}@example.org" for number in range(1000)])
    assert _texts(trial) == ["the last"]


def test_t_plug_03_a_failure_is_answered_at_rcpt() -> None:
    code = "@hookimpl\ndef inspect_rcpt(forward_path):\n    if forward_path.address.local_part == 'b':\n        raise OSError('lost')\n"
    answers, trial = _answers(code, ["a@example.org", "b@example.org", "a@example.org"])
    assert answers == ["None", "451 4.3.0", "451 4.3.0"]
    assert [called.failed for called in trial.calls] == [False, True]


def test_a_rule_reads_at_rcpt_what_was_found_there() -> None:
    code = "@hookimpl\ndef inspect_rcpt(forward_path):\n    return Finding(None, 'x', facts=OwnFacts(word=forward_path.address.local_part))\n"
    rule = {"name": "no-b", "when": 'own.word == "b"', "then": "reject"}
    answers, _ = _answers(code, ["a@example.org", "b@example.org"], {"rules": [rule]})
    assert answers == ["None", "554 5.7.1"]
