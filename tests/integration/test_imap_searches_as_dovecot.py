"""SEARCH, SORT and THREAD say of the same mail what a real Dovecot says of it.

But for SENTBEFORE of messages without a Date, which for Dovecot were sent before all others.
"""

import imaplib
import random
from pathlib import Path

import pytest

from support.dovecot import PASSWORD, USER, dovecot
from support.imap import Client, Office

SUBJECTS = (
    "budget",
    "Re: budget",
    "[list] Budget (fwd)",
    "Fwd: [x] re: budget",
    "apples",
    "RE[2]: apples",
    "[fwd: pears]",
    "pears",
    "Größe",
    "",
)
NAMES = (
    "Ann <ann@example.net>",
    '"Bob B." <bob@example.org>',
    "carol@example.com",
    "=?utf-8?q?=C3=84nne?= <a@example.net>",
    "zoe@example.net",
)
QUERIES = (
    *(f"SORT ({keys}) UTF-8 ALL" for keys in (
        "ARRIVAL", "DATE", "REVERSE DATE", "SUBJECT", "REVERSE SUBJECT", "FROM", "TO", "CC", "SIZE", "REVERSE SIZE", "SUBJECT REVERSE DATE",
        "FROM SUBJECT", "DISPLAYFROM", "REVERSE DISPLAYTO", "TO REVERSE FROM ARRIVAL",
    )),
    *(f"THREAD {algorithm} UTF-8 {keys}" for algorithm in ("ORDEREDSUBJECT", "REFERENCES") for keys in ("ALL", "2:40", "SUBJECT budget")),
    *(f"SEARCH {keys}" for keys in (
        "SUBJECT BUDGET", "NOT SUBJECT budget", "FROM ann", "TO example.net", "CC zoe", "BODY needle", "TEXT needle", "TEXT Bob",
        "SENTSINCE 3-Nov-2026", "SENTON 4-Nov-2026", "BEFORE 5-Nov-2026", "ON 4-Nov-2026", "LARGER 400", "HEADER References x3",
        "OR SUBJECT apples FROM bob", 'HEADER In-Reply-To ""', "SEEN", "UNSEEN", "4:17 UNSEEN", "HEADER X-None x",
        "RETURN (MIN MAX COUNT) UNSEEN", "RETURN (ALL) SUBJECT apples", "RETURN () 1:9", "RETURN (COUNT) SUBJECT nowhere",
    )),
)  # fmt: skip

WITH_DISTINCT_DATES = tuple(f"THREAD REFS UTF-8 {keys}" for keys in ("ALL", "2:40", "SUBJECT budget", "UNSEEN"))
"""Threads of the same date have no order by the rules."""


def mail(seed: int, count: int, *, distinct_dates: bool) -> list[tuple[str, str, bytes]]:
    """Flags, internal date and octets; who answers whom is drawn, answers come before what they answer, and some is missing."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        minute = number if distinct_dates else 0
        lines = [f"From: {draw.choice(NAMES)}", f"To: {draw.choice(NAMES)}", f"Subject: {draw.choice(SUBJECTS)}"]
        lines += [f"Cc: {draw.choice(NAMES)}"] if draw.random() < 0.5 else []
        lines += [f"Message-ID: <x{number}@example.net>"] if draw.random() < 0.9 else []
        lines += (
            [f"Date: {draw.randint(1, 6)} Nov 2026 {draw.randint(10, 23)}:{minute:02d}:00 +0{draw.randint(0, 9)}00"]
            if draw.random() < 0.9
            else []
        )
        # Numbers only fall along a chain, so nobody is his own ancestor; what then happens RFC 5256 leaves open.
        chain = sorted({draw.randint(0, count) for _ in range(draw.choice((0, 0, 1, 1, 2, 3)))} - set(range(number, count + 1)))
        if chain and draw.random() < 0.8:
            lines.append("References: " + " ".join(f"<x{other}@example.net>" for other in chain))
        elif chain:
            lines.append(f"In-Reply-To: <x{chain[-1]}@example.net>")
        body = draw.choice(("plain words", "a needle in it", "=6Eeedle", "x" * 300))
        at = f'"{draw.randint(1, 6):02d}-Nov-2026 {draw.randint(10, 23)}:{minute:02d}:00 +0000"'
        octets = "\r\n".join(["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", *lines, "", body, ""]).encode()
        made.append((draw.choice(("", "\\Seen")), at, octets))
    draw.shuffle(made)
    return made


@pytest.mark.parametrize(("seed", "distinct_dates"), [(1, False), (2, False), (3, True)])
async def test_the_same_answers(seed: int, distinct_dates: bool, tmp_path: Path) -> None:
    messages = mail(seed, 60, distinct_dates=distinct_dates)
    ours = await Client(Office(tmp_path)).login()
    with dovecot() as peer:
        theirs = imaplib.IMAP4("127.0.0.1", peer.port)
        theirs.login(USER, PASSWORD)
        for flags, at, octets in messages:
            assert theirs.append("INBOX", flags, at, octets)[0] == "OK"
            assert (await ours.append("INBOX", octets, f"({flags}) {at} ")).startswith(b"OK")
        theirs.select()
        await ours.ok("SELECT INBOX")
        different = []
        for query in QUERIES + (WITH_DISTINCT_DATES if distinct_dates else ()):
            told = await ours.ok(query)
            expected = asked(theirs, query)
            if [said(line) for line in told] != [said(line) for line in expected]:
                different.append((query, told, expected))
        theirs.logout()
    await ours.close()
    assert not different, "\n".join(map(str, different))


def asked(client: imaplib.IMAP4, query: str) -> list[bytes]:
    """The untagged answers."""
    tag = client._new_tag()
    client.send(tag + b" " + query.encode() + b"\r\n")
    found = []
    while not (line := client.readline().rstrip()).startswith(tag):
        found.append(line)
    assert line.startswith(tag + b" OK"), line
    return found


def said(line: bytes) -> bytes:
    """Without the tag."""
    return line if b"(TAG " not in line else line.partition(b") ")[2]
