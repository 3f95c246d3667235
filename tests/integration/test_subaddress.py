"""Subaddresses and folders over real SMTP and IMAP: who chooses, what `explain` says, and what a failing plugin costs."""

import smtplib
from collections.abc import Iterator

import pytest

from support.server import Server, server

POLICY = """\
version: 1
plugins:
  subaddress: {settings}
rules:
  - {{name: bills, when: message.subject == "bill", do: [{{folder: Bills}}]}}
  - {{name: inbox, when: message.subject == "inbox", do: [{{folder: INBOX}}]}}
  - {{name: spam, when: message.subject == "spam", then: junk}}
"""


KEPT = {
    "&BkUGzCAMBi4-": "\u0645\u06cc\u200c\u062e",  # Persian: the ZWNJ belongs into the word
    "&2D3caCAN2D3cuw-": "\U0001f468\u200d\U0001f4bb",  # an emoji of two, joined by a ZWJ
}
"""Folders by their names in IMAP (modified UTF-7, RFC 3501 section 5.1.3), with invisible characters."""


@pytest.fixture(params=["{isolation: none}", "{isolation: process, timeout: 20s}"], scope="module")
def target(request: pytest.FixtureRequest) -> Iterator[Server]:
    with server(policy=POLICY.format(settings=request.param)) as made:
        with made.imap() as client:
            for name in ("Lists", "Bills", '"[Gmail]/Spam"', *KEPT):
                assert client.create(name)[0] == "OK"
        yield made


def mail(subject: str, author: str = "a@sender.invalid") -> bytes:
    return f"From: {author}\r\nSubject: {subject}\r\n\r\ntext\r\n".encode()


def arrived(target: Server, subject: str, detail: str, quote: str = "") -> tuple[str, str]:
    """Send it to the subaddress; the folder in which it is then, and the words of `explain`."""
    code, text = target.send(mail(subject), to=[f"{quote}demo+{detail}{quote}@example.test"])
    assert code == 250, text
    queue_id = text.rsplit(" ", 1)[1]
    target.wait_delivered(queue_id)
    folders = [
        name
        for name in ("INBOX", "Lists", "Bills", "Junk", "Trash")
        for octets in target.messages(name)
        if f"id {queue_id}".encode() in octets
    ]
    assert len(folders) == 1
    return folders[0], target.explain(queue_id)


def test_mail_for_a_subaddress_goes_into_the_folder_that_the_user_has(target: Server) -> None:
    folder, told = arrived(target, "hello", "lists")
    assert folder == "Lists" and "delivered to Lists, chosen by subaddress: +lists" in told


def test_where_there_is_no_such_folder_it_is_inbox(target: Server) -> None:
    folder, told = arrived(target, "hello", "shoes")
    assert folder == "INBOX" and "delivered to INBOX, chosen by subaddress: +shoes: there is no such folder" in told


def test_a_stranger_cannot_choose_trash(target: Server) -> None:
    folder, told = arrived(target, "hello", "Trash")
    assert folder == "INBOX" and "no address may choose that folder" in told


def test_a_stranger_cannot_choose_a_spam_folder_of_another_server(target: Server) -> None:
    folder, told = arrived(target, "hello", "[gmail].spam", '"')
    assert folder == "INBOX" and "no address may choose that folder" in told


@pytest.mark.parametrize("name", KEPT)
def test_a_folder_with_invisible_characters_is_found(target: Server, name: str) -> None:
    with target.smtp() as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        client.mail("a@sender.invalid", ["SMTPUTF8"])
        assert client.rcpt(f"demo+{KEPT[name]}@example.test")[0] == 250
        code, text = client.data(mail("hello"))
    assert code == 250, text
    queue_id = text.decode().rsplit(" ", 1)[1]
    target.wait_delivered(queue_id)
    assert f"id {queue_id}".encode() in target.messages(name)[-1]


@pytest.mark.parametrize(("subject", "folder"), [("bill", "Bills"), ("inbox", "INBOX"), ("spam", "Junk")])
def test_a_rule_and_the_verdict_go_before_the_subaddress(target: Server, subject: str, folder: str) -> None:
    found, told = arrived(target, subject, "lists")
    assert found == folder and f"delivered to {folder}" in told and "subaddress" not in told


def test_mail_of_a_user_of_ours_is_sorted_as_well(target: Server) -> None:
    before = len(target.messages("Lists"))
    assert target.submit(mail("from within", target.demo), "demo+lists@example.test")[0] == 250
    target.wait_for(before + 1, "Lists")


