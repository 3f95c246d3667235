"""Plugins look at a client while it talks, and their word counts at MAIL."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from mailward.api import EnvelopeView
from mailward.model.address import NULL_REVERSE_PATH
from mailward.model.ids import QueueId
from mailward.model.session import Session
from mailward.pipeline.judge import Judge
from mailward.policy import RecipientFacts
from mailward.testing import FakeServices, make_envelope, make_message, make_session
from mailward.testing.policies import made_policy
from support.plugin_modules import plugin_module

TELLS = """
@hookimpl
async def inspect_connect(session):
    return Finding("SEEN", f"connect {session.peer_ip} {session.helo}")

@hookimpl
async def inspect_helo(session, former, evidence):
    return Finding("SEEN", f"helo {session.helo} after {former}, {len(evidence.findings)} before")

@hookimpl
def inspect_mail(session, evidence):
    return Finding("SEEN", f"mail, {len(evidence.findings)} before")
"""
NULL = EnvelopeView(NULL_REVERSE_PATH)


def _judge(code: str, settings: Mapping[str, object] | None = None) -> Judge:
    services = FakeServices()
    policy, host = made_policy("inbound", [plugin_module("own", code)], {"own": settings or {}}, {})
    return Judge(policy, host, services.of, hostname="mx.example.org", clock=services.clock)


def _texts(judge: Judge, *names: str, tls_before: int = -1) -> list[str]:
    async def run() -> list[str]:
        session = make_session("203.0.113.7", None)

        async def soon() -> Session:
            return session

        meeting = judge.meet()
        meeting.connected(soon)
        for index, name in enumerate(names):
            if index == tls_before:
                meeting.forget_name()
            session = make_session("203.0.113.7", name)
            meeting.greeted(soon, name)
        trial = judge.begin(session, meeting)
        assert await trial.mail(session, NULL) is None
        again = judge.begin(session, meeting)
        assert await again.mail(session, NULL) is None
        texts = [finding.text for called in trial.calls for finding in called.findings]
        assert texts == [finding.text for called in again.calls for finding in called.findings]
        meeting.end()
        return texts

    return asyncio.run(run())


def test_each_stage_sees_what_was_found_before_it() -> None:
    connect, helo, mail = _texts(_judge(TELLS), "a.example")
    assert connect.startswith("connect 203.0.113.7")
    assert (helo, mail) == ("helo a.example after None, 1 before", "mail, 2 before")


def test_the_last_name_counts_and_the_one_before_is_told() -> None:
    assert _texts(_judge(TELLS), "a.example", "b.example")[1:] == ["helo b.example after a.example, 1 before", "mail, 2 before"]


def test_names_said_in_clear_are_forgotten_with_starttls() -> None:
    """RFC 3207 section 4.2."""
    assert _texts(_judge(TELLS), "a.example", "b.example", tls_before=1)[1] == "helo b.example after None, 1 before"


def test_a_client_met_by_another_policy_is_looked_at_anew() -> None:
    async def run() -> list[str]:
        session = make_session("203.0.113.7", "a.example")

        async def soon() -> Session:
            return session

        before, after = _judge(TELLS.replace("connect ", "old ")), _judge(TELLS)
        meeting = before.meet()
        meeting.connected(soon)
        trial = after.begin(session, meeting)
        await trial.mail(session, NULL)
        meeting.end()
        return [finding.text for called in trial.calls for finding in called.findings]

    assert asyncio.run(run())[:2] == ["connect 203.0.113.7 a.example", "helo a.example after None, 1 before"]


@pytest.mark.parametrize("hook", ["inspect_connect", "inspect_helo"])
def test_t_plug_03_a_failure_before_mail_is_answered_at_each_mail(hook: str) -> None:
    async def run(judge: Judge) -> list[str]:
        session = make_session("203.0.113.7", "a.example")
        meeting = judge.meet()

        async def soon() -> Session:
            return session

        meeting.connected(soon)
        meeting.greeted(soon, "a.example")
        return [str(await judge.begin(session, meeting).mail(session, NULL)) for _ in range(2)]

    code = f"@hookimpl\ndef {hook}(session):\n    raise OSError('lost')\n"
    assert [reply[:9] for reply in asyncio.run(run(_judge(code)))] == ["451 4.3.0"] * 2
    assert asyncio.run(run(_judge(code, {"on_error": "accept"}))) == ["None", "None"]


def test_a_client_that_goes_leaves_nothing_behind() -> None:
    async def run() -> int:
        judge = _judge("@hookimpl\nasync def inspect_connect(session):\n    await asyncio.Event().wait()\n")

        async def soon() -> Session:
            return make_session("203.0.113.7", "a.example")

        meeting = judge.meet()
        meeting.connected(soon)
        meeting.greeted(soon, "a.example")
        for _ in range(5):
            await asyncio.sleep(0)
        meeting.end()
        for _ in range(5):
            await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def test_shadowed_plugins_look_too_and_do_not_count(tmp_path: Path) -> None:
    async def run() -> tuple[int, list[str]]:
        judge = _judge(TELLS, {"mode": "shadow"})
        session = make_session("203.0.113.7", "a.example")
        trial = judge.begin(session, judge.meet())
        assert await trial.mail(session, NULL) is None
        counted, envelope = len(trial.calls), make_envelope("", ("bob@example.org",))
        recipients = [RecipientFacts.of(path) for path in envelope.forward_paths]
        judgement = await trial.message(
            QueueId("1k0000000000000a"), session, envelope, recipients, make_message("Subject: x\n\nx\n")
        )
        whole = await judgement.whole_record()
        return counted, [finding.text for call in whole.calls for finding in call.findings]

    counted, texts = asyncio.run(run())
    assert counted == 0
    assert texts == ["connect 203.0.113.7 a.example", "helo a.example after None, 1 before", "mail, 2 before"]
