"""Date-times: RFC 5322 sections 3.3 and 4.3, and what stands there instead."""

import time
from datetime import datetime

import pytest

from mailward.formats.dates import read_date


def _shown(value: bytes) -> str:
    date = read_date(value)
    return "" if date is None else date.at.isoformat()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 5322 appendix A
        (b"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),
        (b"Tue, 1 Jul 2003 10:52:37 +0200", "2003-07-01T10:52:37+02:00"),
        (b"Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)", "1969-02-13T23:32:00-03:30"),
        (b"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06+00:00"),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T09:55:06-06:00"),
        # section 3.3: names without regard to case
        (b"FRI, 21 NOV 1997 09:55:06 pdt", "1997-11-21T09:55:06-07:00"),
        # section 4.3: years and zones
        (b"1 Jan 49 00:00:00 UT", "2049-01-01T00:00:00+00:00"),
        (b"1 Jan 50 00:00:00 EST", "1950-01-01T00:00:00-05:00"),
        (b"1 Jan 105 00:00:00 MDT", "2005-01-01T00:00:00-06:00"),
        (b"1 Jan 2005 00:00:00 Z", "2005-01-01T00:00:00+00:00"),
        (b"1 Jan 2005 00:00:00 CET", "2005-01-01T00:00:00+00:00"),
        (b"31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59+00:00"),
        (b"29 Feb 2024 00:00:00 +1400 (a (b) c)", "2024-02-29T00:00:00+14:00"),
    ],
)
def test_what_the_grammar_allows(value: bytes, expected: str) -> None:
    date = read_date(value)
    assert date is not None
    assert date.at.isoformat() == expected
    assert date.at_s == datetime.fromisoformat(expected).timestamp()
    assert not date.is_malformed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Wed, 07 Nov 2007 01:07:20", "2007-11-07T01:07:20+00:00"),
        (b"Wed Nov  7 01:07:20 2007", "2007-11-07T01:07:20+00:00"),
        (b"Wed Nov  7 01:07:20 EST 2007", "2007-11-07T01:07:20-05:00"),
        (b"November 7, 2007 1:07 PM", "2007-11-07T13:07:00+00:00"),
        (b"7-Nov-07 12.07.20 am GMT+02:00", "2007-11-07T00:07:20+02:00"),
        (b"2007-11-07T01:07:20.25Z", "2007-11-07T01:07:20+00:00"),
        (b"2007-11-07 01:07:20 +02:00", "2007-11-07T01:07:20+02:00"),
        (b"Cmt, 7 Nov 2007 01:07:20 +0300", "2007-11-07T01:07:20+03:00"),
        (b"Wed, 7 Nov 2007 1:07:2 +0300", "2007-11-07T01:07:02+03:00"),
        (b"Wed, 7 Nov 2007 01:07:20 +0480", "2007-11-07T01:07:20+05:20"),
        (b"Wed, 7 Nov 2007 01:07:20 -0000 (", "2007-11-07T01:07:20+00:00"),
        (b"Wed, 7 Nov 2007 01:07:20 +0100 and more", "2007-11-07T01:07:20+01:00"),
        (b"Thu, 10 Jul 1997 14:53:31 EST5EDT", "1997-07-10T14:53:31-05:00"),
    ],
)
def test_what_has_one_sensible_reading_is_read_but_malformed(value: bytes, expected: str) -> None:
    date = read_date(value)
    assert date is not None
    assert date.at.isoformat() == expected
    assert date.is_malformed


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"today",
        b"Fri, 21 Nov 0 09:55:06 -0600",
        b"Fri, 21 Nov 0000 09:55:06 -0600",
        b"Fri, 21 Nov 0102 09:55:06 -0600",
        b"Fri, 21 Nov 1899 09:55:06 +0000",
        b"Fri, 21 Nov 9999 09:55:06 +0000",
        b"Fri, 21 Nov 9999999999 09:55:06 +0000",
        b"Fri, 21 Nov -1997 09:55:06 +0000",
        b"Fri, 21 Nov 1997 09:55:06 +9999",
        b"Fri, 21 Nov 1997 09:55:06 -2400",
        b"Fri, 31 Feb 1997 09:55:06 +0000",
        b"Fri, 21 Nov 1997 24:00:00 +0000",
        b"Fri, 21 Nov 1997 09:60:00 +0000",
        b"Fri, 21 Nov 1997 09:55:61 +0000",
        b"Fri, 21 Nov 1997",
        b"21 11 97 09:55:06 +0000",
        b"2007-13-07T01:07:20Z",
        b"Nov 7 01:07:20",
        b"Fri, 21 N\xc3\xb6v 1997 09:55:06 +0000",
        b"Fri, 21 Nov \xd9\xa1\xd9\xa9\xd9\xa9\xd9\xa7 09:55:06 +0000",
        b"Fri, 21 Nov 1997 09\0:55:06 +0000",
    ],
)
def test_t_hdr_20_what_is_no_date(value: bytes) -> None:
    assert read_date(value) is None


@pytest.mark.parametrize(("zone", "minutes"), [(b"+0000", 0), (b"-0000", None), (b"GMT", 0), (b"A", None), (b"-0330", -210)])
def test_a_zone_may_be_unknown(zone: bytes, minutes: int | None) -> None:
    date = read_date(b"21 Nov 1997 09:55:06 " + zone)
    assert date is not None
    assert date.zone_minutes == minutes


def test_t_hdr_20_the_first_and_the_last_moment_can_be_shown() -> None:
    assert _shown(b"31 Dec 9998 23:59:59 -2359") == "9998-12-31T23:59:59-23:59"
    assert _shown(b"1 Jan 1900 00:00:00 +2359") == "1900-01-01T00:00:00+23:59"


@pytest.mark.parametrize("value", [b"(" * 60_000, b"1" * 60_000, b" " * 60_000, b"21 Nov 1997 " + b" " * 60_000, b"(a)" * 20_000])
def test_t_hdr_16_a_long_value_takes_no_time(value: bytes) -> None:
    started = time.process_time()
    assert read_date(value) is None
    assert time.process_time() - started < 0.8


def test_what_is_cut_is_malformed() -> None:
    date = read_date(b"21 Nov 1997 09:55:06 +0000" + b" " * 1000)
    assert date is not None
    assert date.is_malformed
