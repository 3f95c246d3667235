"""What an admin orders for a recipient: it is in the journal before the answer, outlives restarts, and nothing races with it."""

from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
from mailward.queue.schedule import HOLD_AFTER
from mailward.queue.spool import Spool
from support.faulty_disk import FaultyDisk
from support.spooling import NOW, Clock, commit


def spool_at(folder: Path, owner: str = "queue", disk: Disk | None = None) -> Spool:
    return Spool(folder / "spool", disk or Disk(), owner=owner)


async def adopted(folder: Path, recipients: int = 3, disk: Disk | None = None) -> tuple[Spool, QueueItem]:
    """A message that the queue process has taken over."""
    smtp, spool = spool_at(folder, "smtp"), spool_at(folder, disk=disk)
    item = await commit(smtp, b"mail", recipients)
    await smtp.close()
    assert spool.adopt().items == (item.id,)
    return spool, item


async def restarted(folder: Path, spool: Spool) -> Spool:
    await spool.close()
    new = spool_at(folder)
    new.adopt()
    return new


async def test_a_hold_outlives_restarts_and_ends_with_a_release(tmp_path: Path) -> None:
    spool, item = await adopted(tmp_path)
    assert spool.hold([(item.id, 0), (item.id, 1)], "asked the sender") == {(item.id, 0), (item.id, 1)}
    for _ in range(3):
        spool = await restarted(tmp_path, spool)
        states = spool.open_recipients(item.id)
        assert [states[index].hold_reason for index in range(3)] == ["asked the sender", "asked the sender", ""]
    assert spool.release([(item.id, 0)]) == {(item.id, 0)}
    spool = await restarted(tmp_path, spool)
    assert [state.hold_reason for state in spool.open_recipients(item.id).values()] == ["", "asked the sender", ""]
    await spool.close()


async def test_no_attempt_begins_for_what_is_held_finished_or_under_way(tmp_path: Path) -> None:
    spool, item = await adopted(tmp_path)
    everybody = [(item.id, index) for index in range(3)]
    spool.hold(everybody[:1], "wait")
    assert spool.begin_attempts(everybody) == set(everybody[1:])
    assert spool.begin_attempts(everybody) == frozenset()
    spool.failed_attempt(item.id, 1, "no", NOW)
    spool.done(item.id, 2, "delivered")
    assert spool.begin_attempts(everybody) == {(item.id, 1)}
    assert spool.hold(everybody, "now") == set(everybody[:2])
    await spool.close()


async def test_retry_makes_due_what_waits_and_leaves_what_is_held(tmp_path: Path) -> None:
    spool, item = await adopted(tmp_path)
    for index in range(3):
        spool.begin_attempts([(item.id, index)])
        spool.failed_attempt(item.id, index, "no", NOW)
    spool.hold([(item.id, 2)], "wait")
    assert spool.retry_now([(item.id, 0), (item.id, 2)]) == {(item.id, 0)}
    spool = await restarted(tmp_path, spool)
    states = spool.open_recipients(item.id)
    assert [(state.failures, state.next_at != "", state.hold_reason) for state in states.values()] == [
        (1, False, ""),
        (1, True, ""),
        (1, True, "wait"),
    ]
    await spool.close()


async def test_drop_ends_the_work_but_not_while_an_attempt_is_under_way(tmp_path: Path) -> None:
    spool, item = await adopted(tmp_path)
    spool.begin_attempts([(item.id, 0)])
    assert spool.drop([(item.id, 0), (item.id, 1), (item.id, 9)], "not wanted") == {(item.id, 1)}
    assert spool.begin_attempts([(item.id, 1)]) == frozenset()
    spool.failed_attempt(item.id, 0, "no", NOW)
    assert spool.drop([(item.id, 0), (item.id, 2)], "not wanted") == {(item.id, 0), (item.id, 2)}
    spool = await restarted(tmp_path, spool)
    assert not spool.ids()
    await spool.close()


