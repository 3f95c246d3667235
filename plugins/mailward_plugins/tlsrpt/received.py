"""The reports of others that are kept: by the day they are about, each once, bounded in number and age."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256

from mailward.api import KeyValue, alike
from mailward_plugins.tlsrpt.reading import MAX_FAILURES, Failure, Policy, Received

MOST_A_DAY = 1000
"""Reports that are kept about one day."""
MOST_OF_ONE = 10
"""Of these, about one domain of ours and from domains that end alike: real submitters send one a day, and whoever makes many must
not shut them out."""
MOST_OCTETS_A_DAY = 5_000_000
"""Of all that are kept about one day."""
MOST_OCTETS = 60_000
"""Of one as it is kept."""
AHEAD = timedelta(days=1)
"""A report about a later day than this from now is of somebody whose clock, or mind, is wrong."""

_REPORTS = b"report/"
_SIZES = b"reports/"


@dataclass(frozen=True, slots=True)
class Kept:
    """submitter: the domain whose signature the report bore. domain: ours, to whose address it came."""

    submitter: str
    domain: str
    report: Received


async def keep(kv: KeyValue, kept: Kept, now: datetime, keep_for: timedelta) -> str:
    """Keep a report. Returns why it was not, "" when it is, now or from before."""
    day = kept.report.end.date()
    oldest = now.date() - keep_for
    if day < oldest:
        return f"it is about {day.isoformat()}, of which nothing is kept any more"
    if day > (now + AHEAD).date():
        return f"it is about {day.isoformat()}, which is still to come"
    same = "\0".join((kept.submitter, kept.domain, kept.report.id))
    key = _REPORTS + _day(day) + b"/" + sha256(same.encode("utf-8", "replace")).hexdigest()[:32].encode("ascii")
    if await kv.get_many([key]):
        return ""
    octets, sender = _written(kept), alike(kept.submitter)
    all_key = _SIZES + _day(day)
    alike_key = all_key + b"/" + sha256(f"{sender}/{kept.domain}".encode("utf-8", "replace")).hexdigest()[:32].encode("ascii")
    counters = await kv.counters([all_key, alike_key])
    number, size_octets = counters.get(all_key, (0, 0))
    if number >= MOST_A_DAY or size_octets + len(octets) > MOST_OCTETS_A_DAY:
        return f"{number} reports about its day, of {size_octets} octets, are kept already"
    if counters.get(alike_key, (0,))[0] >= MOST_OF_ONE:
        return f"{MOST_OF_ONE} reports about its day came from {sender} already"
    if not number:
        for kind in (_REPORTS, _SIZES):
            await kv.remove(kind, kind + _day(oldest))
    await kv.put_many({key: octets})
    await kv.add_many({all_key: (1, len(octets)), alike_key: (1,)})
    return ""


async def reports(kv: KeyValue, since: date) -> AsyncIterator[Kept]:
    """Those about `since` and the days after it, the oldest first."""
    after = _REPORTS + _day(since)
    while found := await kv.find(_REPORTS, after=after, limit=100):
        for key, value in found.items():
            yield _read(value)
            after = key


def _day(day: date) -> bytes:
    return day.isoformat().encode("ascii")


def _written(kept: Kept) -> bytes:
    """Of so many failures as there is room for, those that happened most."""
    room = MAX_FAILURES
    while True:
        values = asdict(kept)
        values["report"]["begin"], values["report"]["end"] = kept.report.begin.isoformat(), kept.report.end.isoformat()
        for policy in values["report"]["policies"]:
            policy["failures"] = policy["failures"][:room]
        octets = json.dumps(values, separators=(",", ":")).encode("ascii")
        if len(octets) <= MOST_OCTETS or not room:
            return octets
        room //= 2


def _read(value: bytes) -> Kept:
    values = json.loads(value)
    raw = values["report"]
    policies = tuple(
        Policy(**{**policy, "failures": tuple(Failure(**failure) for failure in policy["failures"])})
        for policy in raw["policies"]
    )
    begin, end = datetime.fromisoformat(raw["begin"]), datetime.fromisoformat(raw["end"])
    return Kept(values["submitter"], values["domain"], Received(**{**raw, "begin": begin, "end": end, "policies": policies}))
