"""`mailward retro` beside a running server: mail programs see mail vanish and come back, and whoever asks is told of it."""

import fcntl
import imaplib
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from support.server import Server, server

BOB, EVE = "bob@example.test", "eve@example.test"
POLICY = """\
version: 1
extends: mailward/inbound
plugins: {antivirus: {engine: test-file, heed: false}}
rules:
  - {name: infected, when: antivirus.infected, then: quarantine}
  - {name: odd, when: 'message.subject.contains("odd")', then: quarantine}
"""


def octets(subject: str) -> bytes:
    return f"From: a@sender.invalid\r\nTo: {BOB}\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    with server(policy=POLICY) as target:
        target.add_account(BOB)
        target.add_account(EVE)
        target.run("alias", "add", "both@example.test", BOB, EVE)
        yield target


def put(made: Server, subject: str, *to: str, sender: str = "sender@sender.invalid") -> str:
    code, text = made.send(octets(subject), to=to or (BOB,), sender=sender)
    assert code == 250, text
    queue_id = text.rpartition(" ")[2].strip()
    made.wait_delivered(queue_id, len(to) or 1)
    return queue_id


def retro(made: Server, where: str, then: str, *more: str, code: int = 0) -> Any:
    done = made.run("retro", "--where", where, "--then", then, *more, "--json", check=False)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if done.stdout else done.stderr


def _infected(made: Server) -> int:
    """How many messages that are kept carry malware."""
    everything = retro(made, "true", "release", "--since", "1h", "--dry-run", code=1)
    return sum(one["infected"] for one in everything["copies"])


def subjects(made: Server, account: str = BOB, mailbox: str = "INBOX") -> list[str]:
    return [m.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for m in made.messages(mailbox, account)]


def idle_until(client: imaplib.IMAP4_SSL, word: bytes) -> None:
    """Read what an IDLE says, up to a line with this word; the socket's own limit ends it."""
    while word not in (line := client.readline()):
        assert line, "the server has closed the connection"


def about(client: imaplib.IMAP4_SSL, number: int) -> tuple[set[str], str]:
    """Flags and internal date of a message."""
    (answer,) = client.fetch(str(number), "(FLAGS INTERNALDATE)")[1]
    found = re.search(rb'FLAGS \(([^)]*)\).*INTERNALDATE "([^"]*)"', answer) if isinstance(answer, bytes) else None
    assert found is not None, answer
    return set(found[1].decode().split()) - {"\\Recent"}, found[2].decode()


def test_a_client_in_idle_sees_the_copy_vanish_and_come_back(made: Server) -> None:
    wave = put(made, "wave one")
    rest = put(made, "lunch")
    with made.imap(BOB) as client:
        client.select("INBOX")
        client.store("1", "+FLAGS", "(\\Flagged $Mine)")
        client.create("Bank")
        client.copy("1", "Bank")
        before = about(client, 1)
        client.send(b"x IDLE\r\n")
        idle_until(client, b"+ ")
        dry = retro(made, 'message.subject.startsWith("wave")', "quarantine", "--dry-run", code=1)
        (copy,) = dry["copies"]
        assert (copy["id"], copy["recipient"], sorted(copy["mailboxes"])) == (wave, BOB, ["Bank", "INBOX"])
        assert subjects(made) == ["wave one", "lunch"], "nothing is changed"
        done = retro(made, 'message.subject.startsWith("wave")', "quarantine", "--yes")
        idle_until(client, b"1 EXPUNGE")
        assert [one["state"] for one in done["copies"]] == ["done"]
        made.run("retro", "undo", done["id"], "--yes")
        idle_until(client, b"2 EXISTS")
        client.send(b"DONE\r\n")
        idle_until(client, b"x OK")
        assert about(client, 2) == before
    assert (subjects(made), subjects(made, mailbox="Bank")) == (["lunch", "wave one"], ["wave one"])
    assert made.json("quarantine", "list") == []
    story = made.explain(wave)
    assert f"taken into quarantine by retro-action {done['id']}" in story
    assert f"by undoing retro-action {done['id']}" in story
    assert "retro-action" not in made.explain(rest)


