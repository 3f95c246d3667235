"""Whose turn it is, and who gets a connection: the arithmetic of the lanes, without any I/O."""

from itertools import islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailward.delivery.lanes import Lane, Lanes, Waiting
from mailward.model.ids import QueueId
from mailward.queue.schedule import FIRST_REST_S, LONGEST_REST_S
from support.spooling import Clock

MOST = 5


class Scene:
    """Lanes, and a clock that is told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lanes = Lanes(MOST, self.clock.monotonic_s, lambda: 0.5)
        self.count = 0

    def mail(self, key: str, sender: str = "ann", priority: int = 0) -> QueueId:
        self.count += 1
        queue_id = QueueId(f"{sender}{self.count}")
        self.lanes.add(key, Waiting(None, queue_id, key, (0,), (priority, sender)))  # type: ignore[arg-type]
        return queue_id

    def rest_s(self, key: str) -> float:
        resting = self.lanes.rest(key)
        return 0.0 if resting is None else resting[0]

    def serve(self, places: int, *, doubtful: bool = False) -> list[QueueId]:
        """What goes first when so many connections are there, each of which takes one message."""
        found = []
        lanes = [lane for lane in (self.lanes.next(doubtful=doubtful) for _ in range(places)) if lane]
        for lane in lanes:
            taken = lane.take()
            found += [taken.id] if taken else []
            self.lanes.ended(lane)
        return found


def test_one_message_waits_for_no_more_than_a_turn_of_a_sender_with_thousands_in_the_same_lane() -> None:
    scene = Scene()
    for _ in range(10_000):
        scene.mail("far")
    bobs = scene.mail("far", "bob")
    assert bobs in [queue_id for _ in range(2) for queue_id in scene.serve(1)]


def test_one_message_waits_for_no_more_than_a_turn_of_a_sender_with_thousands_of_destinations() -> None:
    scene = Scene()
    for n in range(10_000):
        scene.mail(f"host{n}")
    bobs = scene.mail("elsewhere", "bob")
    behind = scene.mail("host9999", "carl")
    first = [queue_id for _ in range(4) for queue_id in scene.serve(1)]
    assert bobs in first and behind in first


def test_t_q_16_a_sender_who_has_his_share_lets_the_next_one_pass() -> None:
    scene = Scene()
    for n in range(100):
        scene.mail(f"host{n}", "eve", priority=3)
    bobs = scene.mail("elsewhere", "bob")
    lane = scene.lanes.next(lambda sender: sender != "eve", doubtful=False)
    assert lane is not None and lane.sender == "bob" and (taken := lane.take()) is not None and taken.id == bobs
    assert scene.lanes.next(lambda sender: sender != "eve", doubtful=False) is None
    assert len(scene.serve(100)) == 100


def test_higher_priorities_go_first_in_a_lane_and_between_lanes() -> None:
    scene = Scene()
    usual = [scene.mail(f"host{n}") for n in range(3)]
    urgent, more_urgent = scene.mail("host2", "bob", priority=4), scene.mail("host9", "carl", priority=6)
    assert scene.serve(1) == [more_urgent] and scene.serve(1) == [urgent] and scene.serve(1)[0] in usual


def test_a_lane_has_more_connections_as_they_work_and_fewer_when_one_breaks() -> None:
    scene = Scene()
    for _ in range(100):
        scene.mail("far")

    def grown() -> list[Lane]:
        return list(iter(lambda: scene.lanes.next(doubtful=False), None))

    lanes = grown()
    assert len(lanes) == 1
    sizes = []
    for _ in range(8):
        scene.lanes.worked(lanes[0])
        lanes += grown()
        sizes.append(len(lanes))
    assert sizes == [2, 3, 4, 5, 5, 5, 5, 5]
    scene.lanes.broke(lanes[0])
    assert lanes[0].allowed == 2
    for _ in range(3):
        scene.lanes.ended(lanes.pop())
        assert not grown()
    scene.lanes.ended(lanes.pop())
    assert len(grown()) == 1


def test_t_q_15_a_next_hop_that_is_down_is_left_alone_ever_longer_and_begins_with_one_connection_again() -> None:
    scene = Scene()
    rests = []
    for failures in range(8):
        for _ in range(50):
            scene.mail("far")
        lane = scene.lanes.next(doubtful=failures > 0)
        assert lane is not None and lane.take() and scene.lanes.next(doubtful=failures > 0) is None
        assert len(scene.lanes.down(lane, "refused")) == 49
        scene.lanes.ended(lane)
        rests.append(scene.rest_s("far"))
        scene.clock.seconds += rests[-1]
        assert scene.rest_s("far") == 0
    assert rests == [60, 120, 240, 480, 900, 900, 900, 900] and rests[0] == FIRST_REST_S and rests[-1] == LONGEST_REST_S
    for _ in range(50):
        scene.mail("far")
    assert scene.lanes.next(doubtful=False) is None
    lane = scene.lanes.next(doubtful=True)
    assert lane is not None and scene.lanes.next(doubtful=True) is None
    scene.lanes.worked(lane)
    assert scene.lanes.next(doubtful=False) is lane and scene.lanes.next(doubtful=False) is None


def test_no_connection_is_made_while_one_is_kept_for_the_next_message() -> None:
    scene = Scene()
    scene.mail("far")
    lane = scene.lanes.next(doubtful=False)
    assert lane is not None and lane.take()
    scene.lanes.worked(lane)
    lane.idle += 1
    waiting = {scene.mail("far"), scene.mail("far", "bob"), scene.mail("far")}
    assert scene.lanes.next(doubtful=False) is None
    scene.lanes.resumed(lane)
    assert scene.lanes.next(doubtful=False) is lane
    assert {one.id for one in iter(lane.take, None)} == waiting


def test_a_message_or_two_are_no_reason_for_a_second_connection() -> None:
    scene = Scene()
    for _ in range(3):
        scene.mail("far")
    lane = scene.lanes.next(doubtful=False)
    assert lane is not None and lane.take()
    scene.lanes.worked(lane)
    assert scene.lanes.next(doubtful=False) is None
    scene.mail("far")
    assert scene.lanes.next(doubtful=False) is lane


def test_an_order_by_hand_ends_the_rest() -> None:
    scene = Scene()
    scene.mail("far")
    lane = scene.lanes.next(doubtful=False)
    assert lane is not None
    scene.lanes.down(lane, "refused")
    assert scene.rest_s("far") > 0
    scene.lanes.forgive("far")
    assert scene.rest_s("far") == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mail"), st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from([0, 3])),
        st.tuples(st.sampled_from(["next", "doubt", "take", "worked", "broke", "down", "ended"]), st.integers(0, 9)),
    ),
    max_size=120,
)


@given(STEPS)
def test_nothing_is_lost_or_given_out_twice_and_no_lane_has_too_many_connections(steps: list[tuple[Any, ...]]) -> None:
    """Whatever happens in whatever order; and once all connections have ended, everything that is left gets its turn."""
    scene = Scene()
    waiting: set[QueueId] = set()
    busy: list[Lane] = []

    def out(queue_id: QueueId) -> None:
        waiting.remove(queue_id)

    for kind, *values in steps:
        if kind == "mail":
            waiting.add(scene.mail(*values))
        elif kind in ("next", "doubt"):
            lane = scene.lanes.next(doubtful=kind == "doubt")
            busy += [lane] if lane else []
        elif busy:
            lane = busy[values[0] % len(busy)]
            match kind:
                case "take":
                    if (taken := lane.take()) is not None:
                        out(taken.id)
                case "worked":
                    scene.lanes.worked(lane)
                case "broke":
                    scene.lanes.broke(lane)
                case "down":
                    for one in scene.lanes.down(lane, "refused"):
                        out(one.id)
                case "ended":
                    busy.remove(lane)
                    scene.lanes.ended(lane)
        assert all(lane.workers <= MOST for lane in busy)
    for lane in busy:
        scene.lanes.ended(lane)
    for _ in islice(iter(lambda: len(waiting), 0), 1000):
        for doubtful in (False, True):
            for queue_id in scene.serve(1, doubtful=doubtful):
                out(queue_id)
    assert not waiting and not scene.lanes
