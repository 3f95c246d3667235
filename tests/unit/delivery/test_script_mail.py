"""Replies and notifications of scripts, and what scripts remember: each once, to people, and never of junk or to whom nothing proves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from mailward.delivery.mda import Copy
from mailward.formats.message import MessageView
from mailward.model.errors import StorageError
from mailward.queue.item import JUNK_FOLDER, QueueItem
from support.scripts import OCTETS, Place, to
from support.spooling import flush

AWAY = 'require "vacation"; vacation :days 7 "I am at the sea.";'
DAY_S = 86400.0


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.end()


def sent(place: Place) -> list[MessageView]:
    return [MessageView(place.queue.octets(item.id)) for item in place.leaving()]


async def deliver(place: Place, octets: bytes = OCTETS, sender: str = "a@example.net", **said: object) -> QueueItem:
    """From a sender whom SPF proves."""
    return await place.deliver(octets, to(), reverse_path=sender, facts={"spf.result": "pass"}, **said)


async def test_a_sender_hears_once_in_seven_days_that_the_owner_is_away(place: Place) -> None:
    place.script(AWAY)
    item = await deliver(place)
    assert len(place.contents("INBOX")) == 1
    (leaving,), (reply,) = place.leaving(), sent(place)
    assert leaving.reverse_path == "" and leaving.recipients[0].forward_path == "a@example.net"
    assert leaving.recipients[0].parameters.notify == ("NEVER",)
    assert reply.subject == "Auto: Lunch" and reply.body_octets.rstrip() == b"I am at the sea."
    fields = {name: reply.field(name) for name in ("Auto-Submitted", "In-Reply-To", "From", "To")}
    assert {name: field.text for name, field in fields.items() if field is not None} == {
        "Auto-Submitted": "auto-replied (vacation)", "In-Reply-To": "<1@example.net>", "From": "ann@example.org", "To": "a@example.net",
    }  # fmt: skip
    assert place.told(item) == ["delivered to INBOX; replied to a@example.net by line 1 of the script main"]

    second = await deliver(place, sender="A@example.net")
    assert place.told(second) == ["delivered to INBOX; no reply, since A@example.net had one"]
    await deliver(place, sender="b@example.net")
    assert len(sent(place)) == 2
    place.clock.seconds += 8 * DAY_S
    await deliver(place)
    assert len([one for one in place.leaving() if one.recipients[0].forward_path == "a@example.net"]) == 2


@pytest.mark.parametrize(
    ("sender", "author"),
    [("anna@example.org", "anna@example.org"), ("Ann <ann+x@example.org>", "Ann <ann+x@example.org>"),
     ("bob@example.org", "ann@example.org"), ("Boss <ceo@example.com>", "ann@example.org")],
)  # fmt: skip
async def test_t_relay_11_scripts_send_in_the_name_of_their_owner_only(place: Place, sender: str, author: str) -> None:
    place.script(
        f'require ["vacation", "enotify"]; vacation :from "{sender}" "away"; notify :from "{sender}" "mailto:c@example.com";'
    )
    await deliver(place)
    fields = [made.field("From") for made in sent(place)]
    assert [field.text for field in fields if field is not None] == [author, author]


async def test_t_relay_11_a_reply_of_parts_names_no_other_author(place: Place) -> None:
    head = "From: ceo@example.com\r\nSender: ceo@example.com\r\nContent-Type: text/html\r\nResent-From: ceo@example.com\r\n\r\n"
    place.script(f'require "vacation"; vacation :mime "{head}<p>away</p>";')
    await deliver(place)
    (reply,) = sent(place)
    assert [field.text for field in reply.all("From")] == ["ann@example.org"]
    assert not reply.all("Sender") and not reply.all("Resent-From")
    assert reply.body_octets == b"<p>away</p>" and reply.root.content_type == "text/html"


async def test_a_delivery_that_is_repeated_replies_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.script(AWAY)
    deliver_, failing = place.mda.deliver, [True, True]

    def fails_twice(copies: Sequence[Copy]) -> tuple[str, ...]:
        if failing:
            failing.pop()
            raise StorageError("disk full")
        return deliver_(copies)

    monkeypatch.setattr(place.mda, "deliver", fails_twice)
    item = await deliver(place)
    for _ in range(3):
        place.clock.seconds += 4000
        await place.work()
    assert len(place.contents("INBOX")) == 1 and len(sent(place)) == 1
    assert place.told(item)[-1] == "delivered to INBOX; replied to a@example.net by line 1 of the script main"


async def test_what_was_sent_before_the_process_died_is_not_sent_again_by_the_next_one(tmp_path: Path) -> None:
    """It dies behind each step: with the copy, the reply and the notification on their way, and then with the mail stored, too."""
    life = Place(tmp_path)
    life.script(
        'require ["vacation", "enotify", "copy"]; redirect :copy "c@example.com"; vacation "away"; notify "mailto:d@example.com";'
    )
    item = await life.accept(OCTETS, (to(),), facts={"spf.result": "pass"})
    for is_stored in (False, True, True):
        life.first.offer(item)
        await asyncio.to_thread(life.first.wait_idle)
        life.first._hand_over.flush()
        flush(life.smtp)
        await asyncio.to_thread(life.agenda.adopt)
        copy = Copy(item, 0, OCTETS)
        (sorted_copy,) = await asyncio.to_thread(life.sending.sort, [copy])
        assert isinstance(sorted_copy, Copy)
        if is_stored:
            life.mda.deliver([sorted_copy])
        await life.end()
        life = Place(tmp_path, ledger=life.ledger)
    await life.work()
    to_whom = sorted(one.recipients[0].forward_path for one in life.leaving())
    assert to_whom == ["a@example.net", "c@example.com", "d@example.com"]
    assert len(life.contents("INBOX")) == 1
    await life.end()


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (b"List-Id: <dev.example.net>", "it came by a list"),
        (b"Auto-Submitted: auto-replied", "a machine has sent it"),
        (b"Precedence: bulk", "it is bulk mail"),
    ],
)
async def test_t_relay_15_machines_and_lists_get_no_reply(place: Place, field: bytes, why: str) -> None:
    place.script(AWAY)
    item = await deliver(place, field + b"\r\n" + OCTETS)
    assert sent(place) == [] and f"no reply, since {why}" in place.told(item)[0]


async def test_t_relay_15_the_null_reverse_path_gets_no_reply(place: Place) -> None:
    place.script(AWAY)
    item = await deliver(place, sender="")
    assert sent(place) == [] and "no reply, since nobody sent it" in place.told(item)[0]


async def test_t_relay_15_two_who_are_away_write_to_each_other_once(place: Place) -> None:
    place.script(AWAY)
    place.script(AWAY, "bob")
    octets = OCTETS.replace(b"a@example.net>", b"bob@example.org>")
    await place.deliver(octets, to(), reverse_path="bob@example.org", origin="submission")
    assert len(place.contents("INBOX")) == 1 and len(place.contents("INBOX", "bob")) == 1


async def test_t_relay_13_who_is_not_proven_gets_no_reply(place: Place) -> None:
    place.script(AWAY)
    item = await place.deliver()
    assert place.told(item) == ["delivered to INBOX; no reply, since neither SPF nor DMARC proved its reverse-path"]
    assert sent(place) == []


async def test_mail_to_an_alias_is_answered_by_members_alone_who_call_it_theirs(place: Place) -> None:
    """RFC 5230 section 4.5: a reply is for mail that names an address of the owner; an alias of many is everybody's."""
    octets = OCTETS.replace(b"To: ann@", b"To: all@")
    for arguments, replies in (("", 0), (':addresses "all@example.org"', 1)):
        place.script(f'require "vacation"; vacation {arguments} "away";')
        await place.deliver(octets, to(asked="all@example.org"), reverse_path="a@example.net", facts={"spf.result": "pass"})
        assert len(sent(place)) == replies


