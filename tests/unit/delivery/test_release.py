"""A release from the quarantine: where it leads, that it happens once, and what is refused."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mailward.delivery.bounce import no_report_reason
from mailward.delivery.mda import Copy, Mda
from mailward.delivery.release import Infected, NoMailbox, NotAllowed, NotReleased
from mailward.directory import Account
from mailward.disk import Disk
from mailward.formats.address import parse_mailbox
from mailward.formats.edits import render
from mailward.model.decision import DecisionRecord
from mailward.model.envelope import RcptParameters
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import UsersRelease
from mailward.queue.item import QueuedRecipient
from mailward.queue.spool import Spool
from support.releasing import OCTETS, Place
from support.spooling import Clock, item_for


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_the_kept_octets_go_into_the_recipients_inbox_and_nowhere_else(place: Place) -> None:
    ann, bob = place.account("ann@example.org"), place.account("bob@example.org")
    held = place.hold()
    kept = place.quarantine.read(held.delivery_key)
    released = await place.release.release(held)
    assert (released.octets, released.account) == (kept, ann)
    assert (place.inbox(ann), place.inbox(bob)) == ([kept], [])
    assert place.quarantine.list() == ()
    assert place.events(held) == ["released by admin into INBOX of ann@example.org"]


async def test_another_mailbox_can_be_named(place: Place) -> None:
    ann, bob = place.account("ann@example.org"), place.account("bob@example.org")
    await place.release.release(place.hold(), to=parse_mailbox("bob@example.org"))
    assert (place.inbox(ann), len(place.inbox(bob))) == ([], 1)


async def test_mail_for_the_bare_postmaster_finds_its_mailbox(place: Place) -> None:
    postmaster = place.account("postmaster@example.org")
    await place.release.release(place.hold("postmaster"))
    assert len(place.inbox(postmaster)) == 1


@pytest.mark.parametrize("route", ["mailbox", "discard"])
async def test_mail_that_leads_to_no_mailbox_stays(place: Place, route: str) -> None:
    held = place.hold("gone@example.org", route)
    with pytest.raises(NoMailbox):
        await place.release.release(held)
    with pytest.raises(NoMailbox, match=r"nobody@example\.org is nobody's mailbox"):
        await place.release.release(held, to=parse_mailbox("nobody@example.org"))
    assert place.quarantine.list() == (held,)
    assert place.events(held) == []


async def test_malware_stays_unless_told_otherwise(place: Place) -> None:
    ann = place.account("ann@example.org")
    held = place.hold(infected=True)
    with pytest.raises(Infected, match="it carries malware"):
        await place.release.release(held)
    assert place.inbox(ann) == []
    await place.release.release(held, even_infected=True)
    assert len(place.inbox(ann)) == 1


class _Cut(Exception):
    """Where the process would have been killed."""


STEPS = {
    "before the copy": ("store", "open"),
    "after the copy": ("decisions", "get"),
    "before the note": ("decisions", "add_event"),
    "before the end": ("quarantine", "end"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_t_q_10_cut_short_and_repeated_it_makes_one_copy_in_one_mailbox(
    place: Place, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = place.account("ann@example.org"), place.account("bob@example.org")
    held = place.hold()
    part, method = STEPS[step]

    def cut(*_: object, **__: object) -> None:
        raise _Cut

    with monkeypatch.context() as patched:
        patched.setattr(getattr(place, part), method, cut)
        with pytest.raises(_Cut):
            await place.release.release(held)
    with pytest.raises(NotReleased, match="to another place had begun"):
        await place.release.release(held, to=parse_mailbox("bob@example.org"))
    await place.release.release(held)
    assert (len(place.inbox(ann)), len(place.inbox(bob))) == (1, 0)
    assert place.events(held) == ["released by admin into INBOX of ann@example.org"]
    assert place.quarantine.list() == ()


async def test_mail_for_another_server_becomes_a_queue_item_as_it_would_have_been(place: Place, tmp_path: Path) -> None:
    held = replace(
        place.hold("ann@gateway.example", "relay"), origin="submission", user="bob@example.org", smtputf8=True, require_tls=True
    )
    released = await place.release.release(held)
    await place.close()
    keeper = Spool(tmp_path / "spool", Disk(), owner="queue")
    (queue_id,) = keeper.adopt().items
    item = keeper.item(queue_id)
    assert released.outcome == f"released by admin to the queue as {queue_id}" and queue_id != held.id
    assert (item.reverse_path, item.origin, item.user, item.smtputf8) == ("a@example.net", "submission", "bob@example.org", True)
    assert item.require_tls, "T-TLS-25: a release does not loosen it"
    assert [(r.forward_path, r.route) for r in item.recipients] == [("ann@gateway.example", "relay")]
    assert item.decision.id == held.id, "what becomes of it is told under the id that people know"
    copy = Copy(item, 0, keeper.octets(queue_id))
    leaving = copy.item.trace.encode() + render(copy.octets, (*item.edits, *copy.recipient.edits))
    assert leaving == b"Received: from a by b; Sun, 1 Mar 2026 12:00:00 +0000\r\n" + OCTETS
    assert Place(tmp_path).quarantine.list() == ()
    await keeper.close()


WISHES = {
    "ret": "HDRS",
    "envelope_id": "QQ+1",
    "tls_optional": True,
    "hold_until": "2026-03-02T12:00:00.000Z",
    "deliver_by": "2026-03-03T12:00:00.000Z",
    "by_mode": "R",
    "by_trace": True,
    "priority": -4,
}
ASKED = RcptParameters(("SUCCESS", "DELAY"), "rfc822;old@example.com")


async def test_a_forward_that_is_released_goes_as_it_would_have_and_its_sender_hears_when_it_fails(place: Place) -> None:
    """Its own reverse-path is an address of this server that nobody reads; reports go to the sender's."""
    path = "SRS0=aaaa=AA=stranger.test=carl@example.org"
    kept = QueuedRecipient(
        "ann@gateway.example",
        "quarantine",
        reason="rule odd",
        destination="relay",
        reverse_path=path,
        asked="sales@example.org",
    )
    item = replace(item_for(OCTETS, [kept]), reverse_path="carl@stranger.test")
    item = replace(item, decision=replace(item.decision, facts={"spf.result": "pass"}))
    place.decisions.add(item.decision)
    Mda(place.store, place.quarantine, Clock()).deliver([Copy(item, 0, OCTETS)])
    (held,) = place.quarantine.find(item.id)
    assert held.reverse_path == "carl@stranger.test"
    await place.release.release(held)
    (queued,) = [place.spool.item(queue_id) for queue_id in place.spool.ids()]
    assert (queued.reverse_path, queued.reverse_path_of(0)) == ("carl@stranger.test", path)
    assert queued.recipients[0].asked == "sales@example.org" and no_report_reason(queued) == ""


