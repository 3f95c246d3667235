"""`mailward export`: Dovecot serves what was written, under the same numbers; killed in the midst, it goes on."""

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from support.certificates import Authority
from support.dovecot import PASSWORD as DOVECOT_PASSWORD
from support.dovecot import USER, dovecot
from support.faults import Action, Fault, with_fault
from support.moving import FOLDERS, LONGEST_S, how_many, letter, mbsync, on_dovecot, seen
from support.reader import Reader
from support.server import PASSWORD, Server, open_folder, server

DEMO = "demo@example.test"


def fill(target: Server, messages: int) -> None:
    chance = random.Random(5)
    with target.imap() as client:
        for folder in FOLDERS[2:]:
            client.create(f'"{folder.replace(".", "/")}"')
        for number in range(messages):
            flags = " ".join(chance.sample(["\\Seen", "\\Flagged", "\\Answered", "$Forwarded", "$Label1"], chance.randrange(3)))
            folder = f'"{FOLDERS[number % len(FOLDERS)].replace(".", "/")}"'
            client.append(folder, f"({flags})", '"02-Nov-2020 10:00:00 +0000"', letter(number, chance))
        client.select("INBOX")
        client.store("2", "+FLAGS", "(\\Deleted)")
        client.expunge()


@pytest.mark.timeout(LONGEST_S)
def test_dovecot_serves_what_was_written_although_a_first_export_was_killed_and_mbsync_goes_on(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with server() as target:
        fill(target, how_many(200))
        near = mbsync(tmp_path, target.port("imaps"), DEMO, PASSWORD, "IMAPS", target.folder / "tls/certificate.pem")
        with dovecot("maildir", certificate=authority.issue("localhost")) as there:
            command = [target.command, "export", "maildir", str(there.mail), "--account", DEMO]
            fault = with_fault(there.mail, Fault(Action.KILL, 100), name="rename")
            environment = {**os.environ, "MAILWARD_CONFIG": str(target.config), **fault}
            killed = subprocess.run(command, env=environment, capture_output=True, check=False)
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            assert 0 < len([*there.mail.rglob("*.mailward*")]) < how_many(200) - 1
            target.run(*command[1:])
            with on_dovecot(there) as client, target.imap() as ours:
                for folder in FOLDERS:
                    assert seen(client, folder) == seen(ours, folder.replace(".", "/")), folder
                    (told,) = client.status(f'"{folder}"', "(UIDNEXT)")[1]
                    (ours_told,) = ours.status(f'"{folder.replace(".", "/")}"', "(UIDNEXT)")[1]
                    assert told.split()[-1] == ours_told.split()[-1]
            again = mbsync(tmp_path, there.port, USER, DOVECOT_PASSWORD, "STARTTLS", authority.file)
            assert again == near, "no file is new, none has gone or has other flags"


def test_the_page_on_moving_out_works_as_printed() -> None:
    folder = open_folder()
    folder.chmod(0o777)
    with server() as target:
        fill(target, 10)
        reader = Reader("how-to/move-out.md", target, folder, "mailward import maildir", "mailward import mbox")
        reader.stands_for = {"/srv/out": str(folder / "out"), "alice@example.org": DEMO}
        assert f"written to {folder}/out/alice" in reader.types("export maildir")
        assert f"written to {folder}/out/alice-mbox" in reader.types("export mbox")
        reader.is_through()
        assert (folder / "out/alice-mbox/Projekte/a b.mbox").read_bytes().startswith(b"From ")
        again = target.run("export", "mbox", str(folder / "out/alice-mbox"), "--account", DEMO, check=False)
        assert again.returncode == 64 and "or write them anew with --replace" in again.stderr
        target.run("export", "mbox", str(folder / "out/alice-mbox"), "--account", DEMO, "--replace")
