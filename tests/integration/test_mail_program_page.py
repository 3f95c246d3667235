"""`how-to/set-up-a-mail-program.md`: each program with the settings of the page reads and sends, and the commands work."""

import os
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients import run_program, secret_file
from support.processes import program
from support.reader import Reader, blocks, page_text
from support.server import Server, server
from support.terminal import Terminal

PAGE = "how-to/set-up-a-mail-program.md"
LETTER = b"From: demo@example.org\nTo: demo@example.org\nSubject: SUBJECT\n\na letter\n"


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    """Its certificate is the self-signed one. One letter is in INBOX."""
    with server(domain="example.org") as target:
        target.submit(LETTER.replace(b"SUBJECT", b"the first").replace(b"\n", b"\r\n"), target.demo, account=target.demo)
        target.wait_for(1, account=target.demo)
        made = target.json("account", "app-password", "add", target.demo, "laptop")
        target.passwords[target.demo] = made["password"]
        yield target


@pytest.fixture
def home(made: Server, tmp_path: Path) -> Path:
    """With what the page wants to be there."""
    secret_file(tmp_path / ".mail-password", made.password(made.demo) + "\n")
    (tmp_path / "mailward.pem").write_bytes((made.folder / "tls/certificate.pem").read_bytes())
    return tmp_path


def settings(made: Server, home: Path, language: str) -> str:
    """As the page has them, with this server's name, ports and account."""
    (text,) = blocks(PAGE, language)
    text = text.replace("/home/alice", str(home)).replace("mx.example.org", "localhost").replace("alice", "demo")
    return re.sub(r"\b(993|995|465)\b", lambda port: str(int(port[0]) + made.offset), text)


def trusts(home: Path, name: str) -> str:
    """What the page adds while the certificate is the self-signed one."""
    (line,) = re.findall(rf"^\| {name} \| `([^`]+)`", page_text(PAGE), re.MULTILINE)
    return str(line).replace("/home/alice", str(home))


def arrives(made: Server, subject: str) -> None:
    deadline = time.monotonic() + 90
    while not any(f"Subject: {subject}\r\n".encode() in octets for octets in made.messages(account=made.demo)):
        assert time.monotonic() < deadline, made.log()
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
def test_mutt_reads_and_sends(made: Server, home: Path, name: str) -> None:
    (home / ".muttrc").write_text(settings(made, home, "muttrc") + trusts(home, "mutt, NeoMutt") + "\n")
    keys = f"<jump>1<enter><pipe-message>cat >{home}/read.txt<enter><quit>"
    own = ["-n", "-e", "set quit=yes wait_key=no", "-e", f"push '{keys}'"]
    with Terminal([program(name, name), *own], home) as terminal:
        assert terminal.end() == 0, terminal.shown[-3000:]
    assert "a letter" in (home / "read.txt").read_text()
    run_program([program(name, name), "-n", "-s", f"by {name}", "--", made.demo], home, b"a letter\n")
    arrives(made, f"by {name}")
    if name == "mutt":  # the other keeps no copy in IMAP where its input is the text, as the page says
        assert any(b"Subject: by mutt\r\n" in octets for octets in made.messages("Sent", made.demo))


def test_mbsync_keeps_all_mailboxes(made: Server, home: Path) -> None:
    (home / ".mbsyncrc").write_text(
        settings(made, home, "mbsyncrc").replace("SSLType IMAPS", f"SSLType IMAPS\n{trusts(home, 'mbsync')}")
    )
    (home / "Mail").mkdir()
    run_program([program("mbsync", "isync"), "-a"], home)
    assert {"INBOX", "Sent", "Drafts", "Trash"} <= {path.name for path in (home / "Mail").iterdir()}
    assert any(b"Subject: the first\n" in file.read_bytes() for file in (home / "Mail/INBOX").rglob("*") if file.is_file())


def test_msmtp_sends(made: Server, home: Path) -> None:
    secret_file(home / ".msmtprc", settings(made, home, "msmtprc") + trusts(home, "msmtp") + "\n")
    run_program([program("msmtp", "msmtp"), made.demo], home, LETTER.replace(b"SUBJECT", b"by msmtp"))
    arrives(made, "by msmtp")


def test_fetchmail_fetches_and_leaves_mail_there(made: Server, home: Path) -> None:
    text = settings(made, home, "fetchmailrc").replace("sslcertck", f"sslcertck {trusts(home, 'fetchmail')}")
    text = text.replace("SECRET", made.password(made.demo)).replace("/usr/bin/procmail -d %T", f"cat >>{home}/fetched")
    secret_file(home / ".fetchmailrc", text)
    run_program([program("fetchmail", "fetchmail"), "--nosyslog"], home)
    assert b"Subject: the first\n" in (home / "fetched").read_bytes()
    assert any(b"Subject: the first\r\n" in octets for octets in made.messages(account=made.demo))


def test_getmail_fetches(made: Server, home: Path) -> None:
    text = re.sub(
        r"^port = .*$", rf"\g<0>\n{trusts(home, 'getmail')}", settings(made, home, "getmailrc"), count=1, flags=re.MULTILINE
    )
    if os.geteuid() == 0:  # to whom it refuses a Maildir
        by_root = (
            f'type = MDA_external\npath = /bin/sh\narguments = ("-c", "cat >{home}/Mail/new/$$")\nallow_root_commands = true'
        )
        text = text.replace("type = Maildir\npath = ~/Mail/", by_root)
    (home / ".config/getmail").mkdir(parents=True)
    (home / ".config/getmail/getmailrc").write_text(text)
    for name in ("cur", "new", "tmp"):
        (home / "Mail" / name).mkdir(parents=True)
    run_program([program("getmail", "getmail6")], home)
    assert any(b"Subject: the first\n" in file.read_bytes() for file in (home / "Mail/new").iterdir())


def test_curl_shows_whether_it_works(made: Server, home: Path) -> None:
    (home / "message.eml").write_bytes(LETTER.replace(b"SUBJECT", b"by curl"))
    reads, sends = settings(made, home, "curl").splitlines()
    more = f"{trusts(home, 'curl')} --user {made.demo}:{made.password(made.demo)}"
    assert b"* STATUS " in run_program(["sh", "-c", f"cd {shlex.quote(str(home))} && {reads} {more}"], home)
    run_program(["sh", "-c", f"cd {shlex.quote(str(home))} && {sends} {more}"], home)
    arrives(made, "by curl")


def test_the_commands_of_the_page(made: Server, tmp_path: Path) -> None:
    made.add_account("alice@example.org")
    reader = Reader(PAGE, made, tmp_path, "mailward account address add")
    assert re.match(r"\S+\n\nThis is the only time", reader.types("account app-password add"))
    assert "laptop for " in reader.types("account show")
    reader.types("account unlock")
    assert reader.types("account capabilities") == "alice@example.org is offered all but QRESYNC\n"
    reader.is_through()
