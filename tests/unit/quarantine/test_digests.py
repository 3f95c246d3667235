"""Each entry is told of once, each user hears once a day, whatever is interrupted, released or comes between."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Held, Portion, Quarantine
from support.spooling import NOW

BOB, ANN = AccountId("b0b"), AccountId("a11")
MONDAY = date(2026, 11, 2)
TUESDAY = MONDAY + timedelta(days=1)


class Shelf:
    """A quarantine into which mail comes, received at any time."""

    def __init__(self, folder: Path) -> None:
        self.quarantine = Quarantine(folder, Disk())
        self.digests = self.quarantine.digests

    def keep(self, name: str, account: AccountId = BOB, **more: object) -> Held:
        held = Held(
            f"{name}:0",
            QueueId(name),
            0,
            "x@example.org",
            "why",
            "2026-10-01T10:00:00.000Z",
            1,
            account=account,
            kept_at="2026-10-01T10:00:00.000Z",
        )
        held = replace(held, **more)  # type: ignore[arg-type]
        self.quarantine.add(held, b"x")
        return held

    def told(self, portion: Portion | None) -> list[str]:
        assert portion is not None
        return [held.id for held in self.digests.news(portion, 100).newest]

    def day(self, day: date) -> dict[AccountId, list[str]]:
        """A whole round."""
        upto = self.digests.begin_round(day)
        found = {}
        for account in self.digests.waiting((ANN, BOB), upto) if upto is not None else ():
            portion = self.digests.begin(account, day, upto or 0)
            found[account] = self.told(portion)
            assert portion is not None
            self.digests.sent(portion)
        self.digests.end_round()
        return found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "quarantine")


def test_everybody_hears_of_what_is_new_once(shelf: Shelf) -> None:
    shelf.keep("1")
    shelf.keep("2")
    shelf.keep("3", ANN)
    assert shelf.day(MONDAY) == {ANN: ["3"], BOB: ["2", "1"]}
    assert shelf.day(MONDAY) == {}
    shelf.keep("4", held_at="2020-01-01T00:00:00.000Z")  # it waited long before it came here
    assert shelf.day(MONDAY) == {}, "the digest of this day has gone"
    assert shelf.day(TUESDAY) == {BOB: ["4"]}


def test_nobody_hears_of_what_is_for_others_discarded_gone_or_of_our_own(shelf: Shelf) -> None:
    for name, more in {
        "elsewhere": {"account": "", "route": "relay"},
        "discarded": {"verdict": "discard"},
        "a report of ours": {"origin": "server"},
        "released": {},
    }.items():
        shelf.keep(name, **more)  # type: ignore[arg-type]
    shelf.quarantine.end("released:0", how="released", now=NOW)
    assert shelf.day(MONDAY) == {}


def test_t_av_01_malware_is_counted_and_not_shown(shelf: Shelf) -> None:
    shelf.keep("1", infected=True)
    shelf.keep("2")
    shelf.keep("3")
    news = shelf.digests.news(shelf.digests.next(BOB), 1)
    assert (news.total, [held.id for held in news.newest], news.infected) == (2, ["3"], 1)


def test_what_was_interrupted_is_the_same_portion_again_whatever_came_since(shelf: Shelf) -> None:
    shelf.keep("1")
    upto = shelf.digests.begin_round(MONDAY)
    assert upto is not None
    begun = shelf.digests.begin(BOB, MONDAY, upto)
    shelf.keep("2")
    assert shelf.digests.begin_round(MONDAY) == upto
    again = shelf.digests.begin(BOB, MONDAY, upto)
    assert begun == again and begun is not None and again is not None and begun.key == again.key
    assert shelf.told(again) == ["1"]


def test_what_was_interrupted_and_lasted_into_the_next_day_is_all_of_that_day(shelf: Shelf) -> None:
    shelf.keep("1")
    upto = shelf.digests.begin_round(MONDAY) or 0
    begun = shelf.digests.begin(BOB, MONDAY, upto)  # nobody knows whether it was sent
    shelf.keep("2")
    later = shelf.digests.begin_round(TUESDAY) or 0
    again = shelf.digests.begin(BOB, TUESDAY, later)
    assert again == begun and again is not None
    shelf.digests.sent(again)
    assert shelf.digests.begin(BOB, TUESDAY, later) is None, "one a day"
    assert shelf.day(TUESDAY + timedelta(days=1)) == {BOB: ["2"]}


def test_an_arrival_is_given_once_though_all_entries_are_forgotten(shelf: Shelf) -> None:
    shelf.keep("1")
    shelf.day(MONDAY)
    shelf.quarantine.end("1:0", how="dropped", now=NOW + timedelta(days=600))
    assert not shelf.quarantine.knows("1:0")
    shelf.keep("2")
    assert shelf.day(TUESDAY) == {BOB: ["2"]}


def test_a_clock_that_goes_back_over_midnight_makes_no_second_digest_and_one_set_right_makes_them_go_on(shelf: Shelf) -> None:
    assert shelf.digests.begin_round(TUESDAY) is not None
    shelf.digests.end_round()
    assert shelf.digests.begin_round(MONDAY) is None
    assert shelf.digests.begin_round(MONDAY - timedelta(days=400)) is not None


def test_what_would_be_told_now_changes_nothing(shelf: Shelf) -> None:
    shelf.keep("1")
    assert shelf.told(shelf.digests.next(BOB)) == ["1"]
    assert shelf.day(MONDAY) == {BOB: ["1"]}
    assert shelf.told(shelf.digests.next(BOB)) == []
    shelf.keep("2")
    assert shelf.told(shelf.digests.next(BOB)) == ["2"]