async def test_t_q_08_what_killed_its_process_is_held_until_released_and_then_counted_anew(tmp_path: Path) -> None:
    spool, item = await adopted(tmp_path, 2)
    clock = Clock()
    for _ in range(HOLD_AFTER):
        assert spool.begin_attempts([(item.id, 0)]) == {(item.id, 0)}
        spool = await restarted(tmp_path, spool)  # the process died in it
    assert spool.open_recipients(item.id)[0].hold_reason == "3 attempts ended with the process"
    assert spool.begin_attempts([(item.id, 0)]) == frozenset()
    agenda = Agenda(spool, clock, clock.monotonic_s)
    agenda.plan(item.id, 0)
    agenda.plan(item.id, 1)
    assert [due.index for due in agenda.take(("mailbox",))] == [1]
    spool.release([(item.id, 0)])
    agenda.plan(item.id, 0)
    (due,) = agenda.take(("mailbox",))
    assert (due.index, due.is_suspect) == (0, False)
    assert spool.begin_attempts([(item.id, 0)]) == {(item.id, 0)}
    spool = await restarted(tmp_path, spool)
    assert spool.open_recipients(item.id)[0].begun == 1
    await spool.close()


async def test_a_release_does_not_hide_an_attempt_under_way_from_the_poison_rule(tmp_path: Path) -> None:
    spool, item = await adopted(tmp_path, 1)
    spool.begin_attempts([(item.id, 0)])
    spool.release([(item.id, 0)])
    spool = await restarted(tmp_path, spool)
    assert spool.open_recipients(item.id)[0].begun == 1
    await spool.close()


@pytest.mark.parametrize("order", ["hold", "drop", "release", "retry_now"])
async def test_t_q_04_an_order_that_could_not_be_written_is_not_confirmed(tmp_path: Path, order: str) -> None:
    disk = FaultyDisk()
    spool, item = await adopted(tmp_path, 1, disk)
    disk._fail_at = len(disk.trace) + 1
    call = getattr(spool, order)
    assert call([(item.id, 0)], *(["why"] if order in ("hold", "drop") else [])) == frozenset()
    (again,) = spool.adopt().items
    assert again == item.id and not spool.open_recipients(item.id)[0].hold_reason
    await spool.close()


async def test_the_agenda_gives_each_manager_its_routes_once(tmp_path: Path) -> None:
    from mailward.queue.item import QueuedRecipient

    smtp, spool, clock = spool_at(tmp_path, "smtp"), spool_at(tmp_path), Clock()
    item = await commit(smtp, b"x", [QueuedRecipient("a@example.org", "mailbox"), QueuedRecipient("b@example.net", "relay")])
    await smtp.close()
    agenda = Agenda(spool, clock, clock.monotonic_s)
    agenda.adopt()
    assert [due.index for due in agenda.take(("relay",))] == [1]
    assert [due.index for due in agenda.take(("mailbox", "quarantine"))] == [0]
    assert not agenda.take(("relay", "mailbox"))
    agenda.again(item.id, 1, "relay", 60.0)
    agenda.again(item.id, 1, "relay", 30.0)
    clock.seconds = 31.0
    assert [due.index for due in agenda.take(("relay",))] == [1]
    clock.seconds = 61.0
    assert not agenda.take(("relay",))
    await spool.close()


@pytest.mark.parametrize("held_before", [False, True])
async def test_a_release_after_an_attempt_that_died_leaves_nothing_under_way(tmp_path: Path, held_before: bool) -> None:
    """T-Q-08: the release forgets the attempt that a former process began; mail must not wait for its end for ever."""
    spool, item = await adopted(tmp_path, recipients=1)
    assert spool.begin_attempts([(item.id, 0)]) == {(item.id, 0)}
    spool = await restarted(tmp_path, spool)
    if held_before:
        assert spool.hold([(item.id, 0)], "wait") == {(item.id, 0)}
    assert spool.release([(item.id, 0)]) == {(item.id, 0)}
    for _ in range(2):
        spool = await restarted(tmp_path, spool)
        assert spool.open_recipients(item.id)[0].waiting
    assert spool.begin_attempts([(item.id, 0)]) == {(item.id, 0)}
    await spool.close()
