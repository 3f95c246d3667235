"""Mail to fill a mailbox with: real letters of a public list where the corpora are there, else made-up ones."""

import lzma
import random
import re

from support.corpora import FOLDER

_FROM = re.compile(rb"(?m)^From [^\n]*\n")
_MESSAGE_ID = re.compile(rb"(?im)^(Message-ID:[ \t]*<)")


def messages(count: int) -> list[bytes]:
    """So many, of different Message-IDs."""
    file = FOLDER / "imap" / "dovecot-list.mbox.xz"
    if not file.exists():
        return [made_up(number) for number in range(count)]
    letters = [_as_sent(letter) for letter in _FROM.split(lzma.decompress(file.read_bytes()))[1:]]
    found = []
    for number in range(count):
        again, place = divmod(number, len(letters))
        found.append(_MESSAGE_ID.sub(rb"\g<1>%d." % again, letters[place], count=1) if again else letters[place])
    return found


def _as_sent(letter: bytes) -> bytes:
    return letter.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def made_up(number: int) -> bytes:
    """A mail of about 2 kB, different for every number."""
    chance = random.Random(number)
    words = ("harbour", "lantern", "orchard", "compass", "lighthouse", "meadow", "granite", "willow")
    text = "\r\n".join(" ".join(chance.choice(words) for _ in range(9)) for _ in range(26))
    return (
        f"Return-Path: <writer{number % 50}@example.net>\r\nReceived: from a.example.net by b.example.test; Mon, 2 Nov 2026 10:00:00 +0000\r\n"
        f"From: Writer {number} <writer{number % 50}@example.net>\r\nTo: Demo <demo@example.test>, other@example.org\r\n"
        f"Subject: {chance.choice(words)} {number}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@example.net>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()
