"""How does pyspf, which asks DNS in the middle of plain function calls, run on an event loop without threads?

pyspf looks up its module global `DNSLookup` at every question. One replacement, made once at import, switches from the
greenlet in which the check runs to its parent; the parent awaits our resolver and switches back with the answer.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import greenlet
import spf

from mailward.api import DnsTemporaryError, RecordType, Resolver

RECORD_LIMIT_OCTETS = 4096
"""Longer SPF records are a permanent error: pyspf's macro syntax check is quadratic in the length, and none in use comes near."""

_RECORD = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_MODIFIER = re.compile(r"(?<= )(redirect|exp)=", re.IGNORECASE)
_TYPES: dict[str, RecordType] = {"A": "A", "AAAA": "AAAA", "MX": "MX", "PTR": "PTR", "TXT": "TXT"}


class _Question(NamedTuple):
    name: str
    record_type: RecordType


_Row = tuple[tuple[str, str], object]


class _Check(greenlet.greenlet):
    """A greenlet that runs one check; only inside such a one may pyspf ask DNS."""


def _ask_parent(name: str, qtype: str, strict: object, timeout: float) -> Iterable[_Row]:
    """Stands in for `spf.DNSLookup`."""
    current = greenlet.getcurrent()
    if not isinstance(current, _Check) or current.parent is None:
        raise spf.TempError("DNS is reached through spf_check only")
    if qtype not in _TYPES:  # type 99 is obsolete (RFC 7208 section 3.1)
        return []
    return cast(Iterable[_Row], current.parent.switch(_Question(name, _TYPES[qtype])))


spf.DNSLookup = _ask_parent


async def spf_check(check: Callable[[], tuple[str, int, str]], resolver: Resolver) -> tuple[str, int, str]:
    """Run `spf.query(...).check` with DNS by `resolver`. Raises whatever the check raises."""
    runner = _Check(check)
    try:
        step: object = runner.switch()
        while isinstance(step, _Question):
            try:
                rows = await _rows(step, resolver)
            except (DnsTemporaryError, spf.PermError) as error:
                failure = error if isinstance(error, spf.PermError) else spf.TempError(f"DNS {error}")
                step = runner.throw(failure)
            else:
                step = runner.switch(rows)
        return cast(tuple[str, int, str], step)
    finally:
        while runner:  # given up in the middle; pyspf's bare `except` may swallow the exit and ask on, a bounded number of times
            runner.throw()


async def _rows(question: _Question, resolver: Resolver) -> list[_Row]:
    """The answer in pyspf's form: ((name, type), value), with TXT as octets, MX as (preference, name)."""
    answer = await resolver.resolve(question.name, question.record_type)
    key = (question.name, question.record_type)
    if question.record_type == "MX":
        pairs = [record.split(" ", 1) for record in answer.records]
        return [(key, (int(preference), exchange)) for preference, exchange in pairs]
    if question.record_type == "TXT":
        return [(key, (_txt(record).encode("latin-1"),)) for record in answer.records]
    return [(key, record) for record in answer.records]


def _txt(record: str) -> str:
    """A TXT record; in SPF records the names of modifiers in lower case, as pyspf compares them with case (RFC 7208 4.6.1)."""
    if not _RECORD.match(record):
        # Explanation strings come this way, too: enough for any, too little to make their expansion costly.
        return record[:RECORD_LIMIT_OCTETS]
    if len(record) > RECORD_LIMIT_OCTETS:
        raise spf.PermError(f"SPF record of {len(record)} octets")
    return _MODIFIER.sub(lambda found: found[0].lower(), record)
