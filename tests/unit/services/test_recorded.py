"""The world of then: what DNS said, nothing that it was not asked, and no web."""

from datetime import UTC, datetime

import pytest

from mailward.api import DnsTemporaryError, HttpFailed
from mailward.model.dns import DnsAnswer
from mailward.model.receipt import Heard
from mailward.services.recorded import NoHttp, RecordedClock, RecordedResolver
from mailward.testing.fakes import FakeZone

HEARD = (
    Heard("a.example", "TXT", DnsAnswer("found", ("then",))),
    Heard("b.example", "TXT", "SERVFAIL of then"),
    Heard("c.example", "A", DnsAnswer("nxdomain")),
)


async def test_answers_are_those_of_then_failures_too() -> None:
    zone = FakeZone()
    zone.add("a.example", "TXT", "now")
    for ask in (None, zone):
        resolver = RecordedResolver(ask)
        resolver.use(HEARD)
        assert (await resolver.resolve("A.example.", "TXT")).records == ("then",)
        assert (await resolver.resolve("c.example", "A")).status == "nxdomain"
        with pytest.raises(DnsTemporaryError, match="SERVFAIL of then"):
            await resolver.resolve("b.example", "TXT")
        assert resolver.anew == set()
    assert zone.asked == []


async def test_what_nobody_asked_then_is_asked_only_where_that_is_wanted() -> None:
    zone = FakeZone()
    zone.add("new.example", "A", "192.0.2.1")
    alone, asking = RecordedResolver(None), RecordedResolver(zone)
    with pytest.raises(DnsTemporaryError, match="not asked when the message came"):
        await alone.resolve("New.example.", "A")
    assert (await asking.resolve("new.example", "A")).records == ("192.0.2.1",)
    assert alone.anew == asking.anew == {"A new.example"}
    alone.use(())
    assert alone.anew == set()  # of the next message


async def test_the_clock_stands_and_the_web_is_away() -> None:
    clock, moment = RecordedClock(), datetime(2026, 1, 2, tzinfo=UTC)
    clock.set(moment)
    assert clock.now() == clock.now() == moment
    with pytest.raises(HttpFailed):
        await NoHttp().get("https://example.net/", limit_octets=1, limit_s=1)
