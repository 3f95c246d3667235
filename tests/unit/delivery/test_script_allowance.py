"""What scripts send is bounded by what their owner may send in an hour, SMTP and scripts together; what is over is kept."""

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from mailward.delivery.mda import Copy
from mailward.model.errors import StorageError
from mailward.queue.item import QueueItem
from mailward.services.hourly import Hourly, HourlyLimits
from support.scripts import OCTETS, Place, to

SENDS_ON = 'redirect "c@example.com";'
SPENT = "ann@example.org has sent the 2 messages that it may in an hour"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path, accounts=HourlyLimits(messages=2))
    yield made
    await made.end()


async def deliver(place: Place, sender: str = "a@example.net") -> QueueItem:
    """From a sender whom SPF proves."""
    return await place.deliver(OCTETS, to(), reverse_path=sender, facts={"spf.result": "pass"})


async def test_t_imap_20_what_is_redirected_beyond_the_limit_is_kept_and_explain_says_why(place: Place) -> None:
    place.script(SENDS_ON)
    items = [await deliver(place) for _ in range(3)]
    assert len(place.leaving()) == 2 and len(place.contents("INBOX")) == 1
    assert place.told(items[-1]) == [
        f"delivered to INBOX, by line 1 of the script main; not redirected to c@example.com, since {SPENT}"
    ]


async def test_t_imap_20_replies_and_notifications_beyond_the_limit_are_left_out(place: Place) -> None:
    place.script('require ["vacation", "enotify"]; vacation "away"; notify "mailto:c@example.com?cc=d@example.com";')
    item = await deliver(place)
    assert len(place.leaving()) == 2 and len(place.contents("INBOX")) == 1
    assert place.told(item)[0].endswith(f"; d@example.com not notified, since {SPENT}")
    other = await deliver(place, "b@example.net")
    assert f"no reply, since {SPENT}" in place.told(other)[0]
    place.sent.messages = Hourly(HourlyLimits()).messages  # another hour
    await deliver(place, "b@example.net")
    assert {"b@example.net", "a@example.net"} <= {one.recipients[0].forward_path for one in place.leaving()}


async def test_t_imap_20_what_is_refused_beyond_the_limit_is_kept(place: Place) -> None:
    place.script('require "reject"; reject "not for me";')
    items = [await deliver(place) for _ in range(3)]
    assert len(place.leaving()) == 2 and len(place.contents("INBOX")) == 1
    assert place.told(items[-1]) == [f"delivered to INBOX, by line 1 of the script main; not refused, since {SPENT}"]


async def test_t_imap_20_what_was_sent_by_smtp_counts_and_each_account_has_its_own(place: Place) -> None:
    for account in ("ann", "bob"):
        place.script(SENDS_ON, account)
    assert place.sent.messages.take("ann", time.monotonic(), 2)
    await deliver(place)
    await place.deliver(OCTETS, to("bob@example.org"))
    assert len(place.leaving()) == 1 and len(place.contents("INBOX")) == 1 and place.contents("INBOX", "bob") == []


async def test_a_delivery_that_is_repeated_counts_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.script(SENDS_ON + "keep;")
    deliver_, failing = place.mda.deliver, [True, True, True]

    def fails(copies: Sequence[Copy]) -> tuple[str, ...]:
        if failing:
            failing.pop()
            raise StorageError("disk full")
        return deliver_(copies)

    monkeypatch.setattr(place.mda, "deliver", fails)
    item = await deliver(place)
    for _ in range(4):
        place.clock.seconds += 4000
        await place.work()
    assert "redirected to c@example.com as " in place.told(item)[-1]
    await deliver(place)
    assert len(place.leaving()) == 2 and len(place.contents("INBOX")) == 2
