"""Messages that others wrote, sent by swaks and a real Postfix, read back by mbsync, curl and imaplib, octet for octet.

What may differ is declared: our Return-Path, Received and Authentication-Results on top, Postfix's Received below them,
and the X-Spam-Status of the spam plugin. A Return-Path that comes with a message goes at final delivery (RFC 5321 section 4.4), an
X-Spam-Status that is not ours as well (T-HDR-23). Everything else is compared as sent.
"""

import itertools
import re
import smtplib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.corpora import corpus, corpus_members
from support.postfix import postfix
from support.processes import program
from support.server import PASSWORD, Server, server

POLICY = """\
version: 1
extends: mailward/inbound
plugins:
  antivirus: {engine: test-file}
  ambiguity: {heed: false}
limits: {junk: 900, quarantine: 950, reject: 990}
rules:
  - {name: take-everything, when: "true", then: accept}
"""

MARK = b"X-Corpus-Mark"


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server(policy=POLICY) as made:
        yield made


def _all(*names: str) -> Iterator[bytes]:
    """Every file of every archive of these corpora, one from each archive in turn."""
    archives = [corpus_members(name, path.name) for name in names for path in sorted(corpus(name).glob("*.tar.xz"))]
    for group in itertools.zip_longest(*(archive.values() for archive in archives)):
        yield from (octets for octets in group if octets is not None)


def _corpus(*names: str, count: int) -> list[bytes]:
    """Messages fit for SMTP: CRLF line ends, no NUL, no line over 900 octets (Postfix splits longer ones)."""
    chosen: list[bytes] = []
    for octets in _all(*names):
        fixed = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
        if not fixed.endswith(b"\r\n"):
            fixed += b"\r\n"
        head = fixed.split(b"\r\n\r\n", 1)[0]
        plain = re.match(rb"[!-9;-~]+:", head) and b"\x00" not in fixed and max(map(len, fixed.split(b"\r\n"))) <= 900
        if plain and b"\r\n\r\n" in fixed and len(fixed) < 900_000 and all(c < 128 for c in head):
            chosen.append(MARK + b": %d\r\n" % len(chosen) + fixed)
        if len(chosen) == count:
            break
    assert len(chosen) == count
    return chosen


def _as_stored(octets: bytes) -> bytes:
    head, end, body = octets.partition(b"\r\n\r\n")
    return (
        re.sub(rb"^(?:Return-Path|X-Spam-Status)[ \t]*:.*\r\n(?:[ \t].*\r\n)*", b"", head + b"\r\n", flags=re.M | re.I)[:-2]
        + end
        + body
    )


def _by_mark(stored: list[bytes]) -> dict[int, bytes]:
    found = {}
    for octets in stored:
        match = re.search(rb"^X-Corpus-Mark: (\d+)\r?\n", octets, re.MULTILINE)
        assert match is not None
        found[int(match[1])] = octets[match.start() :]
    return found


def _empty(target: Server) -> None:
    with target.imap() as client:
        client.select("INBOX")
        client.uid("STORE", "1:*", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()


def test_corpora_through_smtplib_and_back_by_imaplib(target: Server) -> None:
    _empty(target)
    sent = _corpus("spam", "dkim", "mime", "clients", count=160)
    with target.smtp() as client:
        for octets in sent:
            assert client.sendmail("a@sender.invalid", ["demo@example.test"], octets, mail_options=["BODY=8BITMIME"]) == {}
    found = _by_mark(target.wait_for(len(sent), timeout_s=60))
    for number, octets in enumerate(sent):
        assert found[number] == _as_stored(octets), f"message {number} changed on its way"


def test_swaks_sends_and_curl_reads(target: Server, tmp_path: Path) -> None:
    _empty(target)
    swaks, curl = program("swaks", "swaks"), program("curl", "curl")
    sent = _corpus("mime", count=12)
    for number, octets in enumerate(sent):
        # swaks reads "data" with LF line ends and does the dot-stuffing itself
        path = tmp_path / f"{number}.eml"
        path.write_bytes(octets.replace(b"\r\n", b"\n"))
        done = subprocess.run(
            [swaks, "--server", f"127.0.0.1:{target.port('mx')}", "--tls", "--from", "a@sender.invalid", "--to", "demo@example.test",
             "--data", f"@{path}", "--suppress-data"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    target.wait_for(len(sent))
    stored = []
    for number in range(1, len(sent) + 1):
        done_curl = subprocess.run(
            [curl, "-sS", "--cacert", str(target.folder / "tls/certificate.pem"), "--user", f"demo@example.test:{PASSWORD}",
             f"imaps://localhost:{target.port('imaps')}/INBOX;MAILINDEX={number}"],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done_curl.returncode == 0, done_curl.stderr
        stored.append(done_curl.stdout)
    found = _by_mark(stored)
    for number, octets in enumerate(sent):
        assert found[number].rstrip(b"\r\n") == _as_stored(octets).rstrip(b"\r\n")


def test_postfix_relays_and_mbsync_fetches(target: Server, tmp_path: Path) -> None:
    _empty(target)
    mbsync = program("mbsync", "isync")
    # Postfix adds Date and Message-ID when they are missing, which would be its change and not ours.
    sent = [octets for octets in _corpus("spam", "mime", "clients", count=120) if re.search(rb"^Date:", octets, re.M | re.I)]
    # It also ends a header where a line is neither field nor continuation.
    sent = [o for o in sent if all(re.match(rb"[!-9;-~]+:|[ \t]", line) for line in o.split(b"\r\n\r\n", 1)[0].split(b"\r\n"))]
    sent = [
        o
        for o in sent
        if re.search(rb"^Message-Id:", o, re.M | re.I) and not re.search(rb"^(Bcc|Return-Path|Content-Length):", o, re.M | re.I)
    ]
    assert len(sent) > 30
    with postfix(target.port("mx")) as relay:
        with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
            for octets in sent:
                client.sendmail("a@sender.invalid", ["demo@example.test"], octets, mail_options=["BODY=8BITMIME"])
        deadline = time.monotonic() + 60
        while relay.queued() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert relay.queued() == 0, relay.log()
    target.wait_for(len(sent))
    (tmp_path / "mail").mkdir()
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "mbsyncrc").write_text(
        f"""IMAPAccount mailward
Host localhost
Port {target.port("imaps")}
User demo@example.test
PassCmd "cat {tmp_path / "password"}"
SSLType IMAPS
CertificateFile {target.folder / "tls/certificate.pem"}

IMAPStore far
Account mailward

MaildirStore near
Path {tmp_path / "mail"}/
Inbox {tmp_path / "mail"}/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Near
SyncState *
"""
    )
    done = subprocess.run(
        [mbsync, "-c", str(tmp_path / "mbsyncrc"), "all"], capture_output=True, text=True, timeout=120, check=False,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path.read_bytes() for path in (tmp_path / "mail/INBOX").rglob("*") if path.parent.name in ("cur", "new")]
    found = _by_mark(files)
    assert len(found) == len(sent)
    for octets in sent:
        number = int(octets.split(b"\r\n", 1)[0].split(b": ")[1])
        # maildir keeps LF line ends, and mbsync adds its own mark at the end of the header
        fetched = re.sub(rb"^X-TUID: \S+\n", b"", found[number], count=1, flags=re.MULTILINE)
        wanted = octets.replace(b"\r\n", b"\n")
        place = next((i for i, (a, b) in enumerate(zip(fetched, wanted, strict=False)) if a != b), 0)
        assert fetched == wanted, (fetched[max(place - 80, 0) : place + 80], wanted[max(place - 80, 0) : place + 80])
