"""What became of the connections to other domains' servers, counted by UTC day: the source of reports and of forecasts.

Connections that are alike are one row with a counter. A day has a limit of rows and of octets, so that whoever has many hosts,
addresses or long policies cannot fill the disk; what is beyond it is counted as one.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from mailward.api import KeyValue, PolicyType, RelayingAttempt, TlsLevel, TlsPolicy, TlsResult, TlsSession

MOST_ROWS_A_DAY = 20_000
MOST_OCTETS_A_DAY = 32 << 20
MOST_DETAIL = 200
"""Characters of the words about a failure that are kept."""
MOST_STRING = 255
MOST_STRINGS = 50
"""Of a policy are kept, each of so many characters."""

_ROWS = b"session/"
_SIZES = b"sessions/"


@dataclass(frozen=True, slots=True)
class Row:
    """Connections of one day that are alike. domain: whose mail they were for. count: 0 for none kept yet.

    Of those that were all that their policy asks for the addresses are not kept.
    """

    day: date
    domain: str
    session: TlsSession
    count: int
    last_at: datetime


async def count(kv: KeyValue, attempt: RelayingAttempt, keep: timedelta) -> int:
    """Count the connections of an attempt, and with the first of a day forget what is older than `keep`.

    Returns how many were left out, since the day has no room for more rows.
    """
    left_out = 0
    for session in attempt.sessions:
        row = Row(attempt.at.astimezone(UTC).date(), attempt.relaying.domain, _bounded(session), 0, attempt.at)
        key, value = _key(row), _written(row)
        size_key = _SIZES + _day(row.day)
        if key not in await kv.get_many([key]):
            rows, _, octets = (*(await kv.counters([size_key])).get(size_key, ()), 0, 0, 0)[:3]
            if rows >= MOST_ROWS_A_DAY or octets + len(value) > MOST_OCTETS_A_DAY:
                left_out += 1
                await kv.add_many({size_key: (0, 1)})
                continue
            if not rows:
                await forget_before(kv, row.day - keep)
            await kv.add_many({size_key: (1, 0, len(value))})
        await kv.put_many({key: value})
        await kv.add_many({key: (1,)})
    return left_out


async def rows(kv: KeyValue, since: date, until: date) -> AsyncIterator[Row]:
    """Those of the days from `since` to `until`, both included, day by day."""
    day = since
    while day <= until:
        prefix, after = _ROWS + _day(day) + b"/", b""
        while found := await kv.find(prefix, after=after, limit=500):
            counters = await kv.counters(list(found))
            for key, value in found.items():
                yield _read(day, value, counters.get(key, (0,))[0])
                after = key
        day += timedelta(days=1)


async def first_day(kv: KeyValue) -> date | None:
    """The oldest day of which something is kept."""
    found = await kv.find(_ROWS, limit=1)
    return next((date.fromisoformat(key[len(_ROWS) :].partition(b"/")[0].decode("ascii")) for key in found), None)


async def left_out(kv: KeyValue, day: date) -> int:
    """How many connections of that day had no room."""
    key = _SIZES + _day(day)
    return (*(await kv.counters([key])).get(key, ()), 0, 0)[1]


async def forget_before(kv: KeyValue, day: date) -> None:
    """Forget the days before."""
    for kind in (_ROWS, _SIZES):
        await kv.remove(kind, kind + _day(day))


def _day(day: date) -> bytes:
    return day.isoformat().encode("ascii")


def _key(row: Row) -> bytes:
    """Rows of a day that say the same have the same key, whenever they were last seen."""
    same = _written(replace(row, last_at=datetime.min.replace(tzinfo=UTC)))
    return _ROWS + _day(row.day) + b"/" + sha256(same).hexdigest()[:32].encode("ascii")


def _bounded(session: TlsSession) -> TlsSession:
    """What a stranger's policy and server can make of it is short and printable."""
    policy = session.policy
    strings = tuple(_plain(text, MOST_STRING) for text in policy.strings[:MOST_STRINGS])
    mx_hosts = tuple(_plain(text, MOST_STRING) for text in policy.mx_hosts[:MOST_STRINGS])
    bounded = replace(
        session,
        policy=replace(policy, strings=strings, mx_hosts=mx_hosts),
        detail=_plain(session.detail, MOST_DETAIL),
        unproven=None if session.unproven is None else _plain(session.unproven, MOST_DETAIL),
    )
    return bounded if session.result is not None else replace(bounded, sending_ip="", receiving_ip="")


def _plain(text: str, most: int) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text[:most])


def _written(row: Row) -> bytes:
    session, policy = row.session, row.session.policy
    values = {
        "domain": row.domain,
        "policy": [policy.type.value, policy.domain, policy.strings, policy.mx_hosts],
        "mx_host": session.mx_host,
        "ips": [session.sending_ip, session.receiving_ip],
        "level": session.level.value if session.level else None,
        "result": session.result.value if session.result else None,
        "detail": session.detail,
        "unproven": session.unproven,
        "is_routed": session.is_routed,
        "last_at": row.last_at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(values, separators=(",", ":")).encode("ascii")


def _read(day: date, value: bytes, counted: int) -> Row:
    values = json.loads(value)
    kind, domain, strings, mx_hosts = values["policy"]
    session = TlsSession(
        TlsPolicy(PolicyType(kind), domain, tuple(strings), tuple(mx_hosts)),
        values["mx_host"],
        values["ips"][1],
        values["ips"][0],
        TlsLevel(values["level"]) if values["level"] else None,
        TlsResult(values["result"]) if values["result"] else None,
        values["detail"],
        values["unproven"],
        values.get("is_routed", False),
    )
    return Row(day, values["domain"], session, counted, datetime.fromisoformat(values["last_at"]))