@pytest.mark.parametrize(("path", "route"), [("ann@gateway.example", "relay"), ("ann@example.org", "mailbox")])
async def test_what_its_sender_asked_for_goes_on_with_it(place: Place, tmp_path: Path, path: str, route: str) -> None:
    ann = place.account("ann@example.org")
    recipient = QueuedRecipient(path, "quarantine", reason="odd", destination=route, parameters=ASKED)
    item = replace(item_for(OCTETS, [recipient]), **WISHES)  # type: ignore[arg-type]
    Mda(place.store, place.quarantine, Clock()).deliver([Copy(item, 0, OCTETS)])
    (held,) = place.quarantine.find(item.id)
    released = await place.release.release(held)
    assert released.account == (ann if route == "mailbox" else "") and place.inbox(ann) == [], "the queue delivers and reports"
    await place.close()
    keeper = Spool(tmp_path / "spool", Disk(), owner="queue")
    (queue_id,) = keeper.adopt().items
    found = keeper.item(queue_id)
    assert {name: getattr(found, name) for name in WISHES} == WISHES
    assert found.recipients == (QueuedRecipient(path, route, released.account, parameters=ASKED),)
    await keeper.close()


@pytest.mark.parametrize("notify", [(), ("FAILURE",), ("NEVER",)])
async def test_whose_sender_wants_no_word_of_it_is_in_the_mailbox_at_once(place: Place, notify: tuple[str, ...]) -> None:
    ann = place.account("ann@example.org")
    said = RcptParameters(notify)  # type: ignore[arg-type]
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "quarantine", reason="odd", parameters=said)])
    Mda(place.store, place.quarantine, Clock()).deliver([Copy(item, 0, OCTETS)])
    await place.release.release(place.quarantine.find(item.id)[0])
    assert len(place.inbox(ann)) == 1


