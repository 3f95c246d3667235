"""Plugins in processes of their own in a whole server: they judge, crash and end, and mail is what it is with the others."""

import os
import select
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Server, server

FILTER = """\
import os
from mailward.api import Counter, Finding, Gauge, Histogram, MessageView, Plugin, Services, Symbol, hookimpl
plugin = Plugin(api=1, summary="Watches", symbols={"SEEN": Symbol(0.0, "seen")}, capabilities=("body",))
WATCHED = Counter("watched", "Messages that were watched", ("subject",))
OCTETS = Histogram("octets", "How large they are", bounds=(10.0, 1000000.0))
SEEN_AT = Gauge("pid", "Who watches")

@hookimpl
async def inspect_message(message: MessageView, services: Services) -> Finding:
    services.metrics.count(WATCHED, subject=message.subject)
    services.metrics.observe(OCTETS, message.size_octets)
    services.metrics.set(SEEN_AT, os.getpid())
    if message.subject == "wrong label":
        services.metrics.count(WATCHED, sender="x")
    await services.kv.add_many({b"seen": (1,)})
    if message.subject == "crash":
        os._exit(9)
    if message.subject == "steal":
        open(os.path.join(%r, "mailward.yaml")).read()
    seen = await services.kv.counters([b"seen"])
    services.log.info("watched", pid=os.getpid(), seen=seen[b"seen"][0])
    return Finding("SEEN", f"seen by {os.getpid()}")
"""
POLICY = "version: 1\nplugins:\n  watcher: {isolation: process, timeout: 20s}\n  spam: {isolation: process}\n"


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server(policy=POLICY, start=False) as made:
        (made.folder / "plugins/watcher.py").write_text(FILTER % str(made.folder))
        made.start()
        yield made


def send(target: Server, subject: str) -> str:
    octets = f"From: a@example.net\r\nSubject: {subject}\r\n\r\ntext\r\n"
    with smtplib.SMTP("127.0.0.1", target.port("mx"), timeout=60) as client:
        client.ehlo("mail.example.net")
        client.mail("a@example.net")
        client.rcpt(target.demo)
        code, words = client.data(octets)
    return f"{code} {words.decode()}"


def test_a_message_is_judged_in_the_process_and_explained_as_ever(target: Server) -> None:
    reply = send(target, "hello")
    assert reply.startswith("250")
    target.until(lambda: "seen by " in target.explain())
    pid = int(target.explain().partition("seen by ")[2].split()[0])
    assert pid not in target.worker_pids("smtp")
    assert "mailward.pipeline.isolation.child" in Path(f"/proc/{pid}/cmdline").read_text()
    assert Path(f"/proc/{pid}").stat().st_uid == Path(f"/proc/{target.worker_pids('smtp')[0]}").stat().st_uid


def test_t_plug_03_a_crash_defers_its_message_and_no_other(target: Server) -> None:
    assert send(target, "crash").startswith("451 4.3.0")
    target.until(lambda: "its process ended (exit code 9)" in target.explain())
    assert send(target, "after the crash").startswith("250")


def test_t_plug_14_the_servers_files_are_out_of_reach(target: Server) -> None:
    assert send(target, "steal").startswith("451 4.3.0")
    target.until(lambda: "PermissionError" in target.explain())


def test_what_it_counts_is_among_the_numbers_of_the_server(target: Server) -> None:
    assert send(target, "count me").startswith("250")
    target.until(lambda: "seen by " in target.explain())
    numbers = target.numbers()
    assert numbers["mailward_watcher__watched_total", "count me"] == 1
    assert numbers["mailward_watcher__octets_bucket", "10"] == 0 < numbers["mailward_watcher__octets_count",]
    assert f"seen by {numbers['mailward_watcher__pid',]:.0f}" in target.explain()
    assert numbers["mailward_verdicts_total", "inbound", "accept"] >= 1
    assert numbers["mailward_plugin_calls_total", "watcher"] > numbers.get(("mailward_plugin_failures_total", "watcher"), 0)
    assert send(target, "wrong label").startswith("451")
    assert target.numbers()["mailward_plugin_failures_total", "watcher"] >= 1
    assert {family["name"] for family in target.json("metrics")} >= {"mailward_queue_messages", "mailward_watcher__pid"}


def test_what_a_policy_says_of_isolation_is_shown(target: Server) -> None:
    assert "isolation: process in inbound" in target.run("plugins", "info", "watcher").stdout
    assert target.json("plugins", "info", "watcher")["isolated"] == ["inbound"]
    assert "isolation: none" in target.run("plugins", "info", "dkim").stdout


def test_t_plug_12_after_a_reload_the_new_text_runs_and_the_old_process_is_gone(target: Server) -> None:
    assert send(target, "before the reload").startswith("250")
    target.until(lambda: "seen by " in target.explain())
    old = os.pidfd_open(int(target.explain().partition("seen by ")[2].split()[0]))
    file = target.folder / "plugins/watcher.py"
    file.write_text(file.read_text().replace("seen by {", "looked at by {"))
    target.reload()
    assert send(target, "after the reload").startswith("250")
    target.until(lambda: "looked at by " in target.explain())
    assert select.select([old], [], [], 30)[0]
    os.close(old)


def test_no_process_outlives_the_server(target: Server) -> None:
    assert send(target, "last one").startswith("250")
    target.until(lambda: "looked at by " in target.explain())
    watched = os.pidfd_open(int(target.explain().partition("looked at by ")[2].split()[0]))
    target.kill_all()
    assert select.select([watched], [], [], 30)[0]
    os.close(watched)
