"""The admin's script that IMAP commands meet: RFC 6785, over a real session, and what becomes of what it says."""

import asyncio
import mmap
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from mailward.app.config import ImapSieve
from mailward.delivery.imapsieve import ImapScripts, Met
from mailward.delivery.imapsieve_mail import ImapSieveMail
from mailward.delivery.script_allowance import ScriptAllowance
from mailward.disk import Disk
from mailward.formats.message import MessageView
from mailward.model.errors import StorageError
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.queue.item import QueueItem
from mailward.queue.spool import Spool
from mailward.services.hourly import Hourly, HourlyLimits
from mailward.sieve import Script
from mailward.store.account import EmbeddedAccount
from mailward.store.events import Cause, Event
from mailward.store.flags import names_of
from mailward.store.ops import Append, PutScript
from support.imap import Client, Office
from support.imapsieve import MESSAGE, on
from support.scripts import Directory, Place
from support.spooling import Clock, flush

ANN, BOB = (Identity(AccountId(name), f"{name}@example.org") for name in ("ann", "bob"))
ALL = frozenset[Cause]({"APPEND", "COPY", "FLAG"})


def setting(script: str, causes: frozenset[Cause] = ALL) -> ImapSieve:
    return ImapSieve(Path("/etc/mailward/imap.sieve"), script.encode(), causes)


@dataclass
class Scripted:
    """Ann's mailboxes and the script that commands meet. sends: what accounts may send in an hour."""

    folder: Path
    sends: HourlyLimits

    def __post_init__(self) -> None:
        self.office = Office(self.folder)
        self.spool = Spool(self.folder / "spool", Disk(), owner="access")
        self.queue = Spool(self.folder / "spool", Disk(), owner="queue")
        directory, clock = Directory(), Clock()
        mail = ImapSieveMail(self.spool, directory, ScriptAllowance(Hourly(self.sends)), clock, asyncio.get_running_loop())
        self.scripts = ImapScripts(None, directory, mail, clock)
        self.store = self.office.store.open(AccountId("ann"))
        self.goes_on = threading.Event()

    def happens(self, who: Identity, count: int) -> None:
        """One command brings so many messages into Ann's INBOX."""
        inbox = self.store.mailbox("INBOX").id
        at = Clock().now()
        added = self.store.apply([Append(inbox, MESSAGE, at) for _ in range(count)])
        uids = [uid for one in added for uid in one.uids]
        self.scripts.happened(Event("APPEND", who, ANN.account, self.store, inbox, "INBOX", uids))

    def hold_back(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """All scripts until `goes_on`. The UIDs that one has met, as they do."""
        uids: list[int] = []

        def meet(script: Script, event: Event, met: Met) -> bool:
            self.goes_on.wait(90)
            uids.append(met.uid)
            return True

        self.scripts.use(setting("keep;"))
        monkeypatch.setattr(self.scripts, "_meet", meet)
        return uids

    async def meet(self, script: str, *commands: str, octets: bytes = MESSAGE, causes: frozenset[Cause] = ALL) -> list[bytes]:
        """One message in the INBOX meets these commands. The last tagged reply."""
        self.scripts.use(setting(script, causes))
        object.__setattr__(self.office.desk, "scripts", self.scripts)
        client = await Client(self.office).login("ann")
        replies = [await client.append("INBOX", octets)]
        await client.ok("SELECT INBOX")
        replies += [(await client.command(command))[-1] for command in commands]
        await self.scripts.drain()
        await client.close()
        return replies

    def flags(self, mailbox: str = "INBOX") -> list[set[str]]:
        view = self.store.view(self.store.mailbox(mailbox).id)
        return [set(names_of(value, view.keywords)) for value in view.flags]

    async def sent(self) -> list[tuple[QueueItem, MessageView]]:
        """What the queue process takes over."""
        flush(self.spool)
        self.queue.adopt()
        return [(self.queue.item(id), MessageView(self.queue.octets(id))) for id in self.queue.ids()]

    async def end(self) -> None:
        await self.scripts.close()
        await self.spool.close()
        await self.queue.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Scripted]:
    made = Scripted(tmp_path, HourlyLimits(messages=2))
    yield made
    await made.end()


