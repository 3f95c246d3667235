"""Orders for mail that comes yet: what they mean, that they outlive the process, and how they are taken back."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailward.delivery.calls import Selection, StandingOrder
from mailward.delivery.standing import KEPT, StandingOrders
from mailward.delivery.static_hop import StaticHop
from mailward.disk import Disk
from mailward.model.decision import utc_text
from mailward.model.errors import StorageError
from support.spooling import NOW, Clock, item_for

AT = utc_text(NOW)
ITEM = item_for(b"x", reverse_path="Ann@Example.org")
HOLD = StandingOrder(to="far.test", reason="they are moving", at=AT)
REROUTE = StandingOrder(to="far.test", via="smtp:mx2.far.test:2525", at=AT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data/orders.json"


def orders(path: Path, clock: Clock | None = None) -> StandingOrders:
    return StandingOrders(path, Disk(), clock or Clock())


def test_orders_outlive_the_process_and_a_later_one_for_the_same_mail_takes_the_place(path: Path) -> None:
    made = orders(path)
    for order in (HOLD, REROUTE, StandingOrder(to="far.test", via="smtp:mx3.far.test:25", at=AT)):
        made.stand(order)
    assert orders(path).all == made.all == (HOLD, StandingOrder(to="far.test", via="smtp:mx3.far.test:25", at=AT))


def test_what_is_said_of_a_message_goes_before_what_is_said_of_its_domain(path: Path) -> None:
    made = orders(path)
    assert made.route(ITEM, "far.test") is None
    made.stand(REROUTE)
    assert made.route(ITEM, "far.test") == StaticHop("mx2.far.test", 2525)
    assert made.route(ITEM, "sub.far.test") is None
    made.stand(StandingOrder(id=ITEM.id, via="smtp:[192.0.2.7]:25", at=AT))
    assert made.route(ITEM, "far.test") == made.route(ITEM, "other.test") == StaticHop("192.0.2.7", 25)


@pytest.mark.parametrize(
    ("order", "held"),
    [
        (HOLD, True),
        (StandingOrder(to="bob@FAR.test", reason="x"), True),
        (StandingOrder(to="carl@far.test", reason="x"), False),
        (StandingOrder(reverse_path="ann@example.org", reason="x"), True),
        (StandingOrder(reverse_path="example.org", reason="x"), True),
        (StandingOrder(reverse_path="<>", reason="x"), False),
        (StandingOrder(to="far.test", reverse_path="else@example.org", reason="x"), False),
        (REROUTE, False),
    ],
)
def test_holds_are_for_all_mail_that_fits(path: Path, order: StandingOrder, held: bool) -> None:
    made = orders(path)
    made.stand(order)
    assert (made.hold_reason(ITEM, "bob@far.test") != "") is held


def test_an_order_is_taken_back_by_what_it_is_about_or_with_all_of_its_kind(path: Path) -> None:
    made = orders(path)
    by_sender = StandingOrder(to="far.test", reverse_path="ann@example.org", reason="x", at=AT)
    for order in (HOLD, by_sender, REROUTE):
        made.stand(order)
    assert made.lift(Selection(to="other.test"), is_reroute=False) == ()
    assert made.lift(Selection(to="FAR.test"), is_reroute=False) == (HOLD,)
    assert made.lift(Selection(problem="full"), is_reroute=False) == ()
    assert made.lift(Selection(), is_reroute=False) == (by_sender,)
    assert orders(path).all == (REROUTE,)
    assert made.lift(Selection(to="far.test"), is_reroute=True) == (REROUTE,) and orders(path).all == ()


def test_a_reroute_of_a_message_goes_when_no_mail_waits_so_long(path: Path) -> None:
    clock = Clock()
    made = orders(path, clock)
    made.stand(StandingOrder(id=ITEM.id, via="smtp:[192.0.2.7]:25", at=AT))
    clock.seconds += (KEPT + timedelta(days=1)).total_seconds()
    made.stand(HOLD)
    assert made.all == (HOLD,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version": 3, "orders": []}',
        b'{"version": 2, "orders": [{"colour": "red"}]}',
        b'{"version": 2, "orders": [{"via": "x"}]}',
    ],
)
def test_orders_that_cannot_be_read_stop_the_start_rather_than_being_forgotten(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"orders\.json.*mend it or move it away"):
        orders(path)


def test_orders_of_the_form_before_go_on(path: Path) -> None:
    path.parent.mkdir()
    old = """{"version": 1, "orders": [{"id": "", "to": "far.test", "reverse_path": "", "host": "2001:db8::7", "port": 2525,
        "reason": "x", "at": "2026-11-27T12:00:00Z"}, {"to": "x.test", "host": "", "port": 25, "reason": "they are moving"}]}"""
    path.write_text(old)
    reroute, hold = orders(path).all
    assert reroute.via == "smtp:[2001:db8::7]:2525" and (hold.via, hold.reason) == ("", "they are moving")


def test_an_order_for_all_mail_holds_whatever_comes_and_is_taken_back_with_all(path: Path) -> None:
    made = orders(path)
    made.stand(StandingOrder(reason="on a blocklist", at=AT))
    assert made.hold_reason(ITEM, "a@far.test") == made.hold_reason(ITEM, "b@near.test") == "on a blocklist"
    assert made.route(ITEM, "far.test") is None
    assert len(made.lift(Selection(), is_reroute=False)) == 1 and made.hold_reason(ITEM, "a@far.test") == ""
