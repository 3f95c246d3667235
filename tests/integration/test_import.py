"""`mailward import`: from a real Dovecot by IMAP and by its Maildir, from mbox files; again, interrupted, and with what cannot be read."""

import imaplib
import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority
from support.clients import Pop3, fetchmail_keeps, mpop_keeps
from support.dovecot import PASSWORD as DOVECOT_PASSWORD
from support.dovecot import USER, Dovecot, dovecot
from support.faults import Action, Fault, with_fault
from support.moving import FOLDERS, LONGEST_S, fill, how_many, letter, mbsync, on_dovecot, seen
from support.processes import program
from support.reader import Reader
from support.server import PASSWORD, Server, server

DEMO = "demo@example.test"
MESSAGES = how_many(2000)


@pytest.fixture
def target() -> Iterator[Server]:
    with server() as made:
        yield made


def by_imap(target: Server, source: Dovecot, *more: str, code: int = 0) -> Any:
    (target.folder.parent / "there").write_text(DOVECOT_PASSWORD + "\n")
    arguments = [
        "import", "imap", "127.0.0.1", "--port", str(source.port), "--tls", "none", "--user", USER, "--account", DEMO,
        "--password-file", str(target.folder.parent / "there"), *more, "--json",
    ]  # fmt: skip
    done = target.run(*arguments, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def here(folder: str) -> str:
    return folder.replace(".", "/")


def assert_same(source: Dovecot, target: Server) -> None:
    with on_dovecot(source) as there, target.imap() as client:
        for folder in FOLDERS:
            assert seen(client, here(folder)) == seen(there, folder), folder


@pytest.mark.timeout(LONGEST_S)
def test_mail_of_dovecot_comes_by_imap_with_all_by_which_clients_know_it(target: Server) -> None:
    with dovecot("maildir") as source:
        fill(source, MESSAGES)
        looked = by_imap(target, source, "--dry-run")
        assert target.messages() == []
        brought = by_imap(target, source)
        assert [one["brought"] for one in looked["folders"]] == [one["brought"] for one in brought["folders"]]
        assert all(one["keeps_uids"] and not one["missing"] for one in brought["folders"])
        assert_same(source, target)
        with on_dovecot(source) as there:
            there.append("INBOX", None, None, letter(7_000_000, random.Random(3)))
        again = by_imap(target, source)
        assert sum(one["brought"] for one in again["folders"]) == 1
        assert_same(source, target)
        with target.imap() as client, on_dovecot(source) as there:
            for folder in FOLDERS:
                (told,), (there_told,) = (
                    client.status(f'"{here(folder)}"', "(UIDNEXT)")[1],
                    there.status(f'"{folder}"', "(UIDNEXT)")[1],
                )
                assert told.split()[-1] == there_told.split()[-1], "no UID is given twice"
            subscribed = {line.decode() for line in client.lsub()[1]}
            assert all(any(here(folder) in line for line in subscribed) for folder in FOLDERS[1:])


@pytest.mark.timeout(LONGEST_S)
def test_mbsync_goes_on_at_the_new_server_and_downloads_nothing_again(target: Server, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with dovecot("maildir", certificate=authority.issue("localhost")) as source:
        fill(source, how_many(200))
        before = mbsync(tmp_path, source.port, USER, DOVECOT_PASSWORD, "STARTTLS", authority.file)
        assert len(before) > how_many(200) * 0.9
        by_imap(target, source)
        certificate = target.folder / "tls/certificate.pem"
        after = mbsync(tmp_path, target.port("imaps"), DEMO, PASSWORD, "IMAPS", certificate)
        assert after == before, "no file is new, none has gone or has other flags"
        assert_same(source, target)
        with target.imap() as client:
            client.append("INBOX", "(\\Seen)", "", letter(1, random.Random(1)))
        assert len(mbsync(tmp_path, target.port("imaps"), DEMO, PASSWORD, "IMAPS", certificate)) == len(before) + 1


def test_an_import_that_is_killed_goes_on(target: Server) -> None:
    with dovecot("maildir") as source:
        fill(source, 400)
        command = [
            target.command, "import", "imap", "127.0.0.1", "--port", str(source.port), "--tls", "none", "--user", USER,
            "--account", DEMO,
        ]  # fmt: skip
        fault = with_fault(target.folder / "data/accounts", Fault(Action.KILL, 8), name=".pack")
        environment = {
            **os.environ, "MAILWARD_CONFIG": str(target.config), "MAILWARD_IMPORT_PASSWORD": DOVECOT_PASSWORD, **fault,
        }  # fmt: skip
        killed = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        brought = by_imap(target, source)
        assert sum(one["known"] for one in brought["folders"]) > 0 < sum(one["brought"] for one in brought["folders"])
        assert_same(source, target)


def test_t_imap_16_mail_that_came_meanwhile_gets_no_uid_that_means_another_message(target: Server) -> None:
    with dovecot("maildir") as source:
        fill(source, 50)
        by_imap(target, source)
        with target.imap() as client, on_dovecot(source) as there:
            before, _ = seen(client, "INBOX")
            client.append("INBOX", "", "", letter(1, random.Random(1)))
            there.append("INBOX", None, None, letter(2, random.Random(2)))
        brought = by_imap(target, source)
        assert [one["keeps_uids"] for one in brought["folders"] if one["name"] == "INBOX"] == [False]
        with target.imap() as client, on_dovecot(source) as there:
            after, messages = seen(client, "INBOX")
            assert after > before
            assert {one.octets for one in messages.values()} >= {one.octets for one in seen(there, "INBOX")[1].values()}


def test_the_password_goes_only_to_a_server_whose_certificate_is_trusted(target: Server, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with dovecot("maildir", certificate=authority.issue("localhost")) as source:
        with imaplib.IMAP4("127.0.0.1", source.port) as client:
            client.starttls(ssl_context=_trusting(authority))
        arguments = [
            "import",
            "imap",
            "localhost",
            "--port",
            str(source.port),
            "--tls",
            "starttls",
            "--user",
            USER,
            "--account",
            DEMO,
        ]
        refused = target.run(*arguments, "--password-stdin", stdin=DOVECOT_PASSWORD + "\n", check=False)
        assert (refused.returncode, "certificate" in refused.stderr) == (66, True), refused.stderr
        target.run(*arguments, "--ca-file", str(authority.file), "--password-stdin", stdin=DOVECOT_PASSWORD + "\n")
        wrong = target.run(*arguments, "--ca-file", str(authority.file), "--password-stdin", stdin="wrong\n", check=False)
        assert wrong.returncode == 66 and "login" in wrong.stderr
        in_clear = target.run(
            "import", "imap", "mail.example.net", "--tls", "none", "--account", DEMO, "--password-stdin", stdin="x\n", check=False
        )
        assert in_clear.returncode == 66 and "TLS" in in_clear.stderr


def _trusting(authority: Authority) -> Any:
    import ssl

    context = ssl.create_default_context(cafile=str(authority.file))
    context.check_hostname = False
    return context


def test_a_maildir_of_dovecot_comes_with_its_numbers(target: Server) -> None:
    with dovecot("maildir") as source:
        fill(source, 200)
        brought = target.json("import", "maildir", str(source.mail), "--account", DEMO)
        assert all(one["keeps_uids"] and not one["missing"] for one in brought["folders"])
        assert_same(source, target)
        again = target.json("import", "maildir", str(source.mail), "--account", DEMO)
        assert sum(one["brought"] for one in again["folders"]) == 0


@pytest.mark.parametrize(("way", "uidl_format"), [("imap", ""), ("maildir", ""), ("imap", "%v-%u"), ("maildir", "%f")])
def test_pop3_clients_go_on_at_the_new_server_and_download_nothing_again(
    way: str, uidl_format: str, target: Server, tmp_path: Path
) -> None:
    """fetchmail and mpop, which keep what they have seen by its unique-id: of RFC 1939 section 7, and of nothing else."""
    authority = Authority(tmp_path)
    with dovecot("maildir", pop3=True, uidl_format=uidl_format, certificate=authority.issue("localhost")) as source:
        fill(source, 60)
        told = ("--pop3-uidl-format", uidl_format) if uidl_format else ()
        there = Pop3(source.pop3_port, "stls", DOVECOT_PASSWORD, authority.file)
        here = Pop3(target.port("pop3s"), "implicit", PASSWORD, target.folder / "tls/certificate.pem")
        for keep in (fetchmail_keeps, mpop_keeps):
            assert keep(there, USER, tmp_path) > 5
            assert keep(there, USER, tmp_path) == 0
        if way == "imap":
            by_imap(target, source, *told)
        else:
            target.run("import", "maildir", str(source.mail), "--account", DEMO, *told)
    with target.imap() as client:
        client.append("INBOX", "", "", letter(1001, random.Random(1)))
    for keep in (fetchmail_keeps, mpop_keeps):
        assert keep(here, DEMO, tmp_path) == 1, "what is new, and nothing else"


def by_doveadm(scheme: str) -> str:
    command = [program("doveadm", "dovecot-core"), "-c", "/dev/null", "pw", "-s", scheme, "-p", DOVECOT_PASSWORD]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_page_on_moving_in_works_as_printed(target: Server, tmp_path: Path) -> None:
    reader = Reader("how-to/move-in.md", target, tmp_path, "mailward account add alice@example.org")
    postmark = b"From a@example.net Mon Nov  2 10:00:00 2026\n"
    (tmp_path / "password").write_text(DOVECOT_PASSWORD + "\n")
    (tmp_path / "Mail").mkdir()
    (tmp_path / "Mail/Friends").write_bytes(postmark + b"Subject: a friend's\n\ntext\n")
    (tmp_path / "spool").write_bytes(postmark + b"Subject: from the spool\n\ntext\n")
    hashes = {user: by_doveadm(scheme) for user, scheme in (("carol", "SHA512-CRYPT"), ("dave", "BLF-CRYPT"), ("erin", "SSHA"))}
    users = "".join(f"{user}:{hash}:1000:1000::/home/{user}::\n" for user, hash in hashes.items())
    (tmp_path / "users").write_text(f"# of a Dovecot\n{users}demo@example.test:{{SHA512-CRYPT}}$6$x:::::\n")
    reader.stands_for = {"example.org": "example.test"}
    told = reader.types("account import", code=2)
    assert "2 accounts made, 0 there already, 2 not made" in told and "scheme SSHA are not taken" in told
    for user in ("carol", "dave"):
        target.passwords[f"{user}@example.test"] = DOVECOT_PASSWORD
        for _ in range(2):
            with target.imap(f"{user}@example.test"):
                pass
    assert target.log_octets().count(b"password hash made anew") == 2
    with dovecot("maildir") as source:
        fill(source, 50)
        (tmp_path / "Maildir").symlink_to(source.mail)
        there = f"127.0.0.1 --port {source.port} --tls none"
        reader.stands_for = {"mail.example.net": there, "--user alice": f"--user {USER}", "alice@example.org": DEMO}
        assert "would be brought" in reader.types("import imap")
        assert re.search(r"INBOX .* kept", reader.types("import imap"))
        assert re.search(r"Entwürfe +\\Drafts", reader.types("account mailboxes"))
        assert "0 messages brought" in reader.types("import imap"), "all has come"
        assert re.search(r"INBOX .* new", reader.types("import maildir"))
    assert "Friends" in reader.types("import mbox Mail")
    assert "1 messages brought" in reader.types("import mbox spool")
    assert any(b"from the spool" in octets for octets in target.messages())
    reader.is_through()


def test_a_file_that_is_no_mbox_file_is_counted_among_what_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no mail\n")
    (tmp_path / "zoo").write_bytes(b"From a@example.net Mon Nov  2 10:00:00 2026\nSubject: a\n\nb\n")
    with server() as target:
        done = target.run("import", "mbox", str(tmp_path), "--account", DEMO, check=False)
        assert done.returncode == 2
        assert f"1 messages brought for {DEMO}, 0 could not be read, nor could 1 of the folders" in done.stdout
        assert re.search(r"^notes +0 +0 +0 +-$", done.stdout, re.MULTILINE)