async def test_junk_is_not_answered_though_the_script_asks_how_it_was_judged(place: Place) -> None:
    place.script(
        'require ["vacation", "spamtest", "fileinto", "relational", "comparator-i;ascii-numeric"];'
        'vacation "away"; if spamtest :value "ge" :comparator "i;ascii-numeric" "8" { fileinto "Trash"; }'
    )
    item = await place.deliver(OCTETS, to(folder=JUNK_FOLDER), facts={"spf.result": "pass"})
    assert place.told(item) == ["delivered to Trash, by line 1 of the script main; no reply, since it is junk"]
    other = await place.deliver(OCTETS, to(), facts={"spf.result": "pass", "spam.probability": 0.2})
    assert place.told(other)[0].startswith("delivered to INBOX; replied to")


async def test_a_copy_of_the_reply_is_filed_where_the_script_wants_it(place: Place) -> None:
    place.script('require ["vacation", "fcc"]; vacation :fcc "Sent" "away";')
    item = await deliver(place)
    (filed,) = place.contents("Sent")
    assert b"\r\nAuto-Submitted: auto-replied (vacation)\r\n" in filed and len(place.contents("INBOX")) == 1
    assert "delivered to Sent, a copy of what was sent, by line 1 of the script main" in place.told(item)[0]


