"""Programs that keep a Maildir and an account the same, with the settings a person would give them, over implicit TLS.

Each function is one run. The account's folders are below HOME/mail.
"""

import re
from pathlib import Path

from support.clients import run_program, secret_file
from support.processes import program
from support.server import Server


def mbsync_syncs(target: Server, home: Path, account: str, password: str) -> bytes:
    """Both ways, deletions too; what it said over IMAP."""
    rc = secret_file(
        home / "mbsyncrc",
        f"""IMAPAccount mailward
Host localhost
Port {target.port("imaps")}
User {account}
PassCmd "cat {secret_file(home / "password", password)}"
SSLType IMAPS
CertificateFile {target.folder / "tls/certificate.pem"}

IMAPStore far
Account mailward

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""",
    )
    (home / "mail").mkdir(exist_ok=True)
    return run_program([program("mbsync", "isync"), "-Dn", "-c", str(rc), "all"], home)


def offlineimap_syncs(target: Server, home: Path, account: str, password: str) -> bytes:
    """Both ways; what it said over IMAP."""
    rc = secret_file(
        home / "offlineimaprc",
        f"""[general]
accounts = mailward
metadata = {home}/offlineimap

[Account mailward]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {home}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {target.port("imaps")}
remoteuser = {account}
remotepass = {password}
ssl = yes
sslcacertfile = {target.folder / "tls/certificate.pem"}
""",
    )
    return run_program([program("offlineimap", "offlineimap3"), "-o", "-d", "imap", "-u", "basic", "-c", str(rc)], home)


def fetchmail_empties(target: Server, home: Path, account: str, password: str) -> list[bytes]:
    """INBOX by IMAP; what it has fetched is deleted there. Everything it has fetched so far."""
    inbox = home / "fetched"
    inbox.mkdir(exist_ok=True)
    rc = secret_file(
        home / "fetchmailrc",
        f"""poll localhost protocol imap service {target.port("imaps")}
  user "{account}" password "{password}" ssl sslcertck sslcertfile {target.folder / "tls/certificate.pem"}
  mda "cat >{inbox}/$$"
""",
    )
    command = [program("fetchmail", "fetchmail"), "-f", str(rc), "--idfile", str(home / "ids"), "--nosyslog"]
    run_program(command, home, codes=(0, 1))  # 1: there is no mail
    return [file.read_bytes() for file in sorted(inbox.iterdir())]


def getmail_fetches(target: Server, home: Path, account: str, password: str) -> list[bytes]:
    """What is new in INBOX and Archive, left on the server. Everything it has fetched so far."""
    for folder in ("fetched", "getmail"):
        (home / folder).mkdir(exist_ok=True)
    rc = secret_file(
        home / "getmailrc",
        f"""[retriever]
type = SimpleIMAPSSLRetriever
server = localhost
port = {target.port("imaps")}
username = {account}
password = {password}
mailboxes = ("INBOX", "Archive")
ca_certs = {target.folder / "tls/certificate.pem"}

[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat >{home}/fetched/$$")
allow_root_commands = true

[options]
read_all = false
delivered_to = false
received = false
""",
    )
    run_program([program("getmail", "getmail6"), "--getmaildir", str(home / "getmail"), "--rcfile", str(rc)], home)
    return [file.read_bytes() for file in sorted((home / "fetched").iterdir())]


def maildir(folder: Path) -> dict[bytes, set[str]]:
    """The messages of a Maildir by their subject, with the letters of their flags."""
    found = {}
    for file in folder.rglob("*"):
        if file.parent.name in ("cur", "new") and file.is_file():
            subject = re.search(rb"^Subject: (.*?)\r?$", file.read_bytes(), re.MULTILINE)
            assert subject is not None, file
            assert subject[1] not in found, f"twice: {subject[1]!r}"
            found[subject[1]] = set(file.name.partition(":2,")[2])
    return found