def test_a_report_of_a_delivery_does_not_tell_strangers_what_folders_there_are(target: Server) -> None:
    before = len(target.messages())
    with target.submission() as client:
        client.ehlo()
        client.mail("demo@example.test")
        client.rcpt("demo+lists@example.test", ["NOTIFY=SUCCESS"])
        assert client.data(mail("tell me", target.demo))[0] == 250
    report = target.wait_for(before + 1)[-1]
    assert b"Action: delivered" in report
    assert b"demo+lists@example.test" in report and b"chosen" not in report and b"Lists" not in report


FAILING = """\
from mailward.api import Delivery, FolderChoice, Plugin, Services, hookimpl
plugin = Plugin(api=1, summary="Fails at first", capabilities=("edits",))

@hookimpl
async def provide_folder(delivery: Delivery, services: Services) -> FolderChoice:
    await services.kv.add_many({b"asked": (1,)})
    if (await services.kv.counters([b"asked"]))[b"asked"][0] <= FAILURES:
        FAULT
    return FolderChoice("Archive", "at last")
"""
FAULTS = {
    "raises": ("raise KeyError('lost')", "none"),
    "hangs": ("import asyncio; await asyncio.sleep(3600)", "none"),
    "ends its process": ("import os; os._exit(9)", "process"),
}
SAID = {"raises": "KeyError: 'lost'", "hangs": "it took longer than its limit of 2 s", "ends its process": "exit code 9"}


@pytest.mark.parametrize("fault", FAULTS)
def test_t_plug_03_a_plugin_that_fails_after_the_250_keeps_the_mail_queued_and_loses_nothing(fault: str) -> None:
    body, isolation = FAULTS[fault]
    with server(policy=f"version: 1\nplugins:\n  failing: {{timeout: 2s, isolation: {isolation}}}\n", start=False) as target:
        # One that ends its process is asked twice, since nobody knows at first which of its calls did it.
        text = FAILING.replace("FAILURES", "2").replace("FAULT", body)
        (target.folder / "plugins/failing.py").write_text(text)
        target.start()
        code, words = target.send(mail("kept"))
        assert code == 250
        queue_id = words.rsplit(" ", 1)[1]
        target.until(lambda: "attempt 1 failed" in target.run("explain", queue_id, check=False).stdout)
        assert SAID[fault] in target.explain(queue_id)
        target.until(lambda: queue_id in target.run("queue", "list").stdout)
        target.until(lambda: arrives_when_retried(target))
        assert len(target.messages("Archive")) == 1 and target.messages() == []
        target.until(lambda: "delivered to Archive, chosen by failing: at last" in target.explain(queue_id))


def arrives_when_retried(target: Server) -> bool:
    target.run("queue", "retry", "--all", check=False)
    return bool(target.messages("Archive"))


def test_t_plug_03_one_that_blocks_the_loop_is_moved_away_and_its_mail_is_not_lost() -> None:
    with server(policy="version: 1\nplugins:\n  failing: {timeout: 2s}\n", start=False) as target:
        text = FAILING.replace("FAILURES", "10**9").replace("FAULT", "import time; time.sleep(3600)")
        plugin = target.folder / "plugins/failing.py"
        plugin.write_text(text)
        target.start()
        assert target.send(mail("kept"))[0] == 250
        target.until(lambda: b"plugin moved to a process of its own" in target.log_octets(), 60)
        target.until(lambda: target.log_octets().count(b'event="worker ready" role=queue') == 2)
        plugin.write_text(text.replace("10**9", "0"))
        target.reload()
        target.until(lambda: arrives_when_retried(target), 60)
        assert len(target.messages("Archive")) == 1


def test_folders_are_made_where_the_admin_says_so() -> None:
    with server(policy=POLICY.format(settings="{create: true, most_folders: 8}")) as target:
        details = [f"new{number}" for number in range(6)]
        with smtplib.SMTP("127.0.0.1", target.port("mx"), timeout=60) as client:
            client.sendmail("a@sender.invalid", [f"demo+{one}@example.test" for one in details], mail("many"))
        target.until(lambda: target.log_octets().count(b"event=delivered id=") == len(details))
        with target.imap() as imap:
            _, listed = imap.lsub()
        made = [line for line in listed if isinstance(line, bytes) and b"new" in line]
        assert len(made) == 2
        assert sum(len(target.messages(one)) for one in ("new0", "new1", "INBOX")) == len(details)