async def test_a_notification_goes_to_each_whom_it_names_and_once(place: Place) -> None:
    place.script('require "enotify"; notify :message "mail has come" "mailto:c@example.com?cc=d@example.com";')
    item = await place.deliver()
    assert {one.recipients[0].forward_path for one in place.leaving()} == {"c@example.com", "d@example.com"}
    assert {one.subject for one in sent(place)} == {"mail has come"}
    assert place.told(item) == [
        "delivered to INBOX; notified c@example.com by line 1 of the script main; notified d@example.com by line 1 of the script main"
    ]
    automatic = await place.deliver(b"Auto-Submitted: auto-generated\r\n" + OCTETS)
    assert len(place.leaving()) == 2 and "nobody notified, since a machine has sent the message" in place.told(automatic)[0]


async def test_what_cannot_be_sent_within_this_server_is_told_and_the_mail_is_kept(place: Place) -> None:
    place.script('require "enotify"; notify "mailto:nobody@example.org";')
    item = await place.deliver()
    assert place.told(item) == ["delivered to INBOX; nothing sent, since nobody@example.org is no mailbox here"]


async def test_a_duplicate_is_known_to_later_deliveries_and_not_to_the_same_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.script('require ["duplicate", "fileinto"]; if duplicate { fileinto "Trash"; }')
    deliver_, failing = place.mda.deliver, [True]

    def fails_once(copies: Sequence[Copy]) -> tuple[str, ...]:
        if failing:
            failing.pop()
            raise StorageError("disk full")
        return deliver_(copies)

    monkeypatch.setattr(place.mda, "deliver", fails_once)
    await place.deliver()
    place.clock.seconds += 4000
    await place.work()
    await place.deliver()
    await place.deliver(OCTETS.replace(b"<1@", b"<2@"))
    assert (len(place.contents("INBOX")), len(place.contents("Trash"))) == (2, 1)
    place.clock.seconds += 8 * DAY_S
    await place.deliver()
    assert (len(place.contents("INBOX")), len(place.contents("Trash"))) == (3, 1)


async def test_a_script_includes_others_of_its_owner(place: Place) -> None:
    place.script('require "fileinto"; fileinto "Archive";', name="lists")
    place.script(
        'require "include"; include :personal "lists"; include :optional :personal "gone"; include :global :optional "x";'
    )
    item = await place.deliver()
    assert place.told(item) == ["delivered to Archive, by line 1 of the script lists"]


async def test_what_a_script_edits_is_stored_and_sent_on(place: Place) -> None:
    place.script('require ["editheader", "copy"]; addheader "X-Seen" "yes"; redirect :copy "c@example.com";')
    await place.deliver()
    (stored,), (leaving,) = place.contents("INBOX"), place.leaving()
    assert stored.startswith(b"X-Seen: yes\r\n") or b"\r\nX-Seen: yes\r\n" in stored
    assert stored.count(b"Return-Path:") == 1
    octets = place.queue.octets(leaving.id)
    assert b"X-Seen: yes\r\n" in octets and octets.endswith(b"at one?\r\n") and leaving.trace == ""


async def test_a_virus_that_was_seen_is_told_to_the_script(place: Place) -> None:
    place.script(
        'require ["virustest", "fileinto"]; if virustest "5" { fileinto "Trash"; } elsif virustest "1" { fileinto "Archive"; }'
    )
    await place.deliver(OCTETS, to(), facts={"antivirus.infected": True})
    await place.deliver(OCTETS, to(), facts={"antivirus.infected": False})
    await place.deliver()
    assert [len(place.contents(name)) for name in ("Trash", "Archive", "INBOX")] == [1, 1, 1]