async def test_what_is_redirected_is_sent_by_the_owner_as_it_was_stored(place: Scripted) -> None:
    await place.meet(on("APPEND", 'redirect :copy "archive@example.net";'))
    ((item, message),) = await place.sent()
    assert item.reverse_path == "ann@example.org" and item.origin == "inbound" and item.user == ""
    assert [(one.forward_path, one.route, one.parameters.notify) for one in item.recipients] == [
        ("archive@example.net", "relay", ())
    ]
    assert [(edit.name, edit.value) for edit in item.recipients[0].edits] == [("Delivered-To", "ann@example.org")]  # type: ignore[union-attr]
    assert bytes(message.octets) == MESSAGE and place.flags() == [set()]
    assert item.decision.recipients[0].source_name == "sent for ann@example.org by line 2 of the script imap.sieve"


async def test_what_is_redirected_and_not_kept_is_marked_as_deleted(place: Scripted) -> None:
    await place.meet(on("APPEND", 'redirect "bob@example.org";'))
    ((item, _),) = await place.sent()
    assert item.recipients[0].account == "bob" and place.flags() == [{"\\Deleted"}]


@pytest.mark.parametrize("to", ["ann@example.org", "nobody@example.org"])
async def test_what_cannot_be_redirected_stays(place: Scripted, to: str) -> None:
    await place.meet(on("APPEND", f'redirect "{to}";'))
    assert await place.sent() == [] and place.flags() == [set()]


@pytest.mark.parametrize(
    "trace",
    [
        "Delivered-To: ann@example.org\r\n",
        "".join(f"Delivered-To: {name}@example.org\r\n" for name in "bcde"),
        "Received: from a.example.net by b.example.net; Sun, 29 Nov 2026 04:00:00 +0000\r\n" * 51,
    ],
)
async def test_t_relay_15_what_was_sent_on_before_stays(place: Scripted, trace: str) -> None:
    await place.meet(on("APPEND", 'redirect "b@example.net";'), octets=trace.encode() + MESSAGE)
    assert await place.sent() == [] and place.flags() == [set()]


@pytest.mark.parametrize(
    ("sender", "author"),
    [
        ("ceo@example.com", "ann@example.org"),
        ("bob@example.org", "ann@example.org"),
        ("Ann <anna@example.org>", "Ann <anna@example.org>"),
    ],
)
async def test_who_wants_to_hear_of_a_flag_is_notified_in_the_owners_name(place: Scripted, sender: str, author: str) -> None:
    script = on("FLAG", f'notify :from "{sender}" :message "look" "mailto:ann@example.org";', "enotify")
    await place.meet(script, "STORE 1 +FLAGS (\\Flagged)")
    ((item, message),) = await place.sent()
    assert item.reverse_path == "" and item.recipients[0].account == "ann" and message.subject == "look"
    assert [field.text for field in message.all("From")] == [author]
    assert message.all("Auto-Submitted") and place.flags() == [{"\\Flagged"}]


async def test_t_relay_15_automatic_mail_is_nothing_to_notify_of(place: Scripted) -> None:
    script = on("APPEND", 'notify "mailto:a@example.net";', "enotify")
    await place.meet(script, octets=b"Auto-Submitted: auto-notified\r\n" + MESSAGE)
    assert await place.sent() == []


async def test_t_relay_11_what_scripts_send_counts_for_who_gave_the_command(place: Scripted) -> None:
    script = on("COPY", 'redirect "b@example.net";')
    await place.meet(script, "COPY 1 Archive", "COPY 1 Archive", "COPY 1 Archive")
    assert len(await place.sent()) == 2
    assert place.flags("Archive") == [{"\\Deleted"}, {"\\Deleted"}, set()]


async def test_t_relay_11_one_with_whom_a_mailbox_is_shared_uses_up_nothing_that_its_owner_may_send(place: Scripted) -> None:
    place.scripts.use(setting(on("APPEND", 'redirect :copy "b@example.net";')))
    for who, count in ((BOB, 5), (ANN, 1), (BOB, 1), (ANN, 2)):
        place.happens(who, count)
        await place.scripts.drain()
    sent = await place.sent()
    assert len(sent) == 2 + 2 and {item.reverse_path for item, _ in sent} == {"ann@example.org"}


