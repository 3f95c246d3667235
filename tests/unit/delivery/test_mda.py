"""The copy a recipient gets, in the real store and quarantine."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.api import FolderChoice
from mailward.delivery.expiring import expires_at
from mailward.delivery.mda import Copy, Mda
from mailward.disk import Disk
from mailward.model.decision import RecipientDecision
from mailward.model.edits import AddHeader, PrefixSubject, RemoveFieldAt
from mailward.model.errors import LocalError
from mailward.model.ids import AccountId, QueueId
from mailward.pipeline.folders import Chosen
from mailward.quarantine import Quarantine
from mailward.queue.item import JUNK_FOLDER, QueuedRecipient
from mailward.store import mailboxes
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import CreateMailbox, DeleteMailbox, Op, RenameMailbox, Subscribe
from mailward.store.refusals import NoSuchMailbox
from mailward.testing.fakes import FakeClock
from support.spooling import NOW, item_for
from support.stores import NoHints

OCTETS = b"Authentication-Results: here; spf=pass\r\nSubject: Lunch\r\nFrom: a@example.net\r\n\r\nat one?\r\n"


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "accounts", Disk(), NoHints())


@pytest.fixture
def mda(tmp_path: Path, store: EmbeddedStore) -> Mda:
    return Mda(store, Quarantine(tmp_path / "quarantine", Disk()), FakeClock(NOW + timedelta(days=6)))


def contents(account: AccountStore, name: str) -> list[bytes]:
    return [account.read(message) for message in account.view(account.mailbox(name).id).messages]


def test_final_delivery_puts_return_path_and_trace_on_top_and_renders_the_edits(mda: Mda, store: EmbeddedStore) -> None:
    recipient = QueuedRecipient("ann@example.org", "mailbox", account="ann", flags=("$Junk",), edits=(AddHeader("X-Tag", "own"),))
    item = replace(item_for(OCTETS, [recipient]), edits=(RemoveFieldAt(0), PrefixSubject("[out] ")))
    assert mda.deliver([Copy(item, 0, OCTETS)]) == ("delivered to INBOX",)
    assert contents(store.open(AccountId("ann")), "INBOX") == [
        b"Return-Path: <a@example.net>\r\n"
        b"Received: from a by b; Sun, 1 Mar 2026 12:00:00 +0000\r\n"
        b"X-Tag: own\r\nSubject: [out] Lunch\r\nFrom: a@example.net\r\n\r\nat one?\r\n"
    ]


def test_t_hdr_23_a_return_path_that_came_with_the_message_is_not_delivered(mda: Mda, store: EmbeddedStore) -> None:
    octets = b"return-path: <boss@example.org>\r\nSubject: x\r\nReturn-Path : <boss@example.org>\r\n\r\nbody\r\n"
    mda.deliver([Copy(item_for(octets, [QueuedRecipient("ann@example.org", "mailbox", account="ann")]), 0, octets)])
    (delivered,) = contents(store.open(AccountId("ann")), "INBOX")
    assert delivered.lower().count(b"return-path") == 1
    assert delivered.startswith(b"Return-Path: <a@example.net>\r\n") and delivered.endswith(b"\r\nSubject: x\r\n\r\nbody\r\n")


def test_the_null_reverse_path_is_written_empty(mda: Mda, store: EmbeddedStore) -> None:
    mda.deliver(
        [Copy(item_for(OCTETS, [QueuedRecipient("ann@example.org", "mailbox", account="ann")], reverse_path=""), 0, OCTETS)]
    )
    assert contents(store.open(AccountId("ann")), "INBOX")[0].startswith(b"Return-Path: <>\r\nReceived: ")


def test_t_q_10_a_delivery_made_again_after_a_crash_adds_nothing(mda: Mda, store: EmbeddedStore) -> None:
    recipients = [QueuedRecipient("ann@example.org", "mailbox", account="ann", folder=name) for name in ("INBOX", "Junk")]
    item = item_for(OCTETS, recipients)
    copies = [Copy(item, 0, OCTETS), Copy(item, 1, OCTETS)]
    for again in (copies[:1], copies, copies[1:]):
        mda.deliver(again)
    account = store.open(AccountId("ann"))
    assert (len(contents(account, "INBOX")), len(contents(account, "Junk"))) == (1, 1)


def test_a_mailbox_that_is_gone_does_not_stop_delivery(mda: Mda, store: EmbeddedStore) -> None:
    account = store.open(AccountId("ann"))
    account.apply([CreateMailbox("Lists"), DeleteMailbox("Lists")])
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "mailbox", account="ann", folder="Lists")])
    assert mda.deliver([Copy(item, 0, OCTETS)]) == ("delivered to INBOX (there is no mailbox Lists)",)
    assert len(contents(account, "INBOX")) == 1


JUNK_GOES_TO: dict[str, tuple[list[Op], str]] = {
    "renamed": ([RenameMailbox("Junk", "Spam")], "Spam"),
    "moved below another": ([RenameMailbox("Junk", "Lists/Bad")], "Lists/Bad"),
    "renamed, and another has its name": ([RenameMailbox("Junk", "Spam"), CreateMailbox("Junk")], "Spam"),
    "made by hand": ([DeleteMailbox("Junk"), CreateMailbox("Junk")], "Junk"),
    "removed": ([DeleteMailbox("Junk")], "Junk"),
}


@pytest.mark.parametrize("why", JUNK_GOES_TO)
def test_junk_goes_into_the_mailbox_for_junk_whatever_its_owner_has_done_to_it(mda: Mda, store: EmbeddedStore, why: str) -> None:
    ops, name = JUNK_GOES_TO[why]
    account = store.open(AccountId("ann"))
    account.apply(ops)
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "mailbox", account="ann", folder=JUNK_FOLDER)] * 2)
    copies = [Copy(item, index, OCTETS) for index in range(2)]
    assert mda.deliver(copies) == (f"delivered to {name}",) * 2
    assert (len(contents(account, name)), len(contents(account, "INBOX"))) == (2, 0)


def test_a_mailbox_for_junk_that_is_made_again_is_one_that_filters_learn_from_and_people_see(
    mda: Mda, store: EmbeddedStore
) -> None:
    account = store.open(AccountId("ann"))
    account.apply([DeleteMailbox("Junk"), Subscribe("Junk", False)])
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "mailbox", account="ann", folder=JUNK_FOLDER)])
    mda.deliver([Copy(item, 0, OCTETS)])
    made = account.mailbox("Junk")
    assert (made.special_use, made.subscribed) == ("\\Junk", True)


def test_junk_for_an_account_with_all_mailboxes_it_may_have_is_delivered_all_the_same(
    mda: Mda, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = store.open(AccountId("ann"))
    account.apply([DeleteMailbox("Junk")])
    monkeypatch.setattr(mailboxes, "MAX_MAILBOXES", len(account.mailboxes()))
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "mailbox", account="ann", folder=JUNK_FOLDER)])
    mda.deliver([Copy(item, 0, OCTETS)])
    assert len(contents(account, "INBOX")) == 1


def sorted_copy(name: str, make_up_to: int = 0, index: int = 0, copies: int = 1) -> Copy:
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "mailbox", account="ann")] * copies)
    return Copy(item, index, OCTETS, Chosen("sorter", FolderChoice(name, "a test", make_up_to)))


def test_a_copy_goes_where_a_plugin_says_and_the_outcome_says_why(mda: Mda, store: EmbeddedStore) -> None:
    account = store.open(AccountId("ann"))
    account.apply([CreateMailbox("Lists/debian")])
    assert mda.deliver([sorted_copy("Lists/debian")]) == ("delivered to Lists/debian, chosen by sorter: a test",)
    assert len(contents(account, "Lists/debian")) == 1


@pytest.mark.parametrize("name", ["Lists", "a//b", "%", "x" * 500, "a/" * 40 + "b"])
def test_a_folder_that_is_not_there_or_cannot_be_is_inbox(mda: Mda, store: EmbeddedStore, name: str) -> None:
    account = store.open(AccountId("ann"))
    before = account.mailboxes()
    said = f"delivered to INBOX (there is no mailbox {name}, chosen by sorter: a test)"
    for make_up_to in [0] if name == "Lists" else [0, 1000]:
        assert mda.deliver([sorted_copy(name, make_up_to)]) == (said,)
    assert [one.name for one in account.mailboxes()] == [one.name for one in before]


def test_t_dos_16_folders_are_made_up_to_a_number_whoever_chooses_their_names(mda: Mda, store: EmbeddedStore) -> None:
    account = store.open(AccountId("ann"))
    usual = len(account.mailboxes())
    copies = [sorted_copy(f"made{number}", usual + 3, number, 10) for number in range(10)]
    outcomes = mda.deliver(copies)
    made = [one for one in account.mailboxes() if one.name.startswith("made")]
    assert len(made) == 3 and all(one.subscribed for one in made)
    assert [outcome.startswith("delivered to made") for outcome in outcomes] == [True] * 3 + [False] * 7
    mda.deliver([sorted_copy("deep/er/still", usual + 5)])
    assert len(account.mailboxes()) == usual + 3
    mda.deliver([sorted_copy("deep/er/still", usual + 6)])
    assert len(account.mailboxes()) == usual + 6


def test_a_folder_that_another_process_has_just_made_is_used(
    mda: Mda, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = store.open(AccountId("ann"))
    looked, find = [], account.mailbox

    def late(name: str) -> MailboxInfo:
        looked.append(name)
        if looked == ["Lists"]:
            account.apply([CreateMailbox("Lists")])
            raise NoSuchMailbox(name)
        return find(name)

    monkeypatch.setattr(account, "mailbox", late)
    assert mda.deliver([sorted_copy("Lists", 100)]) == ("delivered to Lists, chosen by sorter: a test",)


def test_t_q_10_a_copy_is_stored_once_though_another_folder_is_chosen_the_next_time(mda: Mda, store: EmbeddedStore) -> None:
    account = store.open(AccountId("ann"))
    account.apply([CreateMailbox("One"), CreateMailbox("Two")])
    copy = sorted_copy("One")
    again = replace(copy, chosen=Chosen("sorter", FolderChoice("Two", "a test")))
    mda.deliver([copy])
    assert mda.deliver([again]) == ("delivered to One by an earlier attempt",)
    assert mda.deliver([copy]) == ("delivered to One, chosen by sorter: a test",)
    assert (len(contents(account, "One")), len(contents(account, "Two"))) == (1, 0)
    account.apply([DeleteMailbox("One")])
    assert mda.deliver([again]) == ("delivered to a mailbox that is gone by an earlier attempt",)


def test_quarantine_keeps_the_finished_copy_once_with_its_reason(tmp_path: Path, mda: Mda) -> None:
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "quarantine", reason="limits.quarantine 10")])
    for _ in range(2):
        assert mda.deliver([Copy(item, 0, OCTETS)]) == ("put into quarantine: limits.quarantine 10",)
    quarantine = Quarantine(tmp_path / "quarantine", Disk())
    (entry,) = quarantine.list()
    assert (entry.recipient, entry.reason) == ("ann@example.org", "limits.quarantine 10")
    assert quarantine.read(entry.delivery_key).startswith(b"Return-Path: <a@example.net>\r\n")


def test_quarantine_keeps_what_a_release_needs(tmp_path: Path, mda: Mda) -> None:
    recipient = QueuedRecipient("ann@gateway.example", "quarantine", reason="rule infected", destination="relay")
    item = item_for(OCTETS, [recipient])
    decision = replace(item.decision, facts={"other_scanner.infected": True})
    mda.deliver([Copy(replace(item, decision=decision, origin="submission", user="bob@example.org", smtputf8=True), 0, OCTETS)])
    (held,) = Quarantine(tmp_path / "quarantine", Disk()).list()
    assert (held.route, held.infected, held.origin, held.user, held.smtputf8) == (
        "relay",
        True,
        "submission",
        "bob@example.org",
        True,
    )
    assert (held.reverse_path, held.subject) == ("a@example.net", "Lunch")


@pytest.mark.parametrize("wanted, verdict", [("", "quarantine"), ("reject", "reject")])
def test_quarantine_keeps_what_decides_who_may_release_it(tmp_path: Path, mda: Mda, wanted: str, verdict: str) -> None:
    """Of a copy that an alias made, what was decided about the address that was asked for."""
    asked = RecipientDecision(
        "sales@example.org", "quarantine", 12.0, "rule", "odd", "", wanted=wanted, grounds=("rule:odd", "limits")
    )
    other = RecipientDecision("ann@example.org", "accept", 0.0, "default", "", "")
    recipient = QueuedRecipient("ann@example.org", "quarantine", "a11", reason="x", asked="sales@example.org")
    item = item_for(OCTETS, [recipient])
    item = replace(item, decision=replace(item.decision, recipients=(other, asked)))
    octets = b"From: =?utf-8?q?bank=40bank=2Etest?= <thief@evil.test>\r\nSubject: x\r\n\r\nx\r\n"
    mda.deliver([Copy(item, 0, octets)])
    mda.keep(Copy(replace(item, id=QueueId("lost")), 0, octets), "not delivered, and nobody is told")
    held = {one.id: one for one in Quarantine(tmp_path / "quarantine", Disk()).list()}
    kept, lost = held[item.id], held[QueueId("lost")]
    assert (kept.account, kept.verdict, kept.cause, kept.grounds) == ("a11", verdict, "rule:odd", "rule:odd\nlimits")
    assert (lost.account, lost.verdict, lost.cause, lost.grounds) == ("a11", "", "", ""), "no decision kept it"
    assert kept.author == "thief@evil.test (bank@bank.test)"


def test_mail_that_comes_here_late_is_kept_from_then_on(tmp_path: Path, mda: Mda) -> None:
    """After days in the queue, or held for days by its sender: it is not to expire before anybody has seen it."""
    mda.keep(Copy(item_for(OCTETS, 1), 0, OCTETS), "not delivered, and nobody is told")
    (held,) = Quarantine(tmp_path / "quarantine", Disk()).list()
    assert (held.held_at, held.kept_at) == ("2026-03-01T12:00:00.000Z", "2026-03-07T12:00:00.000Z")
    assert expires_at(held, 86400.0) == NOW + timedelta(days=7)


@pytest.mark.parametrize("how", ["released", "dropped"])
def test_a_copy_is_kept_anew_when_an_earlier_one_has_left_the_quarantine(tmp_path: Path, mda: Mda, how: str) -> None:
    """A drop of the queue that was cut short, its copy then released or dropped, and the drop ordered again."""
    item = item_for(OCTETS, [QueuedRecipient(f"{name}@far.example", "relay", destination="relay") for name in "ab"])
    quarantine = Quarantine(tmp_path / "quarantine", Disk())
    kept = []
    for _ in range(3):
        for _ in range(2):  # again after a crash: once is enough
            mda.keep(Copy(item, 1, OCTETS), "dropped")
        (held,) = quarantine.list()
        assert quarantine.read(held.delivery_key).endswith(OCTETS[-9:])
        quarantine.end(held.delivery_key, how=how, now=NOW)  # type: ignore[arg-type]
        kept.append((held.delivery_key, held.recipient))
    assert kept == [(f"{item.id}:{number}", "b@far.example") for number in (1, 3, 5)]


def test_t_q_10_a_delivery_made_again_does_not_bring_back_what_has_left_the_quarantine(tmp_path: Path, mda: Mda) -> None:
    item = item_for(OCTETS, [QueuedRecipient("ann@example.org", "quarantine", reason="x")])
    quarantine = Quarantine(tmp_path / "quarantine", Disk())
    mda.deliver([Copy(item, 0, OCTETS)])
    quarantine.end(f"{item.id}:0", how="released", now=NOW)
    mda.deliver([Copy(item, 0, OCTETS)])
    assert not quarantine.list()


def test_an_unknown_route_is_our_mistake(mda: Mda) -> None:
    item = item_for(OCTETS, [QueuedRecipient("b@example.org", "carrier pigeon")])
    with pytest.raises(LocalError, match="carrier pigeon"):
        mda.deliver([Copy(item, 0, OCTETS)])