async def test_t_q_10_a_release_to_the_queue_cut_short_and_repeated_is_one_item(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = place.hold("ann@gateway.example", "relay")

    def cut(*_: object, **__: object) -> None:
        raise _Cut

    with monkeypatch.context() as patched:
        patched.setattr(place.quarantine, "end", cut)
        with pytest.raises(_Cut):
            await place.release.release(held)
    await place.close()
    keeper = Spool(tmp_path / "spool", Disk(), owner="queue")
    adopted = keeper.adopt().items
    again = Place(tmp_path)
    await again.release.release(held)
    await again.close()
    assert len(adopted) == 1 and keeper.adopt().items == (), "the second is known to be the first"
    assert len(keeper.ids()) == 1
    assert Place(tmp_path).events(held) == [f"released by admin to the queue as {adopted[0]}"]
    await keeper.close()


async def test_a_record_that_was_lost_stops_no_release_to_the_queue(place: Place, tmp_path: Path) -> None:
    held = place.hold("ann@gateway.example", "relay")
    await place.close()
    for file in tmp_path.glob("decisions.sqlite*"):
        file.unlink()
    place = Place(tmp_path)
    await place.release.release(held)
    await place.close()
    keeper = Spool(tmp_path / "spool", Disk(), owner="queue")
    assert keeper.item(keeper.adopt().items[0]).decision.id == held.id
    await keeper.close()


def test_a_drop_is_told(place: Place) -> None:
    held = place.hold()
    place.release.drop([held])
    assert place.quarantine.list() == ()
    assert place.events(held) == ["dropped from quarantine by admin"]


BY_SCORE = UsersRelease(frozenset({"limits"}))


async def test_t_web_19_a_user_lets_go_what_is_kept_for_him_as_far_as_an_admin_allows(place: Place) -> None:
    ann = place.account("ann@example.org")
    bob = place.account("bob@example.org")
    held = replace(place.hold(), account=ann, cause="limits", grounds="limits", verdict="quarantine")
    users = {account.id: account for account in place.directory.accounts()}
    with pytest.raises(NotAllowed, match="not kept for this user"):
        await place.release.release_as(users[bob], held, BY_SCORE)
    with pytest.raises(NotAllowed, match="for administrators"):
        await place.release.release_as(users[ann], held, UsersRelease())
    assert place.events(held) == [] and place.quarantine.list()
    await place.release.release_as(users[ann], held, BY_SCORE)
    assert (len(place.inbox(ann)), place.inbox(bob)) == (1, [])
    assert place.events(held) == ["released by ann@example.org into INBOX of ann@example.org"]


async def test_mail_to_an_address_that_has_another_owner_since_is_for_admins(place: Place) -> None:
    ann = place.account("ann@example.org")
    old = Account(AccountId("0ld"), parse_mailbox("old@example.org"))
    held = replace(place.hold(), account=old.id, cause="limits", grounds="limits", verdict="quarantine")
    with pytest.raises(NotAllowed, match="another user's address"):
        await place.release.release_as(old, held, BY_SCORE)
    assert place.inbox(ann) == []


@pytest.mark.parametrize("notify", [(), ("SUCCESS",)])
async def test_t_web_19_an_admin_gives_nobody_the_mail_of_who_had_the_address_before(
    place: Place, notify: tuple[str, ...]
) -> None:
    ann = place.account("ann@example.org")
    said = RcptParameters(notify)  # type: ignore[arg-type]
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "quarantine", "0ld", reason="odd", parameters=said)])
    Mda(place.store, place.quarantine, Clock()).deliver([Copy(item, 0, OCTETS)])
    (held,) = place.quarantine.find(item.id)
    with pytest.raises(NoMailbox, match="has become another user's address"):
        await place.release.release(held)
    assert place.inbox(ann) == [] and not place.spool.ids() and place.quarantine.list() == (held,)
    await place.release.release(held, to=parse_mailbox("ann@example.org"))
    assert len(place.inbox(ann)) == 1, "whoever names the mailbox means it"


def test_a_record_that_cannot_be_read_keeps_nothing_in_the_quarantine(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    helds = [place.hold(), place.hold()]
    read = place.decisions.get

    def damaged(id: QueueId) -> DecisionRecord | None:
        if id == helds[0].id:
            raise StorageError("it is damaged", permanent=True)
        return read(id)

    monkeypatch.setattr(place.decisions, "get", damaged)
    place.release.drop(helds)
    assert place.quarantine.list() == ()
    monkeypatch.undo()
    assert [place.events(held) for held in helds] == [[], ["dropped from quarantine by admin"]]


async def test_t_q_10_of_two_releases_at_once_one_sends_it(place: Place, tmp_path: Path) -> None:
    """Two admins, each with a process and a spool of its own."""
    held, other = place.hold("ann@gateway.example", "relay"), Place(tmp_path)
    done = await asyncio.gather(place.release.release(held), other.release.release(held), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Released", "StorageError"]
    assert len(place.spool.ids()) + len(other.spool.ids()) == 1
    with pytest.raises(StorageError):
        await other.release.release(held)
    await place.close()
    await other.close()
