"""Backup while mail comes in, and the way back: nothing that was there is lost, no number means two messages, kills cost nothing."""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.faults import Action, Fault, with_fault
from support.moving import seen
from support.reader import Reader
from support.server import PASSWORD, Server, server

DEMO = "demo@example.test"


def mail(subject: str, octets: int = 10) -> bytes:
    return f"From: a@example.net\r\nSubject: {subject}\r\n\r\n{'x' * octets}\r\n".encode()


@pytest.fixture
def target() -> Iterator[Server]:
    with server() as made:
        yield made


def place(target: Server) -> Path:
    return target.folder.parent / "backup"


def backup(target: Server, *more: str) -> Any:
    return target.json("backup", "--to", str(place(target)), *more)


def append(target: Server, *subjects: str, folder: str = "INBOX") -> None:
    with target.imap() as client:
        for subject in subjects:
            assert client.append(folder, "", "", mail(subject))[0] == "OK"


def subjects(target: Server, folder: str = "INBOX") -> set[str]:
    return {octets.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for octets in target.messages(folder)}


def state(target: Server, folder: str = "INBOX") -> Any:
    with target.imap() as client:
        return seen(client, folder)


def test_t_q_21_a_snapshot_taken_while_mail_comes_in_has_all_that_was_there_before(target: Server) -> None:
    append(target, "before")
    with target.imap() as client:
        client.select("INBOX")
        client.search(None, "TEXT", "nowhere")
    assert list(target.folder.glob("data/accounts/*/search.sqlite"))
    acknowledged: list[str] = []
    is_over = threading.Event()

    def deliver() -> None:
        with target.imap() as client:
            while not is_over.is_set():
                answer, _ = client.append("INBOX", "", "", mail(f"m{len(acknowledged)}", 3000))
                assert answer == "OK"
                acknowledged.append(f"m{len(acknowledged)}")

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        target.until(lambda: len(acknowledged) > 20)
        before = set(acknowledged)
        taken = backup(target)
        second = backup(target)
        assert len(acknowledged) > len(before)
    finally:
        is_over.set()
        thread.join()
    assert target.json("backup", "verify", str(place(target)))["damaged"] == []
    inside = Path(second["path"])
    assert (inside / "data/directory.sqlite").is_file() and not (inside / "data/spool").exists()
    assert not list(inside.rglob("search.sqlite")), "what it knows of numbers to come would make searches miss mail"
    assert (inside / "config/mailward.yaml").samefile(Path(taken["path"]) / "config/mailward.yaml"), "what is the same is a link"
    target.stop()
    assert target.run("restore", str(place(target)), check=False).returncode == 70, "not over what is there"
    nothing = target.run("restore", str(target.folder / "nothing"), check=False)
    assert nothing.returncode == 66 and "nothing is no folder of backups" in nothing.stderr
    shutil.rmtree(target.folder / "data")
    target.run("restore", str(place(target)), "--snapshot", taken["snapshot"])
    target.start()
    found = subjects(target)
    assert found >= {"before"} | before
    assert all(len(octets) > 3000 for octets in target.messages() if b"Subject: m" in octets)
    assert target.send(mail("after"))[0] == 250
    target.until(lambda: "after" in subjects(target))


def test_t_imap_16_a_restored_account_gives_no_uid_twice_and_what_was_there_is_set_aside(target: Server) -> None:
    append(target, "one", "two")
    append(target, "sent", folder="Sent")
    before, sent_before = state(target), state(target, "Sent")
    backup(target, "--account", DEMO)
    with target.imap() as client:
        client.select("INBOX")
        client.store("1", "+FLAGS", "(\\Deleted)")
        client.expunge()
    append(target, "three")
    lost, _ = state(target)
    running = target.run("restore", str(place(target)), "--account", DEMO, "--replace", check=False)
    assert running.returncode == 75 and "running" in running.stderr
    target.stop()
    done = target.json("restore", str(place(target)), "--account", DEMO, "--replace")
    target.start()
    after = state(target)
    assert after[0] > lost and after[1] == before[1], "UID 3 meant something else"
    assert state(target, "Sent") == sent_before, "nothing has happened there"
    (aside,) = map(Path, done["set_aside"])
    assert (aside / "index.sqlite").is_file()
    assert (done["restored"]["accounts"], done["restored"]["messages"]) == (1, 3)


