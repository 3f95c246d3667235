"""When was it, when is it? The tests date and currentdate (RFC 5260 sections 4 and 5)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import format_datetime

from mailward.formats.dates import read_date
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.fields import INDEX, check_fields, fields_of
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.running import Checking, Run, Step, Test

_JULIAN_DAY_0 = datetime(1858, 11, 17, tzinfo=UTC).toordinal()
"""Modified Julian Days begin here (RFC 5260 section 4.2)."""


def _zone(at: datetime) -> str:
    return at.strftime("%z")[:5]


_PARTS: dict[str, Callable[[datetime], str]] = {
    "year": lambda at: f"{at.year:04}",
    "month": lambda at: f"{at.month:02}",
    "day": lambda at: f"{at.day:02}",
    "date": lambda at: f"{at.year:04}-{at.month:02}-{at.day:02}",
    "julian": lambda at: str(at.toordinal() - _JULIAN_DAY_0),
    "hour": lambda at: f"{at.hour:02}",
    "minute": lambda at: f"{at.minute:02}",
    "second": lambda at: f"{at.second:02}",
    "time": lambda at: f"{at.hour:02}:{at.minute:02}:{at.second:02}",
    "iso8601": lambda at: at.replace(microsecond=0).isoformat(),
    "std11": format_datetime,
    "zone": _zone,
    "weekday": lambda at: str(at.isoweekday() % 7),
}
"""RFC 5260 section 4.2."""


def _zone_of(written: str) -> tzinfo | None:
    """The zone that "+hhmm" is; None for anything else."""
    if len(written) != 5 or written[0] not in "+-" or not written[1:].isascii() or not written[1:].isdigit():
        return None
    offset = timedelta(hours=int(written[1:3]), minutes=int(written[3:]))
    return timezone(-offset if written[0] == "-" else offset) if offset < timedelta(days=1) else None


def _check(checking: Checking, step: Step) -> None:
    check_matching(checking, step)
    check_fields(checking, step)
    part = step.string(len(step.values) - 2)
    if part.constant is not None and part.constant.lower() not in _PARTS:
        checking.problem(part.place, f"unknown date part {part.constant[:40]!r}; there are {', '.join(_PARTS)}")
    use = step.tags.get("zone")
    if use and use.name == "zone" and (zone := use.strings[0].constant) is not None and _zone_of(zone) is None:
        checking.problem(use.place, f"{zone[:20]!r} is no time zone; it is written as '+0100'")


def _values(run: Run, step: Step, moments: Iterator[datetime]) -> Iterator[str]:
    use = step.tags.get("zone")
    zone = run.world.outside.now().tzinfo
    if use is not None and use.name == "zone":
        zone = _zone_of(run.text(use.strings[0])) or zone
    make = _PARTS.get(run.text(step.string(len(step.values) - 2)).lower())
    for at in moments:
        if make is not None:
            yield make(at if use is not None and use.name == "originalzone" else at.astimezone(zone))


def _moments(run: Run, step: Step) -> Iterator[datetime]:
    """In a Received field the date stands behind the last semicolon (RFC 5260 section 4)."""
    for field in fields_of(run, step, run.text(step.string(0))):
        run.spending.look_through(len(field.value) * 16)
        read = read_date(field.value.rpartition(b";")[2].strip())
        if read is not None:
            yield read.at


def _date(run: Run, step: Step) -> bool:
    return matches(run, step, _values(run, step, _moments(run, step)), step.strings(2))


def _currentdate(run: Run, step: Step) -> bool:
    return matches(run, step, _values(run, step, iter((run.world.outside.now(),))), step.strings(1))


_ZONE = TagRule("zone", takes=Shape.STRING)
_END = (Takes("date part", Shape.STRING), Takes("key list", Shape.STRINGS))
TESTS = (
    Test(
        "date",
        (Takes("header name", Shape.STRING), *_END),
        (_ZONE, TagRule("originalzone", "zone"), *MATCHING, *INDEX),
        "date",
        check=_check,
        holds=_date,
    ),
    Test("currentdate", _END, (_ZONE, *MATCHING), "date", check=_check, holds=_currentdate),
)