def test_it_is_asked_for_each_recipient_and_finds_whom_an_alias_led_to(made: Server) -> None:
    put(made, "aliased", "both@example.test")
    put(made, "aliased", BOB, EVE)
    where = 'message.subject == "aliased" && recipient.address == "eve@example.test"'
    done = retro(made, where, "quarantine", "--yes")
    assert [one["recipient"] for one in done["copies"]] == [EVE]
    assert (subjects(made).count("aliased"), subjects(made, EVE)) == (2, ["aliased"])
    done = retro(made, 'message.subject == "aliased"', "quarantine", "--to", "both@example.test", "--yes")
    assert sorted(one["recipient"] for one in done["copies"]) == [BOB, EVE]
    assert (subjects(made).count("aliased"), subjects(made, EVE)) == (1, [])
    held = made.json("quarantine", "list", "--to", EVE)
    assert {one["verdict"] for one in made.json("quarantine", "show", *(one["id"] for one in held))} == {"accept"}
    made.run("quarantine", "release", *(one["id"] for one in held))
    assert subjects(made, EVE) == ["aliased", "aliased"], "what was taken can be released as all else"


def test_what_was_deleted_is_said_and_stays_deleted(made: Server) -> None:
    put(made, "gone", sender="gone@sender.invalid")
    with made.imap(BOB) as client:
        client.select("INBOX")
        _, (found,) = client.search(None, "SUBJECT gone")
        client.store(found.decode(), "+FLAGS", "\\Deleted")
        client.expunge()
    dry = retro(made, 'mail_from.address == "gone@sender.invalid"', "quarantine", "--dry-run")
    assert (dry["copies"], dry["without"]) == ([], {"deleted by its owner": 1})
    assert "gone" not in subjects(made)


def test_a_client_in_idle_sees_what_was_deleted_by_mistake_come_back_but_not_what_was_taken(made: Server) -> None:
    put(made, "mistake")
    put(made, "phish", sender="phish@sender.invalid")
    with made.imap(BOB) as client:
        client.select("INBOX")
        _, (found,) = client.search(None, "SUBJECT mistake")
        client.store(found.decode(), "+FLAGS", "(\\Deleted \\Flagged)")
        client.expunge()
        assert len(retro(made, "true", "quarantine", "--from", "phish@sender.invalid", "--yes")["copies"]) == 1
        client.send(b"x IDLE\r\n")
        idle_until(client, b"+ ")
        assert made.json("undelete", BOB, "--mailbox", "INBOX", "--yes")["put_back"]["INBOX"] >= 1
        idle_until(client, b" EXISTS")
        client.send(b"DONE\r\n")
        idle_until(client, b"x OK")
        assert client.search(None, "SUBJECT mistake FLAGGED UNDELETED")[1][0]
    assert "phish" not in subjects(made)
    assert made.json("undelete", BOB, "--dry-run") == []


def test_new_mail_is_read_for_searches_before_anybody_searches(made: Server) -> None:
    put(made, "searched")

    def marks() -> int:
        found = 0
        for path in (made.folder / "data" / "accounts").glob("*/search.sqlite"):
            with closing(sqlite3.connect(path)) as marked, suppress(sqlite3.OperationalError):  # it is being made
                found += marked.execute("SELECT count(*) FROM mark").fetchone()[0]
        return found

    made.until(lambda: marks() >= 1)


def test_a_tag_is_seen_by_mail_programs_and_taken_off_again(made: Server) -> None:
    put(made, "tagged", sender="list@sender.invalid")
    done = retro(made, "true", "tag", "--from", "list@sender.invalid", "--tag", "$Wave", "--yes")
    with made.imap(BOB) as client:
        client.select("INBOX")
        assert len(client.search(None, "KEYWORD $Wave")[1][0].split()) == 1
        made.run("retro", "undo", done["id"], "--yes")
        client.noop()
        assert client.search(None, "KEYWORD $Wave")[1][0].split() == []