def test_what_is_missing_comes_back_while_the_server_runs_and_nothing_else(target: Server) -> None:
    append(target, "kept", "moved", "gone")
    append(target, "of a lost folder", folder="Trash")
    with target.imap() as client:
        client.create("Projects")
        client.select("Trash")
        client.copy("1", "Projects")
        client.select("INBOX")
        client.store("3", "+FLAGS", "(\\Flagged $Label1)")
    backup(target)
    before = state(target)
    with target.imap() as client:
        client.select("INBOX")
        client._simple_command("MOVE", "2", "Archive")
        client.store("2", "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.delete("Projects")
    missing = ("restore", str(place(target)), "--account", DEMO, "--missing")
    done = target.json(*missing)
    assert {one["to"]: one["brought"] for one in done["mailboxes"] if one["brought"]} == {"INBOX": 1, "Projects": 1}
    assert subjects(target) == {"kept", "gone"} and subjects(target, "Archive") == {"moved"}
    assert subjects(target, "Projects") == {"of a lost folder"}
    after = state(target)
    assert after[0] == before[0], "T-IMAP-16: what is there keeps its numbers"
    assert after[1][1] == before[1][1] and after[1][4] == before[1][3] and 3 not in after[1]
    assert sum(one["brought"] for one in target.json(*missing)["mailboxes"]) == 0
    assert not (target.folder / "data/beside/copy").exists()


def damage(target: Server, subject: str) -> None:
    """Two octets of a message, as a medium does it."""
    (pack,) = target.folder.glob("data/accounts/*/packs/*.pack")
    with pack.open("r+b") as opened:
        opened.seek(pack.read_bytes().index(f"Subject: {subject}".encode()) + 9)
        opened.write(b"\0\0")


def test_t_q_13_a_damaged_message_is_whole_again_from_a_backup_while_the_server_runs(target: Server) -> None:
    append(target, "one", "two")
    backup(target)
    before = state(target)
    damage(target, "two")
    found = target.run("store", "check", check=False)
    restore = f"mailward restore FOLDER --account {DEMO} --missing"
    assert found.returncode == 1 and restore in " ".join(found.stdout.split())
    with target.imap() as client:
        client.select("INBOX")
        assert client.fetch("2", "BODY.PEEK[]")[0] == "NO"
    done = target.run(*(word.replace("FOLDER", str(place(target))) for word in restore.split()[1:]))
    assert "1 damaged message made whole in place" in done.stdout
    assert state(target) == before and subjects(target) == {"one", "two"}
    assert "no problems" in target.run("store", "check").stdout
    append(target, "three")
    damage(target, "three")
    copied = target.run("backup", "--to", str(place(target) / "later"), check=False)
    said = "that cannot be read, in data/accounts/"
    assert copied.returncode == 2 and said in " ".join(copied.stdout.split())
    verified = target.run("backup", "verify", str(place(target) / "later"), check=False)
    assert verified.returncode == 1 and said in " ".join(verified.stdout.split()) and "0 damaged" in verified.stdout
    left = target.run("restore", str(place(target)), "--account", DEMO, "--missing", check=False)
    assert left.returncode == 2 and "INBOX UID 3 is damaged, and not sound in this snapshot" in " ".join(left.stdout.split())


def test_what_a_backup_has_brought_again_is_not_undeleted_beside_it(target: Server) -> None:
    append(target, "one", "two", "three")
    backup(target)
    append(target, "later")
    with target.imap() as client:
        client.select("INBOX")
        client.store("2:4", "+FLAGS", "(\\Deleted)")
        client.expunge()
    target.run("restore", str(place(target)), "--account", DEMO, "--missing")
    assert target.json("undelete", DEMO, "--yes")["put_back"] == {"INBOX": 1}
    assert len(target.messages()) == 4 and subjects(target) == {"one", "two", "three", "later"}


def test_mail_comes_below_a_mailbox_of_the_same_account_or_of_another_even_if_the_first_is_gone(target: Server) -> None:
    append(target, "one", "two")
    append(target, "sent", folder="Sent")
    taken = backup(target)
    there = {path: path.read_bytes() for path in Path(taken["path"]).rglob("*") if path.is_file()}
    restore = ("restore", str(place(target)), "--account", DEMO)
    target.run(*restore, "--into", "Old", "--mailbox", "INBOX")
    assert subjects(target, "Old/INBOX") == {"one", "two"} == subjects(target)
    with target.imap() as client:
        assert not any(b"Old/Sent" in line for line in client.list()[1] if isinstance(line, bytes))
        client.delete("Old/INBOX")
        client.delete("Old")
    target.run(*restore, "--into", "Old", "--mailbox", "INBOX")
    assert subjects(target, "Old/INBOX") == {"one", "two"}, "what was deleted since comes again"
    target.run("account", "add", "bob@example.test", "--password-stdin", stdin=PASSWORD + "\n")
    target.run("account", "remove", DEMO, "--yes")
    done = target.json(*restore, "--into", "Of a colleague", "--to-account", "bob@example.test")
    assert sum(one["brought"] for one in done["mailboxes"]) == 3
    mailboxes = target.json("account", "mailboxes", "bob@example.test")
    assert {one["mailbox"]: one["messages"] for one in mailboxes if one["messages"]} == {
        "Of a colleague/INBOX": 2, "Of a colleague/Sent": 1,
    }  # fmt: skip
    assert {path: path.read_bytes() for path in there} == there, "a snapshot is only read"
    assert [path for path in Path(taken["path"]).rglob("*") if path.is_file() and path not in there] == []


def test_mail_of_an_account_that_was_removed_comes_to_nobody_who_has_its_address_today_unasked(target: Server) -> None:
    append(target, "of the first")
    backup(target)
    target.run("account", "remove", DEMO, "--yes")
    restore = ("restore", str(place(target)), "--account", DEMO)
    nobody = target.run(*restore, "--into", "Old", check=False)
    assert nobody.returncode == 66 and f"mailward account add {DEMO}, then this command with --of" in nobody.stderr
    target.run("account", "add", DEMO, "--password-stdin", stdin=PASSWORD + "\n")
    for how in (("--missing",), ("--into", "Old"), ("--into", "Old", "--missing")):
        told = target.run(*restore, *how, check=False)
        assert told.returncode == 66 and "holds mail of an earlier" in told.stderr, told.stderr
        assert ("--into MAILBOX instead of --missing" in told.stderr) == ("--missing" in how)
    assert {one["mailbox"]: one["messages"] for one in target.json("account", "mailboxes", DEMO)}["INBOX"] == 0
    target.run(*restore, "--into", "Old", "--of", told.stderr.split()[-1])
    assert subjects(target, "Old/INBOX") == {"of the first"}
    unknown = target.run(*restore, "--into", "Old", "--of", "0" * 16, check=False)
    assert unknown.returncode == 66 and f"holds no account {'0' * 16}; it has" in unknown.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--into", "Old", "--replace"), 64, "leave out --replace"),
        (("--mailbox", "INBOX"), 64, "--mailbox goes with"),
        (("--missing", "--to-account", DEMO), 64, "--to-account goes with --into"),
        (("--missing", "--mailbox", "Nowhere"), 66, "has no mailbox Nowhere of this account; it has INBOX"),
    ],
)
def test_what_cannot_be_brought_is_told_how_to_say_it(target: Server, options: tuple[str, ...], code: int, said: str) -> None:
    append(target, "one")
    backup(target)
    told = target.run("restore", str(place(target)), "--account", DEMO, *options, check=False)
    assert (told.returncode, said in " ".join(told.stderr.split())) == (code, True), told.stderr


