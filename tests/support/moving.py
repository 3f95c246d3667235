"""Made-up mail on a real Dovecot, and what an IMAP client sees of any server: the two sides of a move."""

import imaplib
import os
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.clients import run_program, secret_file
from support.dovecot import PASSWORD, USER, Dovecot
from support.processes import program

FOLDERS = ("INBOX", "Sent", "Archive.2024", "Entw&APw-rfe", "Projekte.a b")
"""As Dovecot's Maildir names them on the wire: "." between levels, modified UTF-7."""
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Forwarded", "$Label1", "NonJunk")
_MANY = os.environ.get("MOVE_MESSAGES")
LONGEST_S = 300 if _MANY is None else 900 + int(_MANY) // 10
"""What a test may take that moves `how_many`."""
_FETCHED = re.compile(rb"UID (\d+)")


def how_many(usual: int) -> int:
    """Messages a test moves: as many as is usual, or those of MOVE_MESSAGES (`make move`)."""
    return usual if _MANY is None else int(_MANY)


def letter(number: int, random: random.Random) -> bytes:
    lines = [
        random.choice(["some words", "From here on", ">From there", "", ".", "\u00fc" * 20]) for _ in range(random.randrange(40))
    ]
    head = f"From: a{number}@example.net\r\nTo: demo@example.test\r\nSubject: letter {number}\r\nMessage-ID: <{number}@example.net>\r\n"
    return (head + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "\r\n".join(lines) + "\r\n").encode()


def on_dovecot(server: Dovecot) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.port)
    client.login(USER, PASSWORD)
    return client


def fill(server: Dovecot, messages: int, seed: int = 1) -> None:
    """So many messages over all folders, with gaps between their UIDs."""
    chance = random.Random(seed)
    with on_dovecot(server) as client:
        for folder in FOLDERS[1:]:
            client.create(f'"{folder}"')
            client.subscribe(f'"{folder}"')
        for number in range(messages):
            folder = FOLDERS[number % len(FOLDERS)]
            flags = " ".join(chance.sample(FLAGS, chance.randrange(4)))
            at = imaplib.Time2Internaldate(1_000_000_000 + chance.randrange(700_000_000))
            ok, answer = client.append(f'"{folder}"', flags, at, letter(number, chance))
            assert ok == "OK", answer
        for folder in FOLDERS:
            client.select(f'"{folder}"')
            client.store("2,4,7", "+FLAGS", "(\\Deleted)")
            client.expunge()


@dataclass(frozen=True)
class Seen:
    """What a client sees of one message. at: as the server writes it, in UTC seconds."""

    flags: frozenset[str]
    at: float
    octets: bytes


def seen(client: imaplib.IMAP4, folder: str) -> tuple[int, dict[int, Seen]]:
    """UIDVALIDITY and, by UID, every message. folder: as it goes over the wire."""
    assert client.select(f'"{folder}"', readonly=True)[0] == "OK", folder
    validity = client.response("UIDVALIDITY")[1][0]
    found: dict[int, Seen] = {}
    _, answer = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
    for part, rest in _pairs(answer):
        head = part[0] + b" " + rest
        uid = int(_FETCHED.search(head)[1])  # type: ignore[index]
        flags = re.search(rb"FLAGS \(([^)]*)\)", head)
        date = imaplib.Internaldate2tuple(head)
        assert flags is not None and date is not None, head
        names = frozenset(flags[1].decode().split()) - {"\\Recent"}
        found[uid] = Seen(names, time.mktime(date), part[1])
    return int(validity or 0), found


def _pairs(answer: list[object]) -> Iterator[tuple[tuple[bytes, bytes], bytes]]:
    for at, part in enumerate(answer):
        if isinstance(part, tuple):
            rest = answer[at + 1]
            yield part, rest if isinstance(rest, bytes) else b""


def mbsync(home: Path, port: int, user: str, password: str, tls: str, certificate: Path) -> dict[str, bytes]:
    """Sync all mailboxes both ways with the server on this port; every message file of the near side afterwards.

    tls: as mbsync names it. The files are the same for whatever server: what mbsync remembers goes by UIDVALIDITY and UID.
    """
    secret = secret_file(home / "password", password)
    rc = secret_file(
        home / "mbsyncrc",
        f"""IMAPAccount server
Host localhost
Port {port}
User {user}
PassCmd "cat {secret}"
SSLType {tls}
CertificateFile {certificate}

IMAPStore far
Account server

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync All
Expunge Both
SyncState *
""",
    )
    (home / "mail").mkdir(exist_ok=True)
    run_program([program("mbsync", "isync"), "-c", str(rc), "all"], home)
    files = (path for path in (home / "mail").rglob("*") if path.parent.name in ("cur", "new"))
    return {str(path.relative_to(home)): path.read_bytes() for path in files}
