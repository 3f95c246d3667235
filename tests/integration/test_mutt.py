"""A real mutt, at a terminal of its own, reads, flags, copies and deletes mail over IMAP."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

from support.processes import program
from support.server import PASSWORD, Server, server


def _mutt(arguments: list[str], folder: Path, limit_s: float = 60.0) -> tuple[int, bytes]:
    """Run mutt at a pseudo-terminal until it ends by itself."""
    controller, terminal = pty.openpty()
    environment = {"HOME": str(folder), "TERM": "xterm", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [program("mutt", "mutt"), *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + limit_s
    output = select.poll()
    output.register(controller, select.POLLIN)
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, shown[-2000:]
            if output.poll(100):
                try:
                    shown += os.read(controller, 65536)
                except OSError:  # the terminal is gone with mutt
                    break
        return process.wait(10), shown
    finally:
        process.kill()
        os.close(controller)


def _write_muttrc(folder: Path, target: Server, more: str = "") -> None:
    (folder / "muttrc").write_text(
        f"""set ssl_starttls=yes ssl_force_tls=yes
set ssl_verify_host=no
set certificate_file={target.folder / "tls/certificate.pem"}
set folder=imap://localhost:{target.port("imap")}/
set spoolfile=+INBOX
set imap_user=demo@example.test
set imap_pass="{PASSWORD}"
set sort=mailbox-order delete=yes quit=yes confirmappend=no confirmcreate=no wait_key=no
set timeout=5
{more or "unset header_cache message_cachedir"}
"""
    )


def test_mutt_reads_flags_copies_and_deletes(tmp_path: Path) -> None:
    with server() as target:
        for subject in ("one", "two", "three"):
            head = f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: {subject}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
            code, _ = target.send(f"{head}Message-ID: <{subject}@sender.invalid>\r\n\r\nthe text of {subject}\r\n".encode())
            assert code == 250
        target.wait_for(3)
        _write_muttrc(tmp_path, target)
        keys = f"<jump>1<enter><flag-message><jump>2<enter><pipe-message>cat >{tmp_path}/two.txt<enter><copy-message><kill-line>=Archive<enter><jump>3<enter><delete-message><sync-mailbox><quit>"
        code, shown = _mutt(["-n", "-F", str(tmp_path / "muttrc"), "-e", f"push '{keys}'"], tmp_path)
        assert code == 0, shown[-3000:]
        assert "the text of two" in (tmp_path / "two.txt").read_text()
        with target.imap() as client:
            assert client.select("INBOX", readonly=True) == ("OK", [b"2"])
            assert client.search(None, "FLAGGED") == ("OK", [b"1"])
            assert client.select("Archive", readonly=True) == ("OK", [b"1"])


def test_mutt_names_a_mailbox_in_utf_8(tmp_path: Path) -> None:
    with server() as target:
        target.send(b"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: one\r\n\r\ntext\r\n")
        target.wait_for(1)
        _write_muttrc(tmp_path, target)
        keys = "<copy-message><kill-line>=Entwürfe&mehr<enter><sync-mailbox><quit>"
        code, shown = _mutt(["-n", "-d", "3", "-F", str(tmp_path / "muttrc"), "-e", f"push '{keys}'"], tmp_path)
        assert code == 0, shown[-3000:]
        assert "* ENABLED UTF8=ACCEPT" in (tmp_path / ".muttdebug0").read_text()
        with target.imap() as client:
            assert client.select('"Entw&APw-rfe&-mehr"', readonly=True) == ("OK", [b"1"])


def test_mutt_comes_back_by_qresync(tmp_path: Path) -> None:
    with server() as target:
        for subject in ("one", "two", "three"):
            target.send(f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: {subject}\r\n\r\ntext\r\n".encode())
        target.wait_for(3)
        _write_muttrc(tmp_path, target, f"set header_cache={tmp_path}/headers imap_condstore=yes imap_qresync=yes")
        arguments = ["-n", "-d", "3", "-F", str(tmp_path / "muttrc"), "-e"]
        assert _mutt([*arguments, "push '<sync-mailbox><quit>'"], tmp_path)[0] == 0
        with target.imap() as client:
            client.select("INBOX")
            client.store("1", "+FLAGS", "(\\Deleted)")
            client.expunge()
            client.store("2", "+FLAGS", "(\\Flagged)")
        keys = f"<delete-pattern>~F<enter><tag-pattern>~A<enter><tag-prefix><pipe-message>cat >>{tmp_path}/seen.txt<enter><sync-mailbox><quit>"
        code, shown = _mutt([*arguments, f"push '{keys}'"], tmp_path)
        assert code == 0, shown[-3000:]
        assert "VANISHED (EARLIER) 1" in (tmp_path / ".muttdebug0").read_text()
        seen = (tmp_path / "seen.txt").read_text()
        assert ("Subject: one" in seen, "Subject: two" in seen) == (False, True)
        with target.imap() as client:
            assert client.select("INBOX", readonly=True) == ("OK", [b"1"])
            assert client.search(None, "SUBJECT", "two") == ("OK", [b"1"])
