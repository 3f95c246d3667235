"""Real mail clients, each with the settings a person would give it: they send and fetch, and return what they saw."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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


@dataclass(frozen=True)
class Pop3:
    """A POP3 server on localhost. tls: from the beginning, or by STLS."""

    port: int
    tls: Literal["implicit", "stls"]
    password: str
    certificate: Path


def fetchmail_keeps(server: Pop3, user: str, home: Path) -> int:
    """How many messages fetchmail takes that it has not seen yet at a server of this name; all are left there."""
    tls = "ssl" if server.tls == "implicit" else "sslproto TLS1.2+"
    rc = secret_file(
        home / "keeping",
        f"""set no syslog
poll localhost protocol pop3 service {server.port} uidl
  user "{user}" password "{server.password}" {tls} sslcertck sslcertfile {server.certificate}
  keep mda "cat >/dev/null"
""",
    )
    command = [program("fetchmail", "fetchmail"), "-v", "-f", str(rc), "--idfile", str(home / "seen-by-fetchmail"), "--nodetach"]
    said = run_program(command, home, codes=(0, 1))  # 1: there was nothing to take
    return len(re.findall(rb"^reading message", said, re.MULTILINE))


def mpop_keeps(server: Pop3, user: str, home: Path) -> int:
    """The same by mpop."""
    rc = secret_file(
        home / "mpoprc",
        f"""account a
host localhost
port {server.port}
tls on
tls_starttls {"off" if server.tls == "implicit" else "on"}
tls_trust_file {server.certificate}
user {user}
password {server.password}
auth plain
uidls_file {home}/seen-by-mpop
delivery maildir {home}/by-mpop
keep on
""",
    )
    folder = home / "by-mpop"
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    before = len([*(folder / "new").iterdir()])
    run_program([program("mpop", "mpop"), "-C", str(rc), "a"], home)
    return len([*(folder / "new").iterdir()]) - before