def test_kept_mail_is_let_go_but_no_malware_and_it_is_taken_back(made: Server) -> None:
    kept = put(made, "odd one", EVE)
    assert made.run("try", "send", "--eicar").returncode == 0
    made.until(lambda: _infected(made) == 1)  # it is kept some moments after the reply
    done = retro(made, "true", "release", "--since", "1h", "--yes", code=2)
    by_state = {one["state"]: one for one in done["copies"]}
    assert by_state["left"]["outcome"].startswith("it carries malware")
    assert "odd one" in subjects(made, EVE)
    undone = made.run("retro", "undo", done["id"], "--yes")
    assert "put back into quarantine" in undone.stdout
    assert "odd one" not in subjects(made, EVE)
    assert f"let go by retro-action {done['id']}" in made.explain(kept)


def test_a_copy_that_was_released_into_another_mailbox_is_found_there_and_none_beside_it(made: Server) -> None:
    queue_id = put(made, "odd wave", BOB, EVE)
    first, second = sorted(held["id"] for held in made.json("quarantine", "list") if held["id"].startswith(queue_id))
    made.run("quarantine", "release", first, "--to", EVE)
    made.run("quarantine", "release", second)
    assert subjects(made, EVE).count("odd wave") == 2
    done = retro(made, f'recipient.address == "{BOB}" && message.subject == "odd wave"', "quarantine", "--since", "1h", "--yes")
    assert [one["state"] for one in done["copies"]] == ["done"]
    assert subjects(made, EVE).count("odd wave") == 1 and "odd wave" not in subjects(made)


def test_a_copy_is_not_let_go_for_whom_its_sender_calls_the_original_recipient(made: Server) -> None:
    with made.smtp() as client:
        client.ehlo()
        client.mail("orcpt@sender.invalid")
        client.rcpt(EVE, [f"ORCPT=rfc822;{BOB}"])
        client.rcpt(BOB)
        code, text = client.data(octets("odd original"))
    assert code == 250
    queue_id = text.decode().rpartition(" ")[2].strip()
    made.wait_delivered(queue_id, 2)
    where = f'recipient.address == "{BOB}" && mail_from.address == "orcpt@sender.invalid"'
    done = retro(made, where, "release", "--yes")
    assert [one["recipient"] for one in done["copies"]] == [BOB]
    left = [one["recipient"] for one in made.json("quarantine", "list") if one["id"].startswith(f"{queue_id}:")]
    assert left == [EVE]


def test_a_condition_that_means_too_much_is_refused_and_a_wrong_one_is_explained(made: Server) -> None:
    for _ in range(2):
        put(made, "many")
    before = subjects(made)
    refused = retro(made, 'message.subject == "many"', "quarantine", "--limit", "1", "--yes", code=64)
    assert "2 copies, and --limit is 1" in refused
    assert "there is no terminal" in retro(made, 'message.subject == "many"', "quarantine", code=64)
    wrong = retro(made, 'author.domian == "x"', "quarantine", "--yes", code=78)
    assert "no fact is called 'author.domian'" in wrong and "Did you mean 'author.domain'?" in wrong
    assert "no tag" in retro(made, "true", "tag", "--tag", "a b", "--yes", code=64)
    assert subjects(made) == before
    assert made.run("retro", "show", "R999", check=False).returncode == 66


def test_while_another_is_at_work_nothing_is_done_and_trying_again_is_told(made: Server) -> None:
    put(made, "busy")
    done = retro(made, 'message.subject == "busy"', "tag", "--tag", "$Busy", "--yes")
    with (made.folder / "data/retro.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = retro(made, 'message.subject == "busy"', "quarantine", "--yes", code=75)
        assert "nothing was done: another `mailward retro` is at work; try again" in said
        assert made.run("retro", "undo", done["id"], "--yes", check=False).returncode == 75
    assert "busy" in subjects(made)
    made.run("retro", "undo", done["id"], "--yes")


def test_all_that_was_done_is_listed(made: Server) -> None:
    put(made, "listed")
    retro(made, 'message.subject.startsWith("listed")', "tag", "--tag", "$Wave", "--since", "1h", "--yes")
    listed = made.json("retro", "list")
    assert [one["id"] for one in listed] == [f"R{number}" for number in range(len(listed), 0, -1)]
    shown = made.run("retro", "list").stdout
    assert "tag $Wave" in shown and "message.subject.startsWith" in shown
    assert made.run("retro", "show", listed[-1]["id"]).stdout.startswith("id")
