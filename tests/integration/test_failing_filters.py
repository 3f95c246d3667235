"""Filters that raise, hang, sleep or answer nonsense: 451 over real SMTP, nothing lost, and `explain` names them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Server, server

HEAD = """\
import asyncio, time
from mailward.api import Finding, MessageView, Plugin, Symbol, hookimpl
plugin = Plugin(api=1, summary="A filter for a test", symbols={"SEEN": Symbol(1.0, "seen")}, capabilities=("body",))

@hookimpl
"""

BROKEN = {
    "raises": "def inspect_message(message: MessageView):\n    raise ValueError('the disk of the filter is on fire')\n",
    "hangs": "async def inspect_message(message: MessageView):\n    await asyncio.sleep(3600)\n",
    "sleeps": "def inspect_message(message: MessageView):\n    time.sleep(20)\n",
    "rubbish": "def inspect_message(message: MessageView):\n    return {'verdict': 'accept'}\n",
}
SAID = {"raises": "the disk of the filter is on fire", "hangs": "1 s", "sleeps": "1 s", "rubbish": "dict"}

GOOD = HEAD + "def inspect_message(message: MessageView):\n    return Finding('SEEN', 'the other filter has looked')\n"

POLICY = """\
version: 1
plugins:
  works: {{}}
  {name}: {{timeout: 1s}}
"""

DLP = (Path(__file__).parents[2] / "docs/tutorials/first-filter.md").read_text().split("```python\n")[1].split("```")[0]


@pytest.fixture(params=sorted(BROKEN))
def target(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str]]:
    with server(policy=POLICY.format(name=request.param), start=False) as made:
        (made.folder / "plugins/works.py").write_text(GOOD)
        (made.folder / f"plugins/{request.param}.py").write_text(HEAD + BROKEN[request.param])
        made.start()
        yield made, request.param


def test_t_plug_03_a_filter_that_fails_is_451_and_explained(target: tuple[Server, str]) -> None:
    made, name = target
    code, text = made.send(b"Subject: x\r\n\r\nbody\r\n")
    assert (code, text[:6]) == (451, "4.3.0 ")
    assert "fire" not in text
    assert name not in text
    record = made.decision()
    assert record["recipients"][0]["verdict"] == "tempfail"
    assert (record["recipients"][0]["source_kind"], record["recipients"][0]["source_name"]) == ("floor", f"{name} failed")
    calls = {call["plugin"]: call for call in record["calls"]}
    assert calls[name]["status"] == "failed"
    assert SAID[name] in calls[name]["error"]
    assert [f["symbol"] for f in calls["works"]["findings"]] == ["SEEN"], "the other filter's finding still counts"
    shown = made.explain()
    assert f"{name} " in shown
    assert "FAILED" in shown
    assert made.messages() == []


def test_after_the_filter_is_mended_and_reloaded_the_same_mail_arrives() -> None:
    with server(policy=POLICY.format(name="raises"), start=False) as made:
        (made.folder / "plugins/works.py").write_text(GOOD)
        broken = made.folder / "plugins/raises.py"
        broken.write_text(HEAD + BROKEN["raises"])
        made.start()
        assert made.send(b"Subject: x\r\n\r\nbody\r\n")[0] == 451
        broken.write_text(HEAD + "def inspect_message(message: MessageView):\n    return None\n")
        made.reload()
        assert made.send(b"Subject: x\r\n\r\nbody\r\n")[0] == 250
        assert len(made.wait_for(1)) == 1


def test_a_reload_with_a_broken_policy_keeps_the_old_one() -> None:
    with server(policy="version: 1\nplugins: {}\n") as made:
        made.policy("version: 1\nplugins: {nosuch: {}}\n")
        made.reload(expect="reload refused")
        assert made.send(b"Subject: x\r\n\r\nbody\r\n")[0] == 250
        assert "policies/inbound.yaml:2" in made.log()


def test_the_filter_of_the_tutorial_as_a_drop_in() -> None:
    with server(
        policy="version: 1\nextends: mailward/inbound\nplugins:\n  antivirus: {engine: test-file}\n  acme_dlp: {}\n", start=False
    ) as made:
        (made.folder / "plugins/acme_dlp.py").write_text(DLP)
        made.start()
        assert made.send(b"From: a@sender.invalid\r\nSubject: card\r\n\r\n4111 1111 1111 1111\r\n")[0] == 250
        record = made.decision()
        found = {f["symbol"]: f for call in record["calls"] for f in call["findings"]}
        assert found["ACME_DLP_CARDS"]["points"] == 3.0
        assert record["facts"]["acme_dlp.cards"] == 1
        (made.folder / "card.eml").write_text("From: a@sender.invalid\nSubject: card\n\n4111 1111 1111 1111\n")
        scanned = made.run("scan", str(made.folder / "card.eml"), check=False)
        assert "ACME_DLP_CARDS" in scanned.stdout


def test_t_plug_01_a_drop_in_that_others_can_write_stops_the_start() -> None:
    with server(policy="version: 1\nplugins: {works: {}}\n", start=False) as made:
        path = made.folder / "plugins/works.py"
        path.write_text(GOOD)
        path.chmod(0o666)
        refused = made.run("policy", "check", check=False)
        assert refused.returncode == 78
        assert "works.py" in refused.stderr
        assert "writ" in refused.stderr
