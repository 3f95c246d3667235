"""What APPEND stores, and what it does not: binary content (RFC 3516), several messages (RFC 3502), limits."""

from dataclasses import dataclass, replace

import pytest

from mailward.access.imap.incoming import SLOW_S, Incoming
from mailward.model.ids import AccountId
from mailward.protocol.imap.events import CommandReceived, CommandRefused
from mailward.protocol.imap.framing import Framer
from mailward.protocol.imap.limits import Limits
from support.imap import APPEND_OCTETS, Client, Office, settle

BINARY = b"Subject: b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: %b\r\n\r\n\x00\x01\n\r\x02"


async def append(client: Client, octets: bytes, *, literal8: bool) -> bytes:
    begin = b"APPEND INBOX %b{%d+}\r\n" % (b"~" if literal8 else b"", len(octets))
    return (await client.command(begin + octets))[-1]


async def test_binary_content_comes_back_as_it_was(office: Office) -> None:
    client = await Client(office).login()
    assert (await append(client, BINARY % b"binary", literal8=True)).startswith(b"OK")
    await client.ok("SELECT INBOX")
    (fetched,) = await client.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])")
    assert fetched == b"* 1 FETCH (BINARY[1] ~{5}\r\n\x00\x01\n\r\x02 BINARY.SIZE[1] 5)"
    (stored,) = await client.ok("FETCH 1 BODY.PEEK[]")
    assert b"\x00" not in stored
    assert b"base64" in stored


@pytest.mark.parametrize(
    ("octets", "literal8", "code"),
    [(BINARY % b"8bit", True, b"UNKNOWN-CTE"), (BINARY % b"binary", False, b"CANNOT"), (b"\x00", True, b"UNKNOWN-CTE")],
)
async def test_nul_elsewhere_is_refused(office: Office, octets: bytes, literal8: bool, code: bytes) -> None:
    client = await Client(office).login()
    assert (await append(client, octets, literal8=literal8)).startswith(b"NO [%b]" % code)


@pytest.mark.parametrize(
    ("bad", "answer"),
    [
        (b"(%b) {1+}\r\nx" % b" ".join(b"k%d" % n for n in range(60)), b"NO [CANNOT]"),
        (b"(%b) {1+}\r\nx" % b" ".join(b"k%d" % n for n in range(10_000)), b"BAD"),
        (b"(\\Evil) {1+}\r\nx", b"BAD"),
        (b'"31-Feb-2026 10:00:00 +0000" {1+}\r\nx', b"BAD"),
        (b"{1+}\r\n\x00", b"NO [CANNOT]"),
        (b"{0+}\r\n", b"NO [CANNOT]"),
        (b"{%d+}\r\n%b" % (APPEND_OCTETS, b"x" * APPEND_OCTETS), b"NO [TOOBIG]"),
    ],
)
async def test_t_imap_15_one_bad_message_of_several_and_nothing_is_stored(office: Office, bad: bytes, answer: bytes) -> None:
    client = await Client(office).login()
    assert (await client.command(b"APPEND INBOX {1+}\r\ny " + bad))[-1].startswith(answer)
    assert b"* 0 EXISTS" in await client.ok("EXAMINE INBOX")  # and the session goes on


async def test_t_imap_15_a_client_that_leaves_within_a_message_leaves_nothing(office: Office) -> None:
    client = await Client(office).login()
    client.wire.feed(b"a APPEND INBOX {1+}\r\ny {100+}\r\nhalf")
    client.wire.feed(b"")
    await client.task
    other = await Client(office).login()
    assert b"* 0 EXISTS" in await other.ok("EXAMINE INBOX")


async def test_t_dos_06_of_one_account_two_large_messages_are_under_way_at_once(office: Office) -> None:
    begun = b"a APPEND INBOX {%d+}\r\n" % APPEND_OCTETS + b"y" * (APPEND_OCTETS - 1)
    half_sent = [await Client(office).login() for _ in range(2)]
    for client in half_sent:
        client.wire.feed(begun)
        await settle(client)
    third, other = await Client(office).login(), await Client(office).login("bob")
    assert (await third.command("APPEND INBOX {20}"))[-1].startswith(b"NO [LIMIT] Too much")
    assert (await third.append("INBOX", b"Subject: s\r\n\r\nb\r\n")).startswith(b"NO [LIMIT]")
    assert (await other.append("INBOX", b"Subject: s\r\n\r\nb\r\n")).startswith(b"OK")
    half_sent[0].wire.feed(b"")
    await half_sent[0].task
    for _ in range(3):  # what was carried out is no longer counted
        assert (await third.append("INBOX", b"y" * (APPEND_OCTETS - 2) + b"\r\n")).startswith(b"OK")
    assert (await third.command(b"APPEND INBOX {1+}\r\ny {%d}" % APPEND_OCTETS))[-1].startswith(b"NO [TOOBIG]")
    assert (await third.append("INBOX", b"y" * (APPEND_OCTETS - 2) + b"\r\n")).startswith(b"OK")


@dataclass(eq=False)
class Sender:
    """A session."""

    incoming: Incoming
    account: AccountId | None
    is_sending: bool = True
    gave_up: int = 0

    def claim(self, octets: int, message_octets: int = 40) -> bool:
        return self.incoming.claim(self, octets, message_octets)

    def give_up(self) -> None:
        assert self.is_sending
        self.gave_up += 1
        self.incoming.give_back(self)


