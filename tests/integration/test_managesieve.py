"""ManageSieve of a whole server, with a real client: sieve-connect logs in over STARTTLS and manages scripts."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import program
from support.server import PASSWORD, Server, server

GOOD = 'require "fileinto";\nif header :contains "subject" "report" { fileinto "Archive"; }\n'


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n") as made:
        yield made


def sieve_connect(target: Server, home: Path, *arguments: str, password: str = PASSWORD) -> "subprocess.CompletedProcess[str]":
    """One run of the client, as the account demo. The password is read from the standard input."""
    command = [
        program("sieve-connect", "sieve-connect"), "--server", "localhost", "--port", str(target.port("managesieve")), "--4",
        "--user", target.demo, "--authmech", "PLAIN", "--passwordfd", "0", "--tlscafile", str(target.folder / "tls/certificate.pem"),
    ]  # fmt: skip
    return subprocess.run(
        [*command, *arguments], input=password + "\n", capture_output=True, text=True, timeout=120, check=False,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
    )  # fmt: skip


def test_sieve_connect_uploads_activates_lists_downloads_and_deletes(target: Server, tmp_path: Path) -> None:
    (tmp_path / "good.sieve").write_text(GOOD)
    (tmp_path / "bad.sieve").write_text("keep;\nfrobnicate;\n")

    def run(*arguments: str) -> str:
        done = sieve_connect(target, tmp_path, *arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}\n{target.log()}"
        return done.stdout

    run("--localsieve", str(tmp_path / "good.sieve"), "--remotesieve", "main", "--upload")
    assert run("--list").split() == ['"main"']
    run("--remotesieve", "main", "--activate")
    assert run("--list").split() == ['"main"', "ACTIVE"]
    run("--localsieve", str(tmp_path / "back.sieve"), "--remotesieve", "main", "--download")
    assert (tmp_path / "back.sieve").read_text() == GOOD
    refused = sieve_connect(target, tmp_path, "--localsieve", str(tmp_path / "bad.sieve"), "--remotesieve", "bad", "--upload")
    assert refused.returncode != 0 and "frobnicate" in refused.stdout + refused.stderr
    run("--deactivate")
    run("--remotesieve", "main", "--delete")
    assert run("--list").split() == []


def test_mail_meets_the_active_script_and_explain_names_the_line(target: Server, tmp_path: Path) -> None:
    (tmp_path / "good.sieve").write_text(GOOD)
    target.add_account("bob@example.test")
    target.run("sieve", "put", "bob@example.test", "mine", str(tmp_path / "good.sieve"), "--activate")
    assert target.json("sieve", "list", "bob@example.test") == [{"name": "mine", "size_octets": len(GOOD), "active": True}]
    assert target.run("sieve", "get", "bob@example.test", "mine").stdout == GOOD
    assert target.send(b"Subject: the report\r\n\r\nx\r\n", to=["bob@example.test"])[0] == 250
    target.wait_for(1, "Archive", "bob@example.test")
    assert "delivered to Archive, by line 2 of the script mine" in target.explain()

    (tmp_path / "other.sieve").write_text('if size :over 1 { redirect "c@example.net"; }\n')
    rehearsed = target.json("sieve", "dry-run", "bob@example.test", str(tmp_path / "other.sieve"), "--mailbox", "Archive")
    assert [one["actions"] for one in rehearsed] == [[{"what": "redirect to c@example.net", "line": 1}]]
    assert "1 x keep" in target.run("sieve", "dry-run", "bob@example.test", "-", "--mailbox", "Archive", stdin="keep;").stdout
    nowhere = 'require "fileinto"; fileinto "A.B";'
    printed = target.run("sieve", "dry-run", "bob@example.test", "-", "--mailbox", "Archive", stdin=nowhere).stdout
    assert printed.endswith("\n1 x file into A.B, which is not there, so INBOX\n")
    assert len(target.messages("Archive", "bob@example.test")) == 1


def test_who_writes_to_somebody_who_is_away_hears_of_it_once(target: Server) -> None:
    target.add_account("carol@example.test")
    script = 'require "vacation"; vacation "I am at the sea.";'
    target.run("sieve", "put", "carol@example.test", "away", "-", "--activate", stdin=script)
    letter = f"From: {target.demo}\r\nTo: carol@example.test\r\nSubject: lunch\r\n\r\nat one?\r\n".encode()
    ids = []
    for _ in range(2):
        code, text = target.submit(letter, "carol@example.test")
        assert code == 250, text
        ids.append(text.split()[-1])
        target.wait_delivered(ids[-1])
    (reply,) = target.wait_for(1, timeout_s=90)
    assert b"\r\nSubject: Auto: lunch\r\n" in reply and reply.rstrip().endswith(b"I am at the sea.")
    assert reply.startswith(b"Return-Path: <>\r\n")
    assert f"no reply, since {target.demo} had one" in target.explain(ids[1])


def test_scripts_with_mistakes_and_names_that_are_none_are_refused(target: Server, tmp_path: Path) -> None:
    (tmp_path / "bad.sieve").write_text("keep;\nfrobnicate;\nkep;\n")
    done = target.run("sieve", "put", target.demo, "bad", str(tmp_path / "bad.sieve"), check=False)
    assert done.returncode == 1 and "2:1: " in done.stderr and "3:1: " in done.stderr
    assert target.run("sieve", "put", target.demo, "a\nb", "-", stdin="keep;", check=False).returncode == 64
    assert target.run("sieve", "get", target.demo, "none", check=False).returncode == 66
    assert target.run("sieve", "activate", target.demo, "none", check=False).returncode == 66
    assert target.run("sieve", "dry-run", target.demo, check=False).returncode == 66
    target.run("sieve", "put", target.demo, "good", "-", "--activate", stdin="keep;")
    done = target.run("sieve", "delete", target.demo, "good", check=False)
    assert done.returncode == 64 and f"or none: mailward sieve activate {target.demo}" in done.stderr
    target.run("sieve", "activate", target.demo)
    target.run("sieve", "delete", target.demo, "good")


def test_sieve_connect_is_refused_with_a_wrong_password(target: Server, tmp_path: Path) -> None:
    done = sieve_connect(target, tmp_path, "--list", password="wrong")
    assert done.returncode != 0 and "uthentication failed" in done.stdout + done.stderr