async def test_a_script_that_fails_fails_no_command_and_changes_nothing(place: Scripted) -> None:
    script = on("COPY", 'addflag "\\\\Flagged"; discard; error "no";', "ihave")
    replies = await place.meet(script, "COPY 1 Archive", "STORE 1 +FLAGS (\\Seen)")
    assert all(reply.startswith(b"OK ") for reply in replies)
    assert place.flags("Archive") == [set()] and place.flags() == [{"\\Seen"}]


async def test_mail_that_cannot_be_sent_stays(place: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise StorageError("spool: full")

    monkeypatch.setattr(ImapSieveMail, "_commit", fails)
    assert (await place.meet(on("APPEND", 'redirect "b@example.net";')))[0].startswith(b"OK ")
    assert place.flags() == [set()]


async def test_what_fails_unforeseen_is_of_that_message_alone(place: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImapSieveMail, "redirect", lambda self, met, action: 1 / 0)
    script = on("APPEND", 'redirect "b@example.net";') + 'if environment "imap.cause" "FLAG" { addflag "$A"; }'
    await place.meet(script, "STORE 1 +FLAGS (\\Seen)")
    assert place.flags() == [{"\\Seen", "$A"}]


async def test_a_message_that_cannot_be_read_keeps_no_other_from_the_script(
    place: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.meet("keep;", f"APPEND INBOX {{{len(MESSAGE)}+}}\r\n{MESSAGE.decode()}")
    broken = place.store.view(place.store.mailbox("INBOX").id).messages[0]
    read = EmbeddedAccount.octets

    def octets(self: EmbeddedAccount, message: int) -> bytes | mmap.mmap:
        if message == broken:
            raise StorageError("damaged", permanent=True)
        return read(self, message)

    monkeypatch.setattr(EmbeddedAccount, "octets", octets)
    await place.meet('require "imap4flags"; addflag "$Met";', "STORE 1:* +FLAGS (\\Seen)", causes=frozenset({"FLAG"}))
    assert place.flags() == [{"\\Seen"}, {"\\Seen", "$Met"}, {"\\Seen", "$Met"}]


async def test_t_dos_16_a_long_command_gives_way_to_other_accounts(place: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.delivery.imapsieve.STEP_MESSAGES", 2)
    met = place.hold_back(monkeypatch)
    place.happens(ANN, 5)
    place.happens(ANN, 1)
    place.happens(BOB, 3)
    place.goes_on.set()
    await place.scripts.drain()
    assert met == [1, 2, 7, 8, 3, 4, 9, 5, 6]


async def test_t_dos_16_a_command_that_takes_long_gives_way_after_a_message(
    place: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailward.delivery.imapsieve.STEP_S", 0.0)
    met = place.hold_back(monkeypatch)
    place.happens(ANN, 2)
    place.happens(BOB, 2)
    place.goes_on.set()
    await place.scripts.drain()
    assert met == [1, 3, 2, 4]


async def test_what_a_stop_leaves_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Scripted(tmp_path, HourlyLimits())
    met = place.hold_back(monkeypatch)
    place.happens(ANN, 3)
    place.happens(BOB, 2)
    with structlog.testing.capture_logs() as told:
        closing = asyncio.create_task(place.end())
        await asyncio.sleep(0)  # it has said that it stops
        place.goes_on.set()
        await closing
    assert [(one["event"], one["commands"], one["messages"]) for one in told] == [
        ("scripts left out at the stop", 2, 5 - len(met))
    ]
    assert len(met) <= 1


async def test_t_imap_20_who_shares_a_mailbox_takes_no_time_of_its_owners(place: Scripted) -> None:
    place.scripts.use(setting('require "imap4flags"; addflag "$Met";'))
    place.scripts.charge(BOB.account, 3600.0)
    place.happens(BOB, 1)
    place.happens(ANN, 1)
    await place.scripts.drain()
    assert place.flags() == [set(), {"$Met"}]


async def test_a_script_that_a_reload_takes_away_meets_nothing_any_more(place: Scripted) -> None:
    place.scripts.use(None)
    place.happens(ANN, 1)
    await place.scripts.drain()
    assert place.flags() == [set()]


async def test_only_the_causes_that_are_asked_for_run_it(place: Scripted) -> None:
    script = 'require "imap4flags"; addflag "$Met";'
    await place.meet(script, "COPY 1 Archive", "STORE 1 +FLAGS (\\Seen)", causes=frozenset({"COPY"}))
    assert place.flags() == [{"\\Seen"}] and place.flags("Archive") == [{"$Met"}]


@pytest.mark.parametrize(
    ("what", "most", "made"),
    [
        (':create "Lists/dev"', 1000, {"Lists/dev": (True, "")}),
        (':specialuse "\\\\Flagged" :create "New"', 1000, {"New": (True, "\\Flagged")}),
        (':specialuse "\\\\Important" :create "New"', 1000, {"New": (True, "")}),
        (':create "Lists/dev"', 6, {}),
        ('"Lists/dev"', 1000, {}),
    ],
)
async def test_a_script_makes_mailboxes_by_the_same_rules_at_delivery(
    tmp_path: Path, place: Scripted, monkeypatch: pytest.MonkeyPatch, what: str, most: int, made: dict[str, tuple[bool, str]]
) -> None:
    for module in ("delivery.filing", "delivery.imapsieve"):
        monkeypatch.setattr(f"mailward.{module}.MOST_MAILBOXES", most)
    delivery = Place(tmp_path / "delivery")
    there = {one.name for one in place.store.mailboxes()}
    script = f'require ["fileinto", "mailbox", "special-use"]; fileinto {what};'
    delivery.script(script)
    await delivery.deliver()
    await place.meet(script)
    for store in (delivery.store.open(AccountId("ann")), place.store):
        new = {one.name: (one.subscribed, one.special_use) for one in store.mailboxes() if one.name not in {*there, "Lists"}}
        assert new == made
        assert all(len(store.view(store.mailbox(name).id).uids) == 1 for name in made)
    await delivery.end()


async def test_replace_brings_a_message_as_append_does(place: Scripted) -> None:
    script = 'require ["environment", "imap4flags"]; if environment "imap.cause" "APPEND" { addflag "$New"; }'
    await place.meet(script, f"REPLACE 1 Archive {{{len(MESSAGE)}+}}\r\n{MESSAGE.decode()}")
    assert place.flags() == [] and place.flags("Archive") == [{"$New"}]


async def test_changed_flags_are_those_of_the_command_and_of_each_message(place: Scripted) -> None:
    script = 'require ["environment", "imap4flags"]; if environment "imap.changedflags" "\\\\Seen $A" { addflag "$Both"; }'
    await place.meet(
        script, "STORE 1 +FLAGS (\\Flagged)", f"APPEND INBOX (\\Seen) {{{len(MESSAGE)}+}}\r\n{MESSAGE.decode()}", "STORE 1:2 FLAGS (\\Seen $A)"
    )  # fmt: skip
    assert place.flags() == [{"\\Seen", "$A"}, {"\\Seen", "$A"}]
    await place.meet(script, "STORE 3 FLAGS (\\Seen $A)")
    assert place.flags()[2] == {"\\Seen", "$A", "$Both"}


async def test_t_imap_20_an_account_without_processor_time_has_no_scripts_run(place: Scripted) -> None:
    place.scripts.charge(AccountId("ann"), 3600.0)
    await place.meet('require "imap4flags"; addflag "$Met";', "COPY 1 Archive")
    assert place.flags() == place.flags("Archive") == [set()]


async def test_a_script_of_the_owner_can_be_included_but_nothing_of_delivery(place: Scripted) -> None:
    place.store.apply([PutScript("mine", b'require "imap4flags"; addflag "$Mine";'), PutScript("away", b'require "vacation";')])
    await place.meet('require "include"; include "mine";')
    await place.meet('require "include"; include "away"; discard;')
    assert place.flags() == [{"$Mine"}, set()]
