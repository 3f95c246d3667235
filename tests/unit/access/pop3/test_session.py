"""What a session does to the store and what it does not; what a client is told when things fail."""

import asyncio
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailward.access.pop3.maildrop import Maildrop, Totals
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId, Uid
from mailward.store.base import AccountStore, EntryColumn, MailboxView
from mailward.store.ops import Expunge, Op, OpResult, SetFlags
from support.pop3 import FIVE, PASSWORD, Client, Office, numbered

SEEN = 1


class Watched:
    """A store, and its accounts, that note what is done to them; `hold` makes writes wait, `fails` makes them fail."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.reads = 0
        self.threads: set[int] = set()
        self.applied: list[Sequence[Op]] = []
        self.is_asked = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        self.fails: set[str] = set()
        office.with_store(self)

    def open(self, account: AccountId) -> AccountStore:
        return cast(AccountStore, _WatchedAccount(self, self._office.store.open(account)))

    def sharing_with(self, grantees: Collection[str]) -> tuple[AccountId, ...]:
        return self._office.store.sharing_with(grantees)


class _WatchedAccount:
    """Does what the account does, but for what is watched."""

    def __init__(self, watch: Watched, account: AccountStore) -> None:
        self._watch = watch
        self._account = account

    def __getattr__(self, name: str) -> object:
        return getattr(self._account, name)

    def view(self, mailbox: MailboxId) -> MailboxView:
        if "view" in self._watch.fails:
            raise StorageError("no view")
        return self._account.view(mailbox)

    def entry_meta(
        self, mailbox: MailboxId, uids: Sequence[int], columns: Sequence[EntryColumn]
    ) -> Iterator[tuple[int | str | None, ...] | None]:
        self._watch.threads.add(threading.get_ident())
        return self._account.entry_meta(mailbox, uids, columns)

    def read(self, message: int, offset: int = 0, length: int | None = None) -> bytes:
        self._watch.reads += 1
        if "read" in self._watch.fails or ("later" in self._watch.fails and offset):
            raise StorageError("damaged", permanent=True)
        return self._account.read(message, offset, length)

    def apply(self, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        self._watch.is_asked.set()
        assert self._watch.hold.wait(10)
        if "apply" in self._watch.fails:
            raise StorageError("disk full")
        self._watch.applied.append(ops)
        return self._account.apply(ops)


async def test_t_pop_03_a_session_that_is_lost_has_changed_nothing(office: Office) -> None:
    office.deliver(*FIVE)
    client = await Client(office).login()
    assert await client.octets("RETR 1") == FIVE[0]
    for number in (1, 2, 3):
        assert (await client.command(f"DELE {number}")).startswith("+OK")
    await client.drop()
    assert office.flags() == [0] * 5


async def test_quit_expunges_and_marks_as_seen_in_one_transaction(office: Office) -> None:
    office.deliver(*FIVE)
    watched = Watched(office)
    client = await Client(office).login()
    for command in ("RETR 1", "RETR 2", "TOP 3 10"):
        await client.lines(command)
    for number in (2, 5):
        await client.command(f"DELE {number}")
    assert watched.applied == []
    assert await client.command("QUIT") == "+OK Until next time"
    (ops,) = watched.applied
    assert [(type(op), op.uids) for op in ops if isinstance(op, SetFlags | Expunge)] == [(SetFlags, (1,)), (Expunge, (2, 5))]
    assert office.flags() == [SEEN, 0, 0], "RETR marks as seen, TOP does not"


async def test_what_was_retrieved_and_expunged_is_counted_and_what_was_refused_is_not(office: Office) -> None:
    client = await Client(office).login()
    for command in ("RETR 1", "RETR 2"):
        assert (await client.command(command)).startswith("-ERR")
    await client.command("QUIT")
    assert client.session.tallies == {"retrieved": 0, "expunged": 0}
    office.deliver(*FIVE)
    client = await Client(office).login()
    for command in ("RETR 1", "RETR 2", "TOP 3 10"):
        await client.lines(command)
    for number in (1, 2, 3):
        await client.command(f"DELE {number}")
    account = office.account()
    account.apply([Expunge(account.mailbox("INBOX").id, (Uid(3),))])
    with capture_logs() as logs:
        await client.command("QUIT")
    assert client.session.tallies == {"retrieved": 2, "expunged": 2}, "another session expunged the third"
    assert [(line["mailbox"], line["messages"]) for line in logs if line["event"] == "messages expunged"] == [("INBOX", 2)]


async def test_mail_that_was_retrieved_can_stay_unseen(office: Office) -> None:
    office.deliver(*FIVE)
    office.desk = replace(office.desk, marks_seen=False)
    client = await Client(office).login()
    await client.lines("RETR 1")
    await client.command("DELE 2")
    assert await client.command("QUIT") == "+OK Until next time"
    assert office.flags() == [0] * 4


async def test_quit_is_answered_behind_the_commit_and_the_maildrop_is_free_then(office: Office) -> None:
    office.deliver(*FIVE)
    watched = Watched(office)
    client = await Client(office).login()
    watched.hold.clear()
    client.wire.feed(b"DELE 1\r\nQUIT\r\n")
    assert await asyncio.to_thread(watched.is_asked.wait, 10)
    assert not client.wire.sent.endswith(b"Until next time\r\n")
    watched.hold.set()
    while await client.line() != b"+OK Until next time":
        pass
    assert len(office.flags()) == 4
    await (await Client(office).login()).close()


async def test_a_commit_that_fails_is_told_and_nothing_is_deleted(office: Office) -> None:
    office.deliver(*FIVE)
    watched = Watched(office)
    client = await Client(office).login()
    await client.command("DELE 1")
    watched.fails.add("apply")
    assert await client.command("QUIT") == "-ERR [SYS/TEMP] Nothing was deleted, please try again later"
    await client.ended()
    assert office.flags() == [0] * 5


async def test_rset_takes_the_marks_away(office: Office) -> None:
    office.deliver(*FIVE)
    client = await Client(office).login()
    for number in range(1, 6):
        await client.command(f"DELE {number}")
    assert await client.command("STAT") == "+OK 0 0"
    assert await client.lines("LIST") == await client.lines("UIDL") == []
    await client.command("RSET")
    assert await client.command("STAT") == f"+OK 5 {sum(map(len, FIVE))}"
    await client.command("QUIT")
    assert office.flags() == [0] * 5


async def test_listings_open_no_message(office: Office) -> None:
    office.deliver(*FIVE)
    watched = Watched(office)
    client = await Client(office).login()
    assert numbered(await client.lines("LIST")) == {n: str(len(octets)) for n, octets in enumerate(FIVE, 1)}
    unique_ids = numbered(await client.lines("UIDL"))
    assert await client.command("LIST 2") == f"+OK 2 {len(FIVE[1])}"
    assert await client.command("UIDL 2") == f"+OK 2 {unique_ids[2]}"
    assert await client.octets("TOP 4 0") == b"Subject: 4\r\n\r\n"
    assert watched.reads == 0


async def test_numbers_hold_while_others_deliver_and_delete(office: Office) -> None:
    office.deliver(*FIVE)
    client = await Client(office).login()
    account = office.account()
    inbox = account.mailbox("INBOX").id
    view = account.view(inbox)
    account.apply([Expunge(inbox, (view.uids[1], view.uids[3]))])  # type: ignore[arg-type]
    office.deliver(b"Subject: new\r\n\r\nnew\r\n")
    assert await client.command("STAT") == f"+OK 5 {sum(map(len, FIVE))}"
    assert await client.command("RETR 2") == "-ERR There is no such message"
    assert await client.command("TOP 4 1") == "-ERR There is no such message"
    assert await client.octets("RETR 3") == FIVE[2]
    for number in (2, 3):
        assert (await client.command(f"DELE {number}")).startswith("+OK")
    assert (await client.command("QUIT")).startswith("+OK")
    assert len(office.flags()) == 3


async def test_t_pop_02_a_stored_message_with_lone_cr_and_lf_is_one_message(office: Office) -> None:
    office.deliver(b"Subject: x\n\nfirst\n.\nsecond\r.\rthird\r\n.\r\nfourth", FIVE[0])
    client = await Client(office).login()
    assert await client.lines("RETR 1") == [b"Subject: x", b"", b"first", b".", b"second", b".", b"third", b".", b"fourth"]
    assert await client.octets("RETR 2") == FIVE[0]


async def test_rfc_6856_2_1_only_who_said_utf8_gets_a_header_in_utf_8(office: Office) -> None:
    message = "From: Jürgen <j@example.net>\r\nSubject: Grüße\r\nX-A: b\r\n\r\nZürich\r\n".encode()
    office.deliver(message, FIVE[0])
    client = Client(office)
    assert (await client.line()).startswith(b"+OK")
    assert await client.command("UTF8") == "+OK UTF-8 it is"
    await client.command("USER alice@example.test")
    await client.command(f"PASS {PASSWORD}")
    assert await client.octets("RETR 1") == message == await client.octets("TOP 1 9")
    assert await client.lines("LIST") == [b"1 %d" % len(message), b"2 %d" % len(FIVE[0])]
    await client.command("QUIT")
    client = await Client(office).login()
    given = await client.octets("RETR 1")
    header, _, body = given.partition(b"\r\n\r\n")
    assert header.isascii() and b"Subject: =?utf-8?B?R3LDvMOfZQ==?=" in header and b"<j@example.net>" in header
    assert body == "Zürich\r\n".encode()
    assert await client.octets("TOP 1 9") == given
    assert await client.octets("RETR 2") == FIVE[0]
    assert await client.lines("LIST") == [b"1 %d" % len(given), b"2 %d" % len(FIVE[0])]
    assert await client.command("LIST 1") == f"+OK 1 {len(given)}"
    assert await client.command("STAT") == f"+OK 2 {len(given) + len(FIVE[0])}"
    await client.command("DELE 1")
    assert await client.command("STAT") == f"+OK 1 {len(FIVE[0])}"
    await client.command("RSET")
    assert await client.command("STAT") == f"+OK 2 {len(given) + len(FIVE[0])}"


async def test_a_maildrop_that_cannot_be_opened_is_given_back(office: Office) -> None:
    watched = Watched(office)
    watched.fails.add("view")
    client = Client(office)
    await client.line()
    await client.command("USER alice@example.test")
    assert await client.command(f"PASS {PASSWORD}") == "-ERR [SYS/TEMP] Please try again later"
    watched.fails.clear()
    await client.command("USER alice@example.test")
    assert (await client.command(f"PASS {PASSWORD}")).startswith("+OK")


async def test_a_message_that_cannot_be_read_is_an_error_and_the_rest_goes_on(office: Office) -> None:
    office.deliver(*FIVE)
    watched = Watched(office)
    client = await Client(office).login()
    watched.fails.add("read")
    assert await client.command("RETR 1") == "-ERR [SYS/TEMP] Please try again later"
    watched.fails.clear()
    assert await client.octets("RETR 1") == FIVE[0]


async def test_a_message_that_ends_early_ends_the_session_without_the_end_of_the_response(office: Office) -> None:
    office.deliver(b"Subject: x\r\n\r\n" + b"x" * 700_000)
    watched = Watched(office)
    client = await Client(office).login()
    watched.fails.add("later")
    client.wire.feed(b"RETR 1\r\nQUIT\r\n")
    await client.ended()
    assert isinstance(client.task.exception(), ConnectionError)
    assert b"+OK 700014 octets" in client.wire.sent and b"\r\n.\r\n" not in client.wire.sent
    assert office.flags() == [0]


async def test_large_messages_are_sent_in_pieces(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    octets = b"Subject: x\r\n\r\n" + b".%b\r\n" % (b"y" * 75) * 40_000
    office.deliver(octets)
    client = await Client(office).login()
    sizes: list[int] = []
    send = client.wire.send

    async def measured(piece: bytes) -> None:
        sizes.append(len(piece))
        await send(piece)

    monkeypatch.setattr(client.wire, "send", measured)
    assert await client.octets("RETR 1") == octets
    assert max(sizes) < 400_000 and len(sizes) > 8
    sizes.clear()
    assert len(await client.octets("TOP 1 3")) == 14 + 3 * 78
    assert sum(sizes) < 400


async def test_shutdown_closes_behind_the_command_under_way(office: Office) -> None:
    office.deliver(*FIVE)
    client = await Client(office).login()
    client.session.say_goodbye("Server is shutting down")
    client.wire.feed(b"DELE 1\r\nQUIT\r\n")
    await client.ended()
    assert client.wire.sent.endswith(b"octets\r\n"), "closed without a word"
    assert office.flags() == [0] * 5


async def test_t_dos_08_commands_of_one_packet_leave_turns_to_others(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.deliver(*FIVE)
    client = await Client(office).login()
    turns: list[int] = []

    def reset(self: Maildrop) -> None:
        turns.append(turn)

    monkeypatch.setattr(Maildrop, "reset", reset)
    client.wire.feed(b"RSET\r\n" * 100 + b"QUIT\r\n")
    turn = 0
    while not client.task.done():
        await asyncio.sleep(0)
        turn += 1
    assert len({*turns}) == 100


async def test_t_dos_08_a_unique_id_is_read_beside_the_loop(office: Office) -> None:
    office.deliver(*FIVE)
    watched = Watched(office)
    client = await Client(office).login()
    assert (await client.command("UIDL 2")).startswith("+OK 2 ")
    assert watched.threads and threading.get_ident() not in watched.threads
    await client.close()


async def test_dele_a_thousand_times_pipelined(office: Office) -> None:
    office.deliver(*FIVE * 240)
    client = await Client(office).login()
    client.wire.feed(b"".join(b"DELE %d\r\n" % number for number in range(1, 1001)) + b"STAT\r\nQUIT\r\n")
    await client.ended()
    replies = bytes(client.wire.sent).split(b"\r\n")
    assert replies.count(b"+OK Marked as deleted") == 1000
    assert replies[-3:] == [b"+OK 200 %d" % sum(map(len, FIVE * 40)), b"+OK Until next time", b""]
    assert len(office.flags()) == 200


LINE = st.lists(st.sampled_from([b".", b"..", b"a", b" ", b"\t", b"\xff", b"x" * 3000, b"From "]), max_size=4).map(b"".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(LINE, max_size=8), min_size=1, max_size=5))
async def test_messages_of_odd_shapes_come_back_octet_for_octet(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[list[bytes]]
) -> None:
    office = Office(tmp_path_factory.mktemp("odd"))
    messages = [b"X: 1\r\n\r\n" + b"".join(line + b"\r\n" for line in body) for body in bodies]
    office.deliver(*messages)
    client = await Client(office).login()
    sizes = numbered(await client.lines("LIST"))
    for number, octets in enumerate(messages, 1):
        assert await client.octets(f"RETR {number}") == octets
        assert int(sizes[number]) == len(octets)
    await client.close()


def test_a_maildrop_is_made_without_opening_a_message(office: Office) -> None:
    office.deliver(*FIVE)
    watched = Watched(office)
    drop = Maildrop(watched.open(AccountId("alice")))
    assert drop.totals(utf8=True) == drop.totals(utf8=False) == Totals(5, sum(map(len, FIVE)))
    assert watched.reads == 0
