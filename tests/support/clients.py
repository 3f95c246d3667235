"""Real mail clients, each with the settings a person would give it: they send and fetch, and return what they saw."""

import os
import re
import subprocess
from pathlib import Path

from support.processes import program
from support.server import Server

LIMIT_S = 3600
"""Of one program; a test's own limit is nearer."""


def run_program(command: list[str], home: Path, stdin: bytes = b"", codes: tuple[int, ...] = (0,)) -> bytes:
    done = subprocess.run(
        command, input=stdin, capture_output=True, timeout=LIMIT_S, check=False,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode in codes, f"{command}: {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    return done.stdout


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def mutt_sends(target: Server, home: Path, account: str, password: str, to: str, subject: str, text: str) -> None:
    """By STARTTLS on the submission port, as mutt does it itself (no sendmail)."""
    rc = secret_file(
        home / "muttrc",
        f"""set from={account} use_envelope_from=yes
set smtp_url="smtp://{account.replace("@", "%40")}@localhost:{target.port("submission")}"
set smtp_pass="{password}"
set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no
set certificate_file={target.folder / "tls/certificate.pem"}
set copy=no
unset header_cache
""",
    )
    run_program([program("mutt", "mutt"), "-n", "-F", str(rc), "-s", subject, "--", to], home, text.encode())


def msmtp_sends(target: Server, home: Path, account: str, password: str, to: str, octets: bytes, auth: str = "on") -> None:
    """By implicit TLS. auth: "on" lets msmtp choose its mechanism; it takes SCRAM where it can."""
    rc = secret_file(
        home / "msmtprc",
        f"""account a
host localhost
port {target.port("submissions")}
tls on
tls_starttls off
tls_trust_file {target.folder / "tls/certificate.pem"}
auth {auth}
user {account}
password "{password}"
from {account}
""",
    )
    run_program([program("msmtp", "msmtp"), "-C", str(rc), "-a", "a", to], home, octets.replace(b"\r\n", b"\n"))


def curl_sends(target: Server, home: Path, account: str, password: str, to: str, octets: bytes) -> None:
    """By implicit TLS."""
    command = [
        *_curl(target, account, password), "--mail-from", account, "--mail-rcpt", to, "--upload-file", "-",
        f"smtps://localhost:{target.port('submissions')}",
    ]  # fmt: skip
    run_program(command, home, octets)


def curl_reads(target: Server, home: Path, account: str, password: str, scheme: str, codes: tuple[int, ...] = (0,)) -> bytes:
    """The first message by "imaps" or "pop3s"; codes: the exit codes that are right (67: login denied)."""
    place = "INBOX;MAILINDEX=1" if scheme == "imaps" else "1"
    url = f"{scheme}://localhost:{target.port(scheme)}/{place}"
    return run_program([*_curl(target, account, password), url], home, codes=codes)


def curl_asks(target: Server, home: Path, account: str, password: str, place: str, *arguments: str) -> bytes:
    """What an IMAP URL gives (RFC 5092); place: what stands behind the port."""
    url = f"imaps://localhost:{target.port('imaps')}/{place}"
    return run_program([*_curl(target, account, password), *arguments, url], home)


def _curl(target: Server, account: str, password: str) -> list[str]:
    return [
        program("curl", "curl"), "-sS", "--cacert", str(target.folder / "tls/certificate.pem"), "--user", f"{account}:{password}"
    ]  # fmt: skip


def mbsync_fetches(target: Server, home: Path, account: str, password: str) -> list[bytes]:
    """INBOX as mbsync's Maildir holds it, fetched compressed: line ends are LF, mbsync's own mark is taken out."""
    secret = secret_file(home / "password", password)
    rc = secret_file(
        home / "mbsyncrc",
        f"""IMAPAccount mailward
Host localhost
Port {target.port("imaps")}
User {account}
PassCmd "cat {secret}"
SSLType IMAPS
CertificateFile {target.folder / "tls/certificate.pem"}

IMAPStore far
Account mailward

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
""",
    )
    (home / "mail").mkdir(exist_ok=True)
    said = run_program([program("mbsync", "isync"), "-Dn", "-c", str(rc), "all"], home)
    assert b"COMPRESS DEFLATE\n" in said.replace(b"\r", b""), said
    files = sorted(path for path in (home / "mail/INBOX").rglob("*") if path.parent.name in ("cur", "new"))
    return [re.sub(rb"^X-TUID: \S+\n", b"", file.read_bytes(), count=1, flags=re.MULTILINE) for file in files]


def fetchmail_fetches(target: Server, home: Path, account: str, password: str) -> list[bytes]:
    """Everything by POP3 over TLS, left on the server."""
    inbox = home / "fetched"
    inbox.mkdir(exist_ok=True)
    rc = secret_file(
        home / "fetchmailrc",
        f"""poll localhost protocol pop3 service {target.port("pop3s")} uidl
  user "{account}" password "{password}" ssl sslcertck sslcertfile {target.folder / "tls/certificate.pem"}
  keep fetchall mda "cat >{inbox}/$$"
""",
    )
    os.environ.pop("FETCHMAILHOME", None)
    run_program([program("fetchmail", "fetchmail"), "-f", str(rc), "--idfile", str(home / "ids"), "--nosyslog"], home)
    return [file.read_bytes() for file in sorted(inbox.iterdir())]
