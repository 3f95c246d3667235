"""The independent judge of the crash tests: what clients were told, against what came out, without asking the server anything.

It keeps a log on the side of the clients, in a file that outlives every kill, and is shown every copy of every message that was
found at an end: a mailbox, another server, the quarantine, the queue, a report to the sender. Then:

- every recipient of whom a client heard 250 is at one end at least: none is lost;
- no recipient has a second copy in a mailbox or in the quarantine, and other servers got one too many at most for each crash of
  each connection that was open;
- nothing came out that no client sent, and its octets are those that were sent, with nothing but declared fields before them;
- nothing came out without the mark that its filters leave.

The server under test is not imported here.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

End = Literal["mailbox", "relayed", "quarantine", "queued", "returned"]
ONCE: tuple[End, ...] = ("mailbox", "quarantine")
"""Ends at which a second copy is an error, whatever was killed."""

TRACE_FIELDS = frozenset({b"return-path", b"received", b"authentication-results", b"dkim-signature"})
MARK_FIELD = "X-Judged"
"""What the filter of the tests adds to each message, with its token."""

_TOKEN = re.compile(rb"^Subject: (token-[0-9a-z-]+)\r$", re.MULTILINE)


def message(token: str, lines: int) -> bytes:
    """The octets of a message, which follow from its token and length. Lines begin with dots now and then."""
    head = f"From: sender@sender.invalid\r\nTo: somebody\r\nSubject: {token}\r\n\r\n"
    return (
        head + "".join(f"{'.' * (n % 3)}{n} of {token}, padded to the length of a usual line\r\n" for n in range(lines))
    ).encode()


def token_of(octets: bytes) -> str | None:
    """Of a message of ours; None for others, as reports are."""
    found = _TOKEN.search(octets)
    return None if found is None else found[1].decode()


@dataclass(frozen=True)
class Sent:
    """One message that a client began to send."""

    token: str
    lines: int
    recipients: tuple[str, ...]


class ClientLog:
    """What clients did and heard, in a file of lines that several processes may append to.

    journal: of power.c, for runs whose power is cut afterwards: how far it had come when 250 was heard is noted.
    """

    def __init__(self, path: Path, journal: Path | None = None) -> None:
        self.path = path
        self._journal = journal
        path.touch()

    def sending(self, token: str, lines: int, recipients: Sequence[str]) -> bytes:
        """Note it before the first octet goes out; returns the octets to send."""
        self._note({"sent": token, "lines": lines, "to": list(recipients)})
        return message(token, lines)

    def acknowledged(self, token: str) -> None:
        """250 was heard."""
        self._note({"acknowledged": token, "at": 0 if self._journal is None else self._journal.stat().st_size})

    def _note(self, what: dict[str, object]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, json.dumps(what).encode() + b"\n")
        finally:
            os.close(descriptor)

    def read(self, cut_at: int | None = None) -> tuple[dict[str, Sent], set[str]]:
        """All that was sent, by token, and the tokens that were acknowledged; cut_at: when the journal was not longer than this."""
        sent, acknowledged = {}, set()
        for line in self.path.read_text().splitlines():
            raw = json.loads(line)
            if "sent" in raw:
                sent[raw["sent"]] = Sent(raw["sent"], raw["lines"], tuple(raw["to"]))
            elif cut_at is None or raw["at"] <= cut_at:
                acknowledged.add(raw["acknowledged"])
        return sent, acknowledged


@dataclass(frozen=True)
class Copy:
    """One copy at one end. octets: None where only the name of a message is seen, as in a listing."""

    end: End
    recipient: str
    token: str
    octets: bytes | None = None


@dataclass
class Findings:
    """What is wrong, and how much was looked at. extra_relayed: copies too many that other servers got."""

    lost: list[tuple[str, str]] = field(default_factory=list)
    doubled: list[tuple[str, str, End]] = field(default_factory=list)
    altered: list[tuple[str, str, bytes]] = field(default_factory=list)
    unfiltered: list[tuple[str, str]] = field(default_factory=list)
    invented: list[Copy] = field(default_factory=list)
    acknowledged: int = 0
    extra_relayed: int = 0

    def require(self, *, most_extra: int = 0, why: object = "") -> "Findings":
        """Fail unless everything holds. most_extra: copies too many that crashes may have made over there."""
        wrong = {name: getattr(self, name)[:5] for name in ("lost", "doubled", "altered", "unfiltered", "invented")}
        assert not any(wrong.values()), (why, {name: found for name, found in wrong.items() if found})
        assert self.extra_relayed <= most_extra, (why, f"{self.extra_relayed} copies too many were relayed, {most_extra} may be")
        return self


def judge(log: ClientLog, copies: Iterable[Copy], *, marked: bool = True, cut_at: int | None = None) -> Findings:
    """Compare. marked: whether filters were there to leave their mark. cut_at: as in `ClientLog.read`."""
    sent, acknowledged = log.read(cut_at)
    findings = Findings(acknowledged=sum(len(sent[token].recipients) for token in acknowledged))
    counts: Counter[tuple[str, str, End]] = Counter()
    for copy in copies:
        origin = sent.get(copy.token)
        if origin is None or copy.recipient not in origin.recipients:
            findings.invented.append(copy)
            continue
        counts[copy.token, copy.recipient, copy.end] += 1
        if copy.octets is None or copy.end == "returned":
            continue
        before, whole = _fields_before(copy.octets, message(origin.token, origin.lines))
        if before is None or not {name for name, _ in before} <= TRACE_FIELDS | {MARK_FIELD.lower().encode()}:
            findings.altered.append((copy.token, copy.recipient, whole))
        elif marked and (MARK_FIELD.lower().encode(), copy.token.encode()) not in before:
            findings.unfiltered.append((copy.token, copy.recipient))
    arrived = {(token, recipient) for token, recipient, _ in counts}
    findings.lost = sorted((t, r) for t in acknowledged for r in sent[t].recipients if (t, r) not in arrived)
    findings.doubled = sorted(where for where, number in counts.items() if number > 1 and where[2] in ONCE)
    findings.extra_relayed = sum(number - 1 for where, number in counts.items() if where[2] == "relayed")
    return findings


def _fields_before(octets: bytes, sent: bytes) -> tuple[list[tuple[bytes, bytes]] | None, bytes]:
    """Name in lower case and value of each field before the octets that were sent; None when these are not the end of it."""
    if not octets.endswith(sent):
        return None, octets[:400]
    top = octets[: len(octets) - len(sent)]
    fields = re.findall(rb"^([!-9;-~]+):((?:[^\r]|\r\n[ \t])*)\r\n", top, re.MULTILINE)
    return [(name.lower(), value.strip()) for name, value in fields], top[:400]
