"""Retro-actions: what is taken comes out of every mailbox once, and what is undone is as it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailward.model.errors import StorageError
from mailward.model.ids import Uid
from mailward.store.ops import Copy, CreateMailbox, DeleteMailbox, Expunge, RenameMailbox, SetFlags
from support.retros import ANN, RetroPlace


class _Cut(Exception):
    """Where the process would have been killed."""


@pytest.fixture
def place(tmp_path: Path) -> RetroPlace:
    return RetroPlace(tmp_path)


async def test_a_copy_is_taken_out_of_every_mailbox_into_which_it_was_moved_and_put_back_as_it_was(place: RetroPlace) -> None:
    ann = place.account(ANN)
    record, other = place.deliver(ann, ("\\Seen", "$Label")), place.deliver(ann)
    store = place.store.open(ann)
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    date = list(store.meta(store.view(inbox).messages[:1], ("internal_date",)))
    store.apply([CreateMailbox("Work/Done")])
    store.apply([Copy(inbox, (Uid(1),), store.mailbox("Work/Done").id), Copy(inbox, (Uid(1),), trash, move=True)])
    before = place.mail(ann)
    assert [name for name, _, _ in before] == ["INBOX", "Trash", "Work/Done"]
    retro = place.begin()
    item = await place.actions.act(retro, place.target(record, ann))
    assert (item.state, item.outcome) == ("done", "taken into quarantine by retro-action R1")
    assert [name for name, _, _ in place.mail(ann)] == ["INBOX"], "the other message stays"
    (held,) = place.quarantine.list()
    assert (held.recipient, held.reason, held.subject) == (ANN, "taken back by an administrator (retro-action R1)", "Lunch")
    assert place.quarantine.read(held.delivery_key) == before[1][1]
    assert place.actions.in_mailboxes(record, ANN, ANN, ann) == []
    store.apply([RenameMailbox("Work/Done", "Finished")])  # the same mailbox
    undone = await place.actions.undo(retro, item)
    assert (undone.state, undone.outcome) == (
        "undone",
        "put back into Trash, Finished (Work/Done is gone) by undoing retro-action R1",
    )
    assert sorted(place.mail(ann)) == sorted([("Finished", *before[2][1:]), *before[:2]])
    assert list(store.meta(store.view(trash).messages, ("internal_date",))) == date
    assert place.quarantine.list() == ()
    assert place.story(record.id) == [item.outcome, undone.outcome]
    assert place.story(other.id) == []
    again = await place.actions.act(place.begin(), place.target_of_first(record, ann))
    assert again.state == "done"


STEPS = {
    "before it is kept": ("quarantine", "add"),
    "between quarantine and removal": ("account", "apply"),
    "before the note": ("decisions", "add_event"),
    "before the end": ("log", "end_item"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_t_q_10_cut_short_at_any_step_and_settled_there_is_one_copy_in_quarantine_and_none_in_a_mailbox(
    place: RetroPlace, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = place.account(ANN)
    record, retro = place.deliver(ann), place.begin()
    target = place.target(record, ann)

    def cut(*_: object) -> None:
        raise _Cut

    part, method = STEPS[step]
    with monkeypatch.context() as patched:
        patched.setattr(place.store.open(ann) if part == "account" else getattr(place, part), method, cut)
        with pytest.raises(_Cut):
            await place.actions.act(retro, target)
    assert len(place.quarantine.list()) + len(place.mail(ann)) >= 1, "it is never nowhere"
    (item,) = await place.actions.settle()
    assert item.state == "done"
    assert (len(place.quarantine.list()), place.mail(ann)) == (1, [])
    assert place.story(record.id) == ["taken into quarantine by retro-action R1"]
    assert await place.actions.settle() == []


UNDO_STEPS = {
    "before it is back": ("account", "apply"),
    "before the note": ("decisions", "add_event"),
    "between mailbox and quarantine": ("quarantine", "end"),
    "before the end": ("log", "end_item"),
}


@pytest.mark.parametrize("step", UNDO_STEPS)
async def test_t_q_10_undoing_that_was_cut_short_and_is_repeated_puts_back_one_copy(
    place: RetroPlace, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = place.account(ANN)
    record, retro = place.deliver(ann), place.begin()
    before = place.mail(ann)
    item = await place.actions.act(retro, place.target(record, ann))

    def cut(*_: object, **__: object) -> None:
        raise _Cut

    part, method = UNDO_STEPS[step]
    with monkeypatch.context() as patched:
        patched.setattr(place.store.open(ann) if part == "account" else getattr(place, part), method, cut)
        with pytest.raises(_Cut):
            await place.actions.undo(retro, item)
    assert (await place.actions.undo(retro, item)).state == "undone"
    assert (place.mail(ann), place.quarantine.list()) == (before, ())
    assert place.story(record.id)[1:] == ["put back into INBOX by undoing retro-action R1"]


async def test_what_was_deleted_is_said_and_never_comes_back(place: RetroPlace) -> None:
    ann = place.account(ANN)
    record, retro = place.deliver(ann), place.begin()
    target = place.target(record, ann)
    store = place.store.open(ann)
    store.apply([Expunge(store.mailbox("INBOX").id, (Uid(1),))])
    item = await place.actions.act(retro, target)
    assert (item.state, item.outcome) == ("left", "it has been deleted")
    assert (place.mail(ann), place.quarantine.list(), place.story(record.id)) == ([], (), [])


async def test_a_damaged_copy_is_said_and_is_in_nobodys_way(place: RetroPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = place.account(ANN)
    record = place.deliver(ann)

    def damaged(message: int) -> bytes:
        raise StorageError(f"message {message} is damaged", permanent=True)

    monkeypatch.setattr(place.store.open(ann), "octets", damaged)
    item = await place.actions.act(place.begin(), place.target(record, ann))
    assert (item.state, item.outcome) == ("left", "message 1 is damaged")
    assert await place.actions.settle() == []
    assert len(place.mail(ann)) == 1


async def test_what_was_released_since_is_not_undone_and_not_doubled(place: RetroPlace) -> None:
    ann = place.account(ANN)
    record, retro = place.deliver(ann), place.begin()
    item = await place.actions.act(retro, place.target(record, ann))
    await place.release.release(place.quarantine.list()[0])
    undone = await place.actions.undo(retro, item)
    assert (undone.state, undone.outcome) == (
        "done",
        "not undone: it has been released or dropped from the quarantine since",
    )
    assert len(place.mail(ann)) == 1
    again = await place.actions.act(place.begin(), place.target_of_first(record, ann))
    assert (again.state, place.mail(ann), len(place.quarantine.list())) == ("done", [], 1)


async def test_mail_of_a_mailbox_that_is_gone_goes_back_into_inbox(place: RetroPlace) -> None:
    ann = place.account(ANN)
    record, retro = place.deliver(ann), place.begin()
    store = place.store.open(ann)
    store.apply([CreateMailbox("Bank")])
    store.apply([Copy(store.mailbox("INBOX").id, (Uid(1),), store.mailbox("Bank").id, move=True)])
    item = await place.actions.act(retro, place.target(record, ann))
    store.apply([DeleteMailbox("Bank")])
    assert "INBOX (Bank is gone)" in (await place.actions.undo(retro, item)).outcome
    assert [name for name, _, _ in place.mail(ann)] == ["INBOX"]


async def test_a_tag_is_set_wherever_the_copy_lies_and_taken_off_where_it_was_not_before(place: RetroPlace) -> None:
    ann = place.account(ANN)
    record, retro = place.deliver(ann), place.begin("tag", "$Phishing")
    store = place.store.open(ann)
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    store.apply([Copy(inbox, (Uid(1),), trash)])
    store.apply([SetFlags(trash, (Uid(1),), "add", ("$phishing",))])
    item = await place.actions.act(retro, place.target(record, ann))
    assert item.outcome == "tagged $Phishing by retro-action R1"
    assert [flags for _, _, flags in place.mail(ann)] == [("$Phishing",), ("$phishing",)]
    left = await place.actions.act(place.begin("tag", "$Phishing"), place.target(record, ann))
    assert (left.state, left.outcome) == ("left", "it has $Phishing already")
    await place.actions.undo(retro, item)
    assert [flags for _, _, flags in place.mail(ann)] == [(), ("$phishing",)]
    assert place.story(record.id) == [item.outcome, "$Phishing taken off by undoing retro-action R1"]


async def test_a_release_is_learnt_from_and_undone(place: RetroPlace) -> None:
    ann = place.account(ANN)
    held = place.hold()
    kept = place.quarantine.read(held.delivery_key)
    record, retro = place.decisions.get(held.id), place.begin("release")
    assert record is not None
    (target,) = place.actions.in_quarantine(record, ANN)
    item = await place.actions.act(retro, target)
    assert (item.state, item.account, place.learnt) == ("done", ann, [kept])
    assert [octets for _, octets, _ in place.mail(ann)] == [kept]
    undone = await place.actions.undo(retro, item)
    assert (undone.state, place.mail(ann)) == ("undone", [])
    (again,) = place.quarantine.list()
    assert (again.reason, place.quarantine.read(again.delivery_key)) == (held.reason, kept)
    assert place.story(held.id)[1:] == [
        "let go by retro-action R1",
        "put back into quarantine by undoing retro-action R1",
    ]


async def test_a_release_that_was_cut_short_behind_its_last_step_is_known_as_done(
    place: RetroPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = place.account(ANN)
    held = place.hold()
    record = place.decisions.get(held.id)
    assert record is not None

    def cut(*_: object) -> None:
        raise _Cut

    with monkeypatch.context() as patched:
        patched.setattr(place.log, "end_item", cut)
        with pytest.raises(_Cut):
            await place.actions.act(place.begin("release"), place.actions.in_quarantine(record, ANN)[0])
    (item,) = await place.actions.settle()
    assert (item.state, item.account, len(place.mail(ann))) == ("done", ann, 1)


async def test_malware_is_not_let_go_unless_told_so(place: RetroPlace) -> None:
    ann = place.account(ANN)
    held = place.hold(infected=True)
    record = place.decisions.get(held.id)
    assert record is not None
    (target,) = place.actions.in_quarantine(record, ANN)
    item = await place.actions.act(place.begin("release"), target)
    assert item.state == "left" and item.outcome.startswith("it carries malware")
    assert place.mail(ann) == []
    item = await place.actions.act(place.begin("release", even_infected=True), target)
    assert item.state == "done" and len(place.mail(ann)) == 1


async def test_delivery_still_keeps_a_copy_under_its_own_index(place: RetroPlace) -> None:
    """What delivery has not kept yet must not pass for kept."""
    ann = place.account(ANN)
    record = place.deliver(ann)
    await place.actions.act(place.begin(), place.target(record, ann))
    assert all(place.quarantine.find(record.id, index) == () for index in range(1000))


async def test_what_another_release_has_begun_is_said_and_is_in_nobodys_way(
    place: RetroPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = place.account(ANN)
    record, other, retro = place.deliver(ann), place.deliver(ann), place.begin()
    place.log.begin_item(retro, record.id, ANN, ann, place.target(record, ann).delivery_key, '{"version": 3}')
    with monkeypatch.context() as patched:
        patched.setattr(place.log, "end_item", lambda *_: None)  # as if cut short before the end
        await place.actions.act(retro, place.target(other, ann))
    newer, settled = await place.actions.settle()
    assert (newer.state, newer.outcome) == (
        "begun",
        "left as it is: the journal is of version 3, this release reads up to 2",
    )
    assert settled.state == "done"
    assert [item.id for item in place.log.begun()] == [record.id]
    assert len(place.mail(ann)) == 1
    undone = await place.actions.undo(retro, replace(newer, state="done"))
    assert undone.outcome == "not undone: the journal is of version 3, this release reads up to 2"
