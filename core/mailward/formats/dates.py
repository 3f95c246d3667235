"""When was it, by this date-time of a header field? (RFC 5322 sections 3.3 and 4.3)

What is neither of the grammar nor of its obsolete form is read too where there is only one sensible way to read it: months in
full, no zone, the order of asctime or of ISO 8601. That is marked malformed; anything else is no date.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from mailward.formats.lexical import without_comments

_MOST_OCTETS = 1000
"""A date-time has 31 without comments; what stands behind these is not read."""
_YEARS = range(1900, 9999)
"""RFC 5322 section 3.3: none before 1900. The last one leaves room for a zone below the last year of Python."""
_SHORT_YEAR = {2: 1900, 3: 1900}
"""RFC 5322 section 4.3, by the number of digits; two digits below 50 are of this century."""

_MONTHS = {
    **{b"jan": 1, b"feb": 2, b"mar": 3, b"apr": 4, b"may": 5, b"jun": 6},
    **{b"jul": 7, b"aug": 8, b"sep": 9, b"oct": 10, b"nov": 11, b"dec": 12},
}
_DAY_NAME = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH_NAME = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE_TIME = re.compile(
    rb"""[ \t]*+ (?:%b [ \t]*+ , [ \t]*+)?
    ([0-9]{1,2}) [ \t]*+ (%b) [ \t]*+ ([0-9]{2,9}) [ \t]++
    ([0-9]{2}) [ \t]*+ : [ \t]*+ ([0-9]{2}) (?:[ \t]*+ : [ \t]*+ ([0-9]{2}))? [ \t]*+
    ([+-][0-9]{2}[0-5][0-9]|[A-Z]{1,5}) [ \t]*+ (?:\([^()\\\x00\r\n]*+\)[ \t]*+)?"""
    % (_DAY_NAME, _MONTH_NAME),
    re.VERBOSE | re.IGNORECASE,
)
_LAX = re.compile(
    rb"""[ \t]*+ (?:%b[a-z]* [ \t,.]*+ | [a-z\x80-\xff]{1,40}, [ \t]*+)?
    (?: (?P<day>[0-9]{1,2}) (?:[ \t]*+ [.]? [ \t]*+ | [/-])
        (?P<month>%b)[a-z]* (?:[ \t]*+ [.,]? [ \t]*+ | [/-]) (?P<year>[0-9]{2,4})
      | (?P<us_month>%b)[a-z]* [ \t]++ (?P<us_day>[0-9]{1,2}) (?:[ \t,]++ (?P<us_year>[0-9]{4}))?
      | (?P<iso_year>[0-9]{4}) - (?P<iso_month>[0-9]{2}) - (?P<iso_day>[0-9]{2})
    ) (?:[ \t,]++ | T)
    (?P<hour>[0-9]{1,2}) [:.] (?P<minute>[0-9]{2}) (?:[:.] (?P<second>[0-9]{1,2}) (?:[.][0-9]*+)?)? (?![0-9:])
    (?:[ \t]*+ (?P<half>[AP]M)\b)?
    (?:[ \t]*+ (?P<zone>(?:(?:UTC?|GMT)[ ]?)? [+-][0-9]{2}[:-]?[0-9]{2}(?![0-9]) | [A-Z]{1,5}))?
    (?:[ \t]++ (?P<last_year>[0-9]{4})(?![0-9]))?"""
    % (_DAY_NAME, _MONTH_NAME, _MONTH_NAME),
    re.VERBOSE | re.IGNORECASE,
)
_LAST_SECOND = 60
"""A leap second (RFC 5322 section 3.3) is read as the 59th: the clocks that it is compared with do not count it."""
_DAY_MINUTES = 24 * 60
_OFFSET = re.compile(rb"([+-])([0-9]{2})[:-]?([0-9]{2})")
_ZONE_HOURS = {
    **{b"UT": 0, b"UTC": 0, b"GMT": 0, b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5},
    **{b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7},
}
"""RFC 5322 section 4.3 and UTC. Every other name is as good as -0000: each meant different things to different people."""


@dataclass(frozen=True, slots=True)
class DateTime:
    """at_s: seconds since 1970 UTC. zone_minutes: east of UTC; None for -0000 and for an unknown zone, which is read as UTC.

    is_malformed: not of the grammar, so that other readers may find another time or none.
    """

    at_s: int
    zone_minutes: int | None
    is_malformed: bool = False

    @property
    def at(self) -> datetime:
        """The moment, in the zone that it was written in."""
        return datetime.fromtimestamp(self.at_s, timezone(timedelta(minutes=self.zone_minutes)) if self.zone_minutes else UTC)


def read_date(value: bytes) -> DateTime | None:
    """The date-time that an unfolded value is, None when it is none (T-HDR-20). Never raises."""
    is_cut = len(value) > _MOST_OCTETS
    value = value[:_MOST_OCTETS]
    found = _DATE_TIME.fullmatch(value) or _DATE_TIME.fullmatch(value := without_comments(value))
    if found is not None:
        day, month, year, hour, minute, second, zone = found.groups()
        return _date_time((_year(year), _month(month), int(day)), (int(hour), int(minute), int(second or 0)), zone, is_cut)
    if (found := _LAX.match(value)) is None:
        return None
    part = found.groupdict()
    year = part["year"] or part["us_year"] or part["iso_year"] or part["last_year"]
    if year is None:
        return None
    month = int(part["iso_month"]) if part["iso_month"] else _month(part["month"] or part["us_month"])
    day = int(part["day"] or part["us_day"] or part["iso_day"])
    time = _hour(int(part["hour"]), part["half"]), int(part["minute"]), int(part["second"] or 0)
    return _date_time((_year(year), month, day), time, part["zone"], True)


def _date_time(date: tuple[int, int, int], time: tuple[int, int, int], zone: bytes | None, is_malformed: bool) -> DateTime | None:
    year, month, day = date
    hour, minute, second = time
    zone_minutes = _zone_minutes(zone or b"")
    # The grammar goes to 9959, but no clock anywhere is a day ahead.
    if year not in _YEARS or second > _LAST_SECOND or abs(zone_minutes or 0) >= _DAY_MINUTES:
        return None
    try:
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None
    return DateTime(int(at.timestamp()) - (zone_minutes or 0) * 60, zone_minutes, is_malformed)


def _zone_minutes(zone: bytes) -> int | None:
    offset = _OFFSET.search(zone)
    if offset is None:
        hours = _ZONE_HOURS.get(zone.upper())
        return None if hours is None else hours * 60
    minutes = int(offset[2]) * 60 + int(offset[3])
    if offset[1] == b"+":
        return minutes
    return -minutes if minutes else None


def _year(digits: bytes) -> int:
    year = int(digits)
    if len(digits) == 2 and year < 50:
        return 2000 + year
    return year + _SHORT_YEAR.get(len(digits), 0)


def _month(name: bytes) -> int:
    return _MONTHS[name[:3].lower()]


def _hour(hour: int, half: bytes | None) -> int:
    """Of 24 hours; a half of the day beside an hour above 12 says nothing."""
    if half is None or not 1 <= hour <= 12:
        return hour
    return hour % 12 + (12 if half.upper() == b"PM" else 0)
