"""What does a TLS report of somebody else say? (RFC 8460 section 4.4) Whoever sends it may have made it up, so all is bounded.

What a report lacks is read as empty or 0, for some senders leave out what they do not know; what is of the wrong kind makes the
report unreadable. Texts come out as one line of printable ASCII.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mailward.api import MessageView, PartView

MAX_MAIL_OCTETS = 2 << 20
MAX_OCTETS = 1 << 20
"""Of a report once it is decompressed (T-DMARC-10, T-DOS-13)."""
MAX_VALUES = 30_000
"""Objects, lists and their members, counted before any of them is made: each takes far more memory than octets."""
MAX_POLICIES = 50
MAX_FAILURES = 200
"""Kinds of failure that are kept, over all policies; the sums count all."""
MAX_TEXT = 200
MAX_SESSIONS = 1 << 53

GZIP, JSON = "application/tlsrpt+gzip", "application/tlsrpt+json"


class Unreadable(Exception):
    """The text says what is wrong with the report."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Sessions that failed alike. result: a word of section 4.3, or another that the sender made up."""

    result: str
    count: int
    sending_ip: str
    mx_host: str
    receiving_ip: str
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What came of the sessions under one policy of ours. type: "sts", "tlsa", "no-policy-found" or whatever was written."""

    type: str
    domain: str
    successful: int
    failed: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """begin, end: aware, in UTC."""

    organization: str
    contact: str
    id: str
    begin: datetime
    end: datetime
    policies: tuple[Policy, ...]


def report_part(message: MessageView) -> PartView | None:
    """The part that holds a TLS report, None when the message brings none."""
    return next((part for part in message.parts() if part.content_type in (GZIP, JSON)), None)


def read_part(part: PartView) -> Received:
    """Raises Unreadable."""
    if part.size_octets > MAX_MAIL_OCTETS:
        raise Unreadable(f"it has more than {MAX_MAIL_OCTETS >> 20} MiB")
    octets = part.decode()
    # Some send plain JSON under the name of gzip and the other way round.
    return read(_decompressed(octets) if octets[:2] == b"\x1f\x8b" else octets)


def read(octets: bytes) -> Received:
    """A report as JSON. Raises Unreadable."""
    if len(octets) > MAX_OCTETS:
        raise Unreadable(f"it has more than {MAX_OCTETS >> 20} MiB")
    if sum(map(octets.count, (b"{", b"[", b","))) > MAX_VALUES:
        raise Unreadable(f"it has more than {MAX_VALUES} values")
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):  # a number of more than 4300 digits is a ValueError, too
        raise Unreadable("it is not JSON") from None
    report = _object(found, "the report")
    span = _object(report.get("date-range", {}), "date-range")
    begin, end = (_moment(span.get(key), key) for key in ("start-datetime", "end-datetime"))
    if end < begin:
        raise Unreadable("its day ends before it begins")
    policies = _list(report.get("policies"), "policies")
    if len(policies) > MAX_POLICIES:
        raise Unreadable(f"it tells of more than {MAX_POLICIES} policies")
    room = MAX_FAILURES
    told = []
    for one in policies:
        policy = _policy(_object(one, "a policy"), room)
        room -= len(policy.failures)
        told.append(policy)
    texts = (_text(report.get(key)) for key in ("organization-name", "contact-info", "report-id"))
    organization, contact, number = texts
    if not number:
        raise Unreadable("it has no report-id")
    return Received(organization, contact, number, begin, end, tuple(told))


def _decompressed(octets: bytes) -> bytes:
    gunzip = zlib.decompressobj(wbits=31)
    try:
        found = gunzip.decompress(octets, MAX_OCTETS + 1)
    except zlib.error:
        raise Unreadable("it cannot be decompressed") from None
    if not gunzip.eof and len(found) <= MAX_OCTETS:
        raise Unreadable("its compressed octets end too early")
    return found


def _policy(found: dict[str, object], room: int) -> Policy:
    policy = _object(found.get("policy", {}), "policy")
    sums = _object(found.get("summary", {}), "summary")
    details = _list(found.get("failure-details", []), "failure-details")
    failures = sorted(_failures(details), key=lambda failure: -failure.count)
    successful = _number(sums.get("total-successful-session-count", 0))
    failed = _number(sums.get("total-failure-session-count", 0))
    return Policy(
        _text(policy.get("policy-type")), _text(policy.get("policy-domain")), successful, failed, tuple(failures[:room])
    )


def _failures(details: Iterable[object]) -> Iterator[Failure]:
    for one in details:
        failure = _object(one, "a failure")
        yield Failure(
            _text(failure.get("result-type")),
            _number(failure.get("failed-session-count", 0)),
            _text(failure.get("sending-mta-ip")),
            _text(failure.get("receiving-mx-hostname")),
            _text(failure.get("receiving-ip")),
            _text(failure.get("failure-reason-code")) or _text(failure.get("additional-information")),
        )


def _object(found: object, what: str) -> dict[str, object]:
    if not isinstance(found, dict):
        raise Unreadable(f"{what} is no object")
    return found


def _list(found: object, what: str) -> list[object]:
    if not isinstance(found, list):
        raise Unreadable(f"{what} is no list")
    return found


def _text(found: object) -> str:
    """One line of printable ASCII; numbers are taken where text should be, anything else is left out."""
    text = found[:MAX_TEXT] if isinstance(found, str) else str(found)[:MAX_TEXT] if type(found) is int else ""
    return "".join(c if " " <= c <= "~" else "?" for c in text).strip()


def _number(found: object) -> int:
    if type(found) is not int or not 0 <= found <= MAX_SESSIONS:
        raise Unreadable("a count of sessions is no number, or none that can be")
    return found


def _moment(found: object, what: str) -> datetime:
    """RFC 3339; without a zone it is taken for UTC, as one large sender writes it."""
    try:
        moment = datetime.fromisoformat(found if isinstance(found, str) else "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"{what} is no moment") from None
