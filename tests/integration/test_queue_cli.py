"""`mailward queue` against a real server whose message store is broken, and then mended."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from support.server import Server, server

MAIL = b"From: a@sender.invalid\r\nTo: demo@example.test\r\nDate: Sun, 01 Mar 2026 12:00:00 +0000\r\nMessage-ID: <1@s>\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def broken(running: Server) -> Iterator[Server]:
    """The store cannot be opened; mended and the queue emptied afterwards."""
    accounts = running.folder / "data/accounts"
    shutil.rmtree(accounts, ignore_errors=True)
    accounts.write_text("in the way")
    yield running
    if accounts.is_file():
        accounts.unlink()
    for message in waiting(running):
        running.run("queue", "drop", message["id"], "--yes")


def waiting(server: Server, *options: str) -> list[dict]:  # type: ignore[type-arg]
    done = server.run("queue", "list", "--json", *options, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict] = json.loads(done.stdout)  # type: ignore[type-arg]
    return found


def until(server: Server, condition: Callable[[list[dict]], bool]) -> list[dict]:  # type: ignore[type-arg]
    """The queue, once it is as expected."""
    deadline = time.monotonic() + 30
    while not condition(found := waiting(server)):
        assert time.monotonic() < deadline, f"{found}\n{server.log()}"
        time.sleep(0.1)
    return found


def put(server: Server) -> str:
    """A message that could not be delivered, once the queue process has it."""
    code, text = server.send(MAIL)
    assert code == 250
    id = text.rpartition(" ")[2]
    until(server, lambda found: any(m["id"] == id for m in found))
    return id


def test_list_and_show_tell_who_waits_why_and_until_when(broken: Server) -> None:
    id = put(broken)
    listed = broken.run("queue", "list", "--to", "example.test", "--from", "sender@sender.invalid").stdout
    head, row, *_ = listed.splitlines()
    assert head.split() == ["ID", "AGE", "SIZE", "FROM", "TO", "STATUS", "TRIED", "NEXT", "WHY"]
    assert row.startswith(id) and "demo@example.test" in row
    assert (
        re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \S+ \(in (\d+s|1m( \d+s)?)\)", row) and "Not a directory" in row
    ) or "accounts" in row
    assert listed.endswith("1 message, 1 recipient: 1 waiting\n")
    counted = broken.run("queue", "list", "--by", "domain").stdout.splitlines()
    assert counted[0].split()[:4] == ["DOMAIN", "RECIPIENTS", "HELD", "OLDEST"] and counted[1].split()[:3] == [
        "example.test",
        "1",
        "-",
    ]
    (group,) = broken.json("queue", "list", "--by", "status", "--problem", "accounts")
    assert (group["name"], group["recipients"], group["ages"]["300"]) == ("waiting", 1, 1)
    shown = broken.run("queue", "show", id).stdout
    assert "from  <sender@sender.invalid>" in shown and "to    <demo@example.test>   waiting, route mailbox" in shown
    assert re.search(r"ago\)  attempt 1 failed, next after \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]", shown)
    assert "ACCEPT demo@example.test: score" in shown or "JUNK demo@example.test: score" in shown
    data = broken.json("queue", "show", id)
    assert isinstance(data, dict) and data["events"][0]["text"].startswith("attempt 1 failed") and data["verdicts"]


def test_t_q_11_a_hold_outlives_the_server_and_a_release_delivers_exactly_once(broken: Server) -> None:
    id = put(broken)
    assert broken.run("queue", "hold", id, "--reason", "asked the sender").stdout == f"{id}  demo@example.test  held\n"
    broken.kill_all()
    (broken.folder / "data/accounts").unlink()
    broken.start()
    (held,) = until(broken, lambda found: len(found) == 1)
    listed = broken.run("queue", "list").stdout
    assert "when released  held: asked the sender" in listed
    assert held["recipients"][0]["status"] == "held" and held["recipients"][0]["reason"] == "asked the sender"
    refused = broken.run("queue", "retry", "--all", check=False)
    assert refused.returncode == 70 and "it is held; release it first" in refused.stdout
    assert [message["id"] for message in waiting(broken, "--status", "held")] == [id]
    broken.run("queue", "release", id)
    until(broken, lambda found: not found)
    assert sum(len(broken.messages(name)) for name in ("INBOX", "Junk")) == 1


def test_retry_tries_at_once(broken: Server) -> None:
    id = put(broken)
    broken.run("queue", "retry", "--to", "demo@example.test")
    (message,) = until(broken, lambda found: found[0]["recipients"][0]["failures"] > 1)
    assert message["id"] == id


def test_drop_keeps_a_copy_and_explain_tells(broken: Server) -> None:
    id = put(broken)
    assert broken.run("queue", "drop", id, stdin="n\n", check=False).returncode == 64
    broken.run("queue", "drop", id, "--to", "demo@example.test", "--reason", "not wanted", "--yes")
    assert not waiting(broken)
    kept = list((broken.folder / "data/quarantine").glob(f"{id}-0.eml"))
    assert len(kept) == 1 and kept[0].read_bytes().endswith(MAIL)
    assert "dropped, a copy is in quarantine: not wanted" in broken.explain(id)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list",), 0, "nothing waits"),
        (("list", "--status", "held"), 0, "nothing waits"),
        (("show", "0000000000000000"), 66, "nothing waits as 0000000000000000"),
        (("retry", "0000000000000000"), 66, "nothing waits that matches"),
        (("release", "--all"), 66, "nothing is held that matches"),
        (("drop", "0000000000000000", "--yes"), 66, "nothing waits that matches"),
        (("retry",), 64, "say which: an ID, --to, --from"),
        (("drop", "--all", "--to", "example.net", "--yes"), 64, "say which"),
        (("list", "--status", "lost"), 64, "--status takes one of: waiting, postponed, held, under way"),
        (("list", "--by", "colour"), 64, "--by one of: domain, sender, status, answer"),
        (("hold", "0000000000000000", "--all"), 64, "say which"),
        (("hold", "--future", "--to", "example.net", "--all"), 64, "say which"),
        (("hold", "--future", "--older-than", "1h"), 64, "--future takes --to, --from or both, or --all"),
        (("reroute", "--to", "example.test", "--via", "smtp:mx.example.net"), 64, "example.test is served here"),
        (("list", "--to", "a b"), 64, "neither a domain nor an address"),
        (("list", "--older-than", "soon"), 64, "'soon' is no duration"),
    ],
)
def test_exit_codes(running: Server, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = running.run("queue", *arguments, check=False)
    assert done.returncode == code and said in done.stdout + done.stderr
    assert running.json("queue", "orders") == []  # what is wrong leaves nothing behind


def test_a_server_that_is_not_running_is_told_plainly() -> None:
    with server(start=False) as made:
        done = made.run("queue", "list", check=False)
        assert done.returncode == 70
        assert "the server does not answer; start it with 'mailward serve'" in done.stderr
        assert "Traceback" not in done.stderr