def test_t_dos_06_all_accounts_together_have_so_much_under_way() -> None:
    incoming = Incoming(octets=100)
    ann, bob, cem = (Sender(incoming, AccountId(name)) for name in ("ann", "bob", "cem"))
    assert ann.claim(80) and bob.claim(20)
    assert not cem.claim(1) and not incoming.has_room(cem, 1, 40)
    incoming.give_back(ann)
    assert not cem.claim(81, 90)
    assert incoming.has_room(cem, 80, 40) and cem.claim(80)
    assert Sender(Incoming(octets=10), AccountId("ann")).claim(40), "one message alone has room"
    assert not Sender(incoming, None).claim(0), "nobody has logged in"


def test_t_dos_01_where_there_is_no_room_the_largest_of_those_that_are_slow_makes_way() -> None:
    at = [0.0]
    incoming = Incoming(100, lambda: at[0])
    ann, bob, cem, dan, eve = (Sender(incoming, AccountId(name)) for name in ("ann", "bob", "cem", "dan", "eve"))
    cem.is_sending = False
    assert ann.claim(30) and bob.claim(20) and cem.claim(40)
    at[0] = SLOW_S / 2
    assert dan.claim(10)
    assert not eve.claim(1), "nobody is slow yet"
    at[0] = SLOW_S + 1
    assert incoming.has_room(eve, 25, 40)
    assert ann.gave_up == 0, "nothing happens for what is announced"
    assert eve.claim(25)
    assert [sender.gave_up for sender in (ann, bob, cem, dan)] == [1, 0, 0, 0], "cem's have come: they are being stored"
    assert not bob.claim(10), "who is slow does not push others out"
    assert bob.gave_up == 0


def test_t_dos_01_nobody_makes_way_for_what_finds_no_room_even_so() -> None:
    """T-DOS-01: what the slow hold is not thrown away for nothing, and only what would be thrown away counts as room."""
    at = [0.0]
    incoming = Incoming(100, lambda: at[0])
    ann, bob, cem, dan, eve = (Sender(incoming, AccountId(name)) for name in ("ann", "bob", "cem", "dan", "eve"))
    cem.is_sending = False
    assert ann.claim(10) and bob.claim(10) and cem.claim(40)
    at[0] = SLOW_S + 1
    assert dan.claim(39)
    for octets, has_room in ((22, False), (21, True)):
        assert incoming.has_room(eve, octets, 40) is has_room
        assert eve.claim(octets) is has_room
        assert [sender.gave_up for sender in (ann, bob, cem, dan)] == [int(has_room), int(has_room), 0, 0]


def test_t_dos_01_a_slow_one_makes_way_itself_before_smaller_ones() -> None:
    """T-DOS-01: what is told of room is what a claim then finds."""
    at = [0.0]
    incoming = Incoming(100, lambda: at[0])
    ann, bob, cem = (Sender(incoming, AccountId(name)) for name in ("ann", "bob", "cem"))
    assert ann.claim(40) and bob.claim(30) and cem.claim(30)
    at[0] = SLOW_S + 1
    assert not incoming.has_room(bob, 41, 80) and not bob.claim(41, 80)
    assert ann.gave_up == cem.gave_up == 0
    assert incoming.has_room(bob, 40, 80) and bob.claim(40, 80)
    assert (ann.gave_up, cem.gave_up) == (1, 0)


async def test_t_dos_01_slow_clients_do_not_hold_the_room_of_all(office: Office) -> None:
    """What they announce takes none, and what they have sent makes way."""
    at = [0.0]
    office.desk = replace(office.desk, incoming=Incoming(3 * APPEND_OCTETS // 2, lambda: at[0]))
    message = b"y" * (APPEND_OCTETS - 2) + b"\r\n"
    slow = [await Client(office).login(name) for name in ("ann", "bob", "cem")]
    for client in slow:
        client.wire.feed(b"a APPEND INBOX {%d+}\r\nhalf" % APPEND_OCTETS)
        await settle(client)
    quick = await Client(office).login("dan")
    assert (await quick.append("INBOX", message)).startswith(b"OK")
    slow[0].wire.feed(message[: 3 * APPEND_OCTETS // 4])
    await settle(slow[0])
    assert (await quick.append("INBOX", message)).startswith(b"NO [LIMIT]")
    at[0] = SLOW_S + 1
    assert (await quick.append("INBOX", message)).startswith(b"OK")
    assert slow[0].session.framer.buffered_octets == 0
    slow[0].wire.feed(message[3 * APPEND_OCTETS // 4 + 4 :] + b"\r\n")
    assert (await slow[0].line()).startswith(b"a NO [LIMIT] Too much")
    assert (await slow[0].append("INBOX", message)).startswith(b"OK"), "the session goes on"


async def test_t_imap_15_a_client_that_is_silent_within_a_message_is_not_waited_for(office: Office) -> None:
    client = await Client(office).login()
    client.wire.is_patient = False
    client.wire.feed(b"a APPEND INBOX {100+}\r\nhalf")
    assert await client.line() == b"* BYE Idle for too long"
    await client.task
    assert Sender(office.desk.incoming, AccountId("alice")).claim(2 * APPEND_OCTETS, APPEND_OCTETS)


def test_t_imap_15_messages_of_nothing_are_bounded() -> None:
    limits = Limits(line_octets=100, append_octets=1000)
    framer = Framer(limits)
    framer.receive_data(b"a APPEND INBOX" + b" {0+}\r\n" * 10_000 + b"\r\n")
    event = framer.next_event()
    assert isinstance(event, CommandRefused)
    assert event.code == "TOOBIG"
    framer.receive_data(b"a APPEND INBOX {1000+}\r\n" + b"x" * 1000 + b"\r\n")
    assert isinstance(framer.next_event(), CommandReceived)