@pytest.mark.parametrize("arguments", [("export", "mbox", "out", "--account", DEMO), ("account", "list"), ("serve",)])
def test_no_command_writes_into_a_snapshot_by_its_configuration(target: Server, arguments: tuple[str, ...]) -> None:
    inside = Path(backup(target)["path"])
    there = sorted(inside.rglob("*"))
    told = target.run(*arguments, "-c", str(inside / "config/mailward.yaml"), check=False)
    assert told.returncode != 0 and f"mailward restore {place(target)} --account ADDRESS --into MAILBOX" in told.stderr
    assert sorted(inside.rglob("*")) == there


def test_a_damaged_snapshot_is_noticed_and_not_restored(target: Server) -> None:
    append(target, "one")
    inside = Path(backup(target)["path"])
    (pack,) = inside.rglob("*.pack")
    pack.write_bytes(pack.read_bytes()[:-1] + b"?")
    verified = target.run("backup", "verify", str(place(target)), "--json", check=False)
    assert (verified.returncode, len(json.loads(verified.stdout)["damaged"])) == (1, 1)
    target.stop()
    refused = target.run("restore", str(place(target)), "--replace", check=False)
    assert refused.returncode == 70 and pack.name in refused.stderr
    assert f"mailward backup --to {place(target)} --afresh" in " ".join(refused.stderr.split())
    target.start()
    assert subjects(target) == {"one"}


