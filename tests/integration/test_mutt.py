"""A real mutt and its sibling NeoMutt, at terminals of their own, read, flag, copy and delete mail over IMAP."""

from pathlib import Path

import pytest

from support.processes import program
from support.server import PASSWORD, Server, server
from support.terminal import Terminal

BOTH = pytest.mark.parametrize("name", ["mutt", "neomutt"])


def _run(name: str, folder: Path, keys: str, *options: str) -> None:
    """Start it, press keys, and wait for its end."""
    arguments = [program(name, name), "-n", *options, "-F", str(folder / "muttrc"), "-e", f"push '{keys}'"]
    with Terminal(arguments, folder) as terminal:
        assert terminal.end() == 0, terminal.shown[-3000:]


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


@BOTH
def test_mutt_reads_flags_copies_and_deletes(name: str, tmp_path: Path) -> None:
    with server() as target:
        for number, subject in enumerate(("one", "two", "three"), 1):
            head = f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: {subject}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
            code, _ = target.send(f"{head}Message-ID: <{subject}@sender.invalid>\r\n\r\nthe text of {subject}\r\n".encode())
            assert code == 250
            target.wait_for(number)  # several processes deliver, so mail that waits at once comes in any order
        _write_muttrc(tmp_path, target)
        keys = f"<jump>1<enter><flag-message><jump>2<enter><pipe-message>cat >{tmp_path}/two.txt<enter><copy-message><kill-line>=Archive<enter><jump>3<enter><delete-message><sync-mailbox><quit>"
        _run(name, tmp_path, keys)
        assert "the text of two" in (tmp_path / "two.txt").read_text()
        with target.imap() as client:
            assert client.select("INBOX", readonly=True) == ("OK", [b"2"])
            assert client.search(None, "FLAGGED") == ("OK", [b"1"])
            assert client.select("Archive", readonly=True) == ("OK", [b"1"])


@BOTH
def test_mutt_names_a_mailbox_in_utf_8(name: str, tmp_path: Path) -> None:
    with server() as target:
        target.send(b"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: one\r\n\r\ntext\r\n")
        target.wait_for(1)
        _write_muttrc(tmp_path, target)
        keys = "<copy-message><kill-line>=Entwürfe&mehr<enter><sync-mailbox><quit>"
        _run(name, tmp_path, keys, "-d", "5")
        assert "* ENABLED UTF8=ACCEPT" in (tmp_path / f".{name}debug0").read_text()
        with target.imap() as client:
            assert client.select('"Entw&APw-rfe&-mehr"', readonly=True) == ("OK", [b"1"])


@BOTH
def test_mutt_comes_back_by_qresync(name: str, tmp_path: Path) -> None:
    with server() as target:
        for number, subject in enumerate(("one", "two", "three"), 1):
            target.send(f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: {subject}\r\n\r\ntext\r\n".encode())
            target.wait_for(number)
        _write_muttrc(tmp_path, target, f"set header_cache={tmp_path}/headers imap_condstore=yes imap_qresync=yes")
        _run(name, tmp_path, "<sync-mailbox><quit>")
        with target.imap() as client:
            client.select("INBOX")
            client.store("1", "+FLAGS", "(\\Deleted)")
            client.expunge()
            client.store("2", "+FLAGS", "(\\Flagged)")
        keys = f"<delete-pattern>~F<enter><tag-pattern>~A<enter><tag-prefix><pipe-message>cat >>{tmp_path}/seen.txt<enter><sync-mailbox><quit>"
        _run(name, tmp_path, keys, "-d", "5")
        assert "VANISHED (EARLIER) 1" in (tmp_path / f".{name}debug0").read_text()
        seen = (tmp_path / "seen.txt").read_text()
        assert ("Subject: one" in seen, "Subject: two" in seen) == (False, True)
        with target.imap() as client:
            assert client.select("INBOX", readonly=True) == ("OK", [b"1"])
            assert client.search(None, "SUBJECT", "two") == ("OK", [b"1"])
