"""Modes on a running server: who is in shadow looks after the 250, and a reload changes a mode while mail comes in."""

import os
import re
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailward.app.config_file import load_config
from mailward.decisions import DecisionStore
from mailward.model.ids import QueueId
from mailward.policy.canary import Canary, canary_key
from mailward.services.srs_keys import srs_keys
from support.server import Server, server

GATED = """\
from mailward.api import Finding, MessageView, Plugin, Symbol, hookimpl
plugin = Plugin(api=1, summary="Looks when it may", symbols={{"SEEN": Symbol(9.0, "seen")}}, capabilities=("body", "files"))

@hookimpl
def inspect_message(message: MessageView):
    if message.subject == "wait":
        open({gate!r}).close()
    return Finding("SEEN", "it has looked")
"""
POLICY = "version: 1\nplugins:\n  gated: {{mode: {mode}, timeout: 60s}}\nlimits: {{junk: 5}}\n"
CLIENTS, RELOADS = 4, 4


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    with server(policy=POLICY.format(mode="shadow"), start=False) as target:
        gate = target.folder / "gate"
        os.mkfifo(gate)
        gate.chmod(0o666)
        (target.folder / "plugins/gated.py").write_text(GATED.format(gate=str(gate)))
        target.start()
        yield target


def id_of(text: str) -> QueueId:
    found = re.search(r"id (\w+)", text)
    assert found is not None, text
    return QueueId(found[1])


def explained(made: Server, id: str) -> str:
    return made.explain(id)


def test_the_250_comes_before_a_plugin_in_shadow_has_looked_and_its_findings_come_later(made: Server) -> None:
    code, text = made.send(b"Subject: wait\r\n\r\nbody\r\n")
    id = id_of(text)
    made.wait_delivered(id)
    first = explained(made, id)
    assert (code, first.split()[0]) == (250, "ACCEPT")
    assert "shadow: plugin gated: not known: it looks after the reply" in first
    with (made.folder / "gate").open("w"):  # waits for its reader
        pass
    made.until(lambda: "it has looked (shadow: not counted)" in explained(made, id))
    then = explained(made, id)
    assert "shadow: with plugin gated: JUNK   score 9.0 >= limits.junk 5" in then
    assert "not known" not in then
    assert "delivered" in then


def test_scan_shows_at_once_what_a_plugin_in_shadow_says(made: Server, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(b"Subject: x\r\n\r\nbody\r\n")
    found = made.run("scan", str(tmp_path / "mail")).stdout
    assert "it has looked (shadow: not counted)" in found
    assert "with plugin gated: JUNK" in found


def test_a_mode_changes_under_load_and_nothing_is_deferred(made: Server) -> None:
    done = False

    def keep_sending() -> list[tuple[int, str]]:
        replies = []
        while not done:
            replies.append(made.send(b"Subject: x\r\n\r\nbody\r\n"))
        return replies

    with ThreadPoolExecutor(CLIENTS) as pool, made.smtp() as under_way:
        clients = [pool.submit(keep_sending) for _ in range(CLIENTS)]
        try:
            under_way.ehlo()
            assert under_way.mail("sender@sender.invalid")[0] == 250
            for number in range(RELOADS):
                made.policy(POLICY.format(mode="shadow" if number % 2 else "enforce"))
                made.reload()
            made.policy(POLICY.format(mode="enforce"))
            made.reload()
            kept_its_set = finish(under_way)
        finally:
            done = True
        replies = [reply for client in clients for reply in client.result()]
    assert {code for code, _ in replies} == {250}
    store = DecisionStore(load_config(made.config).decisions_file)
    try:
        made.until(lambda: all(store.get(id_of(text)) for _, text in replies))
        records = [store.get(id_of(text)) for _, text in replies]
        verdicts = {(record.recipients[0].verdict, bool(record.shadow)) for record in records if record is not None}
        made.until(lambda: store.get(kept_its_set) is not None)
        old = store.get(kept_its_set)
    finally:
        store.close()
    assert verdicts == {("junk", False), ("accept", True)}, "each message meets the one set or the other"
    assert old is not None
    assert [thing.name for thing in old.shadow] == ["gated"], "a transaction under way keeps its set"
    assert explained(made, id_of(made.send(b"Subject: x\r\n\r\nbody\r\n")[1])).startswith("JUNK")


def test_a_canary_counts_for_some_senders_and_explain_says_for_which(made: Server) -> None:
    made.policy(POLICY.format(mode="canary, share: 50%"))
    made.reload()
    canary, key = Canary("plugin", "gated", 50), canary_key(srs_keys(made.folder / "secrets")[0])
    senders = [f"user{number}@sender.invalid" for number in range(20)]
    for counts in (True, False):
        sender = next(one for one in senders if canary.draws(one, key) is counts)
        id = id_of(made.send(b"Subject: x\r\n\r\nbody\r\n", sender=sender)[1])
        made.wait_delivered(id)
        made.until(lambda id=id: "it has looked" in explained(made, id))  # type: ignore[misc]
        told = explained(made, id)
        assert told.startswith("JUNK" if counts else "ACCEPT")
        assert f"canary: plugin gated: {'counted' if counts else 'not counted'}\n" in told


def test_a_canary_for_one_domain_meets_a_message_that_is_for_another_too(made: Server) -> None:
    made.add_account("cfo@finance.test")
    made.policy(POLICY.format(mode='canary, for: {recipient: [finance.test, "finanec.test"]}'))
    assert "Did you mean 'finance.test'?" in made.run("policy", "check").stdout
    made.reload()
    code, text = made.send(b"Subject: for both\r\n\r\nbody\r\n", to=["demo@example.test", "cfo@finance.test"])
    assert code == 250
    id = id_of(text)
    made.wait_delivered(id, 2)
    told = explained(made, id)
    assert "ACCEPT  demo@example.test   score 0.0" in told and "JUNK  cfo@finance.test   score 9.0 >= limits.junk 5" in told
    assert "canary: plugin gated: counted for cfo@finance.test\n" in told
    assert "for demo@example.test: shadow: with plugin gated: JUNK" in told and "for cfo@finance.test: shadow" not in told
    assert "it has looked (canary: not counted for all)" in told
    assert any(b"for both" in octets for octets in made.messages("Junk", "cfo@finance.test"))
    assert any(b"for both" in octets for octets in made.messages("INBOX"))
    report = made.run("policy", "shadow", "--since", "1m", "--limit", "100", check=False).stdout
    assert f"{id} " in report and "to demo@example.test" in report and "to cfo@finance.test" not in report
    own = id_of(made.send(b"Subject: x\r\n\r\nbody\r\n", to=["cfo@finance.test"])[1])
    assert "canary: plugin gated: counted\n" in explained(made, own)
    other = explained(made, id_of(made.send(b"Subject: x\r\n\r\nbody\r\n")[1]))
    assert other.startswith("ACCEPT") and "canary: plugin gated: not counted\n" in other


def finish(client: smtplib.SMTP) -> QueueId:
    """The rest of a transaction after MAIL; the id of its message."""
    assert client.rcpt("demo@example.test")[0] == 250
    code, text = client.data(b"Subject: x\r\n\r\nbody\r\n")
    assert code == 250
    return id_of(text.decode())