def test_backups_and_restores_that_are_killed_are_done_by_the_next(target: Server) -> None:
    append(target, *(f"m{number}" for number in range(30)))
    there = state(target)
    making = ("backup", "--to", str(place(target)))
    for at, call in ((20, "open"), (10, "fdatasync"), (1, "rename")):
        kill(target, place(target), at, call, *making)
    backup(target)
    assert target.json("backup", "verify", str(place(target)))["damaged"] == []
    assert not [*place(target).glob("*.part")]
    target.stop()
    data = target.folder / "data"
    for below, at, call in ((data / "restoring", 3, "write"), (data / "restoring", 10, "open"), (data, 3, "rename")):
        kill(target, below, at, call, "restore", str(place(target)), "--replace")
    target.run("restore", str(place(target)), "--replace")
    target.start()
    assert state(target)[1] == there[1]
    missing = ("restore", str(place(target)), "--account", DEMO, "--missing")
    kill(target, data / "beside", 4, "open", *missing)
    assert (data / "beside/copy").exists()
    assert target.json(*missing)["mailboxes"] == []
    assert not (data / "beside/copy").exists()


def kill(target: Server, below: Path, at: int, call: str, *arguments: str) -> None:
    """The command is killed before its n-th call of this kind on a file below the folder; it has so many."""
    environment = {**os.environ, "MAILWARD_CONFIG": str(target.config), **with_fault(below, Fault(Action.KILL, at), name=call)}
    done = subprocess.run([target.command, *arguments], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def test_the_page_on_backups_works_as_printed(target: Server, tmp_path: Path) -> None:
    reader = Reader("how-to/back-up-and-restore.md", target, tmp_path)
    reader.stands_for = {"/srv/backup": str(place(target)), "alice@example.org": DEMO}
    append(target, "one")
    assert "1 account" in reader.types("backup --to")
    assert "TAKEN" in reader.types("backup list")
    assert "0 damaged" in reader.types("backup verify")
    assert "1 account" in reader.types("backup --to /srv/backup --afresh")
    assert "1 account" in reader.types("backup --to /srv/backup --account")
    assert "0 messages" in reader.types("restore /srv/backup --account alice@example.org --missing")
    assert "1 message of" in reader.types("restore /srv/backup --account alice@example.org --into Restored")
    assert "no problems" in reader.types("store check")
    assert "0 messages" in reader.types("restore /srv/backup --account alice@example.org --missing")
    target.stop()
    assert "set aside" not in reader.types("restore")
    target.start()
    assert subjects(target) == {"one"}
    first, _ = state(target)
    target.stop()
    target.run("account", "remove", DEMO, "--yes")
    nobody = target.run("restore", str(place(target)), "--account", DEMO, check=False)
    assert nobody.returncode == 66 and f"mailward account add {DEMO}, then this command with --of" in nobody.stderr
    reader.types("account add", more="--password-stdin", answer=PASSWORD + "\n")
    reader.types("restore", code=66)
    told = target.run("restore", str(place(target)), "--account", DEMO, check=False).stderr
    assert "holds mail of an earlier" in told
    reader.stands_for["8f2ad01c55e0b7d4"] = told.split()[-1]
    assert "restored" in reader.types("restore")
    target.start()
    again, messages = state(target)
    assert again > first and len(messages) == 1, "T-IMAP-16: no UID means two messages"
    assert subjects(target) == {"one"}
    target.stop()
    shutil.rmtree(target.folder / "data")
    assert "restored" in reader.types("restore")
    reader.is_through()
    target.start()
    assert subjects(target) == {"one"}


def test_everything_comes_from_the_last_snapshot_of_everything_though_a_later_one_is_of_one_account(target: Server) -> None:
    append(target, "one")
    target.run("account", "add", "bob@example.test", "--password-stdin", stdin=PASSWORD + "\n")
    whole = backup(target)
    part = backup(target, "--account", "bob@example.test")
    verified = target.json("backup", "verify", str(place(target)))
    assert [one["snapshot"] for one in verified["snapshots"]] == [whole["snapshot"], part["snapshot"]]
    listed = target.run("backup", "list", str(place(target))).stdout.splitlines()
    assert [line.split("  ")[-1].strip() for line in listed] == ["OF", "everything", "the mail of bob@example.test"]
    assert [one["whole"] for one in target.json("backup", "list", str(place(target)))] == [True, False]
    target.stop()
    shutil.rmtree(target.folder / "data")
    refused = target.run("restore", str(place(target)), "--snapshot", part["snapshot"], check=False)
    told = " ".join(refused.stderr.split())
    assert refused.returncode == 66 and f"{part['snapshot']} is of the mail of bob@example.test alone" in told
    assert f"{whole['snapshot']} is the last of everything (--snapshot)" in told
    assert not (target.folder / "data/accounts").exists()
    done = target.run("restore", str(place(target)))
    assert whole["path"] in done.stdout
    assert f"{whole['snapshot']} is taken: 1 later snapshot is not of everything" in " ".join(done.stderr.split())
    assert {one["address"] for one in target.json("account", "list")} == {DEMO, "bob@example.test"}
    target.start()
    assert subjects(target) == {"one"}


def test_an_account_comes_from_the_last_snapshot_that_has_it(target: Server) -> None:
    append(target, "one")
    target.run("account", "add", "bob@example.test", "--password-stdin", stdin=PASSWORD + "\n")
    mine = backup(target)
    later = backup(target, "--account", "bob@example.test")
    with target.imap() as client:
        client.select("INBOX")
        client.store("1", "+FLAGS", "(\\Deleted)")
        client.expunge()
    restore = ("restore", str(place(target)), "--account", DEMO)
    named = target.run(*restore, "--missing", "--snapshot", later["snapshot"], check=False)
    assert named.returncode == 66 and f"{later['snapshot']} holds no account {DEMO}" in named.stderr
    done = target.run(*restore, "--missing")
    assert mine["path"] in done.stdout and subjects(target) == {"one"}
    assert f"{mine['snapshot']} is taken: 1 later snapshot has no mail of {DEMO}" in " ".join(done.stderr.split())
    target.stop()
    assert target.json(*restore, "--replace")["snapshot"] == mine["snapshot"]
