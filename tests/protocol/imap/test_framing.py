"""Where commands end: literals, limits, and that nothing refused is ever read as a command."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.protocol.imap.events import CommandReceived, CommandRefused, FramingEvent, LineReceived, LiteralAwaited
from mailward.protocol.imap.framing import Framer
from mailward.protocol.imap.limits import BEFORE_LOGIN, MOST_LITERALS, Limits, after_login

AFTER = after_login(append_octets=1_000_000)


def events(octets: bytes, limits: Limits = BEFORE_LOGIN, *, step: int | None = None) -> list[FramingEvent]:
    framer = Framer(limits)
    found: list[FramingEvent] = []
    for at in range(0, len(octets), step or len(octets)):
        framer.receive_data(octets[at : at + (step or len(octets))])
        while (event := framer.next_event()) is not None:
            found.append(event)
    return found


def both_ways(octets: bytes, limits: Limits = BEFORE_LOGIN) -> list[FramingEvent]:
    whole = events(octets, limits)
    assert events(octets, limits, step=1) == whole
    return whole


def test_commands_with_and_without_literals() -> None:
    assert both_ways(b"a NOOP\r\nb LOGIN {5}\r\nalice {6+}\r\nsecret\r\n") == [
        CommandReceived(b"a NOOP", ()),
        LiteralAwaited(),
        CommandReceived(b"b LOGIN \x00 \x00", (b"alice", b"secret")),
    ]


@pytest.mark.parametrize("size", ["4294967295", "99999999999999999999", "9" * 5000, "4097"])
def test_t_imap_01_a_huge_literal_before_login_is_refused_without_being_awaited(size: str) -> None:
    (event,) = both_ways(f"a LOGIN {{{size}}}\r\n".encode())
    assert event == CommandRefused(b"a", "Literal too long", "LIMIT")


@pytest.mark.parametrize("size", ["4294967295", "99999999999999999999", "9" * 5000])
def test_t_imap_01_a_huge_literal_that_is_sent_unasked_ends_the_session(size: str) -> None:
    (event,) = both_ways(f"a LOGIN {{{size}+}}\r\nb NOOP\r\n".encode())
    assert isinstance(event, CommandRefused) and event.closes


def test_t_imap_01_odd_sizes_are_no_literals() -> None:
    for size in (b"{-1}", b"{5-}", b"{}", b"{+}", b"{ 5}", b"{0x5}"):
        assert both_ways(b"a LOGIN " + size + b"\r\n") == [CommandReceived(b"a LOGIN " + size, ())]
    assert both_ways(b"a LOGIN {0}\r\n x\r\n") == [LiteralAwaited(), CommandReceived(b"a LOGIN \x00 x", (b"",))]


def test_t_imap_02_a_refused_literal_is_passed_over_to_the_octet() -> None:
    hidden = b"x DELETE INBOX\r\n" * 400
    octets = b"a LOGIN {%d+}\r\n" % len(hidden) + hidden + b" p\r\nb NOOP\r\n"
    assert both_ways(octets) == [CommandRefused(b"a", "Literal too long", "LIMIT"), CommandReceived(b"b NOOP", ())]


def test_t_imap_02_literals_behind_a_refused_one_are_passed_over_too() -> None:
    octets = b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" {9+}\r\nz LOGOUT\n {3+}\r\n\r\n\r\r\nb NOOP\r\n"
    assert both_ways(octets) == [CommandRefused(b"a", "Literal too long", "LIMIT"), CommandReceived(b"b NOOP", ())]


def test_t_imap_03_many_literals_have_one_limit_together() -> None:
    framer = Framer(AFTER)
    framer.receive_data(b"a SEARCH")
    refused = 0
    for _ in range(10_000):
        framer.receive_data(b" {4096+}\r\n" + b"x" * 4096)
        refused += framer.next_event() is not None
        assert framer.buffered_octets < 10_000 and len(framer._text) + sum(map(len, framer._literals)) <= AFTER.all_octets
    framer.receive_data(b"\r\nb NOOP\r\n")
    assert [framer.next_event(), framer.next_event()] == [
        CommandRefused(b"a", "Literal too long", "LIMIT"),
        CommandReceived(b"b NOOP", ()),
    ]


@pytest.mark.parametrize("command", [b"a NOOP", b"a APPEND INBOX"])
def test_t_imap_03_literals_of_a_command_have_a_number_since_empty_ones_take_no_room(command: bytes) -> None:
    (most,) = events(command + b" {0+}\r\n" * MOST_LITERALS + b"\r\n", AFTER)
    assert isinstance(most, CommandReceived) and len(most.literals) == MOST_LITERALS
    octets = command + b" {0+}\r\n" * 50_000 + b"\r\nb NOOP\r\n"
    assert events(octets, AFTER) == [
        CommandRefused(b"a", "At most 1000 literals in a command", "LIMIT"),
        CommandReceived(b"b NOOP", ()),
    ]


def test_t_imap_05_nul_in_a_command_is_refused() -> None:
    assert both_ways(b'a LOGIN "u\x00" p\r\nb NOOP\r\n') == [
        CommandRefused(b"a", "NUL is not allowed in a command"),
        CommandReceived(b"b NOOP", ()),
    ]


@pytest.mark.parametrize("line", [b"a NOOP\n", b"a NO\rOP\r\n", b"\n", b"a NOOP\r\r\n"])
def test_only_crlf_ends_a_line(line: bytes) -> None:
    (event,) = both_ways(line)
    assert isinstance(event, CommandRefused) and event.closes


def test_lines_before_login_are_short_and_id_may_be_long() -> None:
    assert isinstance(both_ways(b"a " + b"x" * 8189 + b"\r\n")[0], CommandReceived)
    (long_one,) = events(b"a " + b"x" * 8300)
    assert isinstance(long_one, CommandRefused) and long_one.closes
    assert isinstance(events(b'a ID ("name" "' + b"x" * 30_000 + b'")\r\n')[0], CommandReceived)
    assert isinstance(events(b'a ID ("name" "' + b"x" * 40_000)[0], CommandRefused)


def test_command_lines_of_nearly_64_kib_after_login() -> None:
    (event,) = events(b"a UID FETCH " + b"1,2," * 16_000 + b"3 FLAGS\r\n", AFTER)
    assert isinstance(event, CommandReceived)


def test_t_imap_15_the_message_of_append_may_be_large_but_not_endless() -> None:
    message = b"x" * 200_000
    assert events(b"a APPEND INBOX {200000+}\r\n" + message + b"\r\n", AFTER) == [
        CommandReceived(b"a APPEND INBOX \x00", (message,))
    ]
    assert both_ways(b"a APPEND INBOX {1000001}\r\n", AFTER) == [CommandRefused(b"a", "Literal too long", "TOOBIG")]
    several = (b" {600000+}\r\n" + b"x" * 600_000) * 3
    (event,) = events(b"a APPEND INBOX" + several + b"\r\n", AFTER)
    assert event == CommandRefused(b"a", "Literal too long", "TOOBIG")


@dataclass
class FewOctets:
    """So much room for messages."""

    left: int
    asked: list[int] = field(default_factory=list)
    held: int = 0

    def has_room(self, octets: int) -> bool:
        self.asked.append(octets)
        return octets <= self.left

    def claim(self, octets: int) -> bool:
        self.held += octets
        return self.held <= self.left

    def give_back(self) -> None:
        self.held = 0


def test_t_imap_15_where_there_is_no_room_for_a_message_it_is_passed_over_and_other_literals_are_not() -> None:
    room = FewOctets(0)
    framer = Framer(AFTER, room)
    framer.receive_data(b"a APPEND INBOX {70000}\r\nb APPEND INBOX {7+}\r\nx NOOP\r\r\nc LOGIN {5+}\r\nalice x\r\n")
    for tag in (b"a", b"b"):
        event = framer.next_event()
        assert isinstance(event, CommandRefused) and (event.tag, event.code, event.closes) == (tag, "LIMIT", False)
    assert framer.next_event() == CommandReceived(b"c LOGIN \x00 x", (b"alice",))
    assert room.asked == [70000, 7]


def test_t_dos_06_a_literal_takes_the_room_of_what_has_come_of_it() -> None:
    room = FewOctets(100)
    framer = Framer(AFTER, room)
    framer.receive_data(b"a APPEND INBOX {100}\r\n")
    assert framer.next_event() == LiteralAwaited()
    assert room.held == 0
    for come in (10, 40, 100):
        framer.receive_data(b"x" * (come - room.held))
        assert framer.next_event() is None
        assert room.held == come
    framer.receive_data(b"\r\n")
    assert framer.next_event() == CommandReceived(b"a APPEND INBOX \x00", (b"x" * 100,))
    assert room.held == 100, "it is given back by whoever has carried it out"


@pytest.mark.parametrize("sign", [b"", b"+"])
def test_t_imap_02_of_a_message_that_lost_its_room_while_it_came_no_octet_is_taken_for_a_command(sign: bytes) -> None:
    room = FewOctets(100)
    framer = Framer(AFTER, room)
    framer.receive_data(b"a APPEND INBOX {3+}\r\nabc {90%b}\r\n" % sign)
    while isinstance(framer.next_event(), LiteralAwaited):
        pass
    framer.receive_data(b"\r\nb NOOP\r\n")
    assert framer.next_event() is None and room.held == 13
    assert framer.is_within_append
    framer.give_up()
    assert room.held == framer.buffered_octets == 0
    assert not framer.is_within_append, "there is nothing left to give"
    framer.receive_data(b"\r\nc NOOP".ljust(80, b"x") + b" {5+}\r\nd NOO\r\ne NOOP\r\n")
    event = framer.next_event()
    assert isinstance(event, CommandRefused) and (event.tag, event.code, event.closes) == (b"a", "LIMIT", False)
    assert framer.next_event() == CommandReceived(b"e NOOP", ())
    assert not framer.is_within_append, "all of the command has come"


def test_lines_that_are_no_commands() -> None:
    framer = Framer(AFTER)
    framer.plain_line = True
    framer.receive_data(b"DONE\r\na NOOP\r\n")
    assert framer.next_event() == LineReceived(b"DONE")
    framer.plain_line = False
    assert framer.next_event() == CommandReceived(b"a NOOP", ())


PIECES = st.sampled_from(
    [
        b"a ",
        b"LOGIN ",
        b"APPEND INBOX ",
        b"{3}\r\n",
        b"{3+}\r\n",
        b"{9999+}\r\n",
        b"abc",
        b"\r\n",
        b"\r",
        b"\n",
        b"\x00",
        b'"',
        b"ID (",
        b"{",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=8), max_size=40).map(b"".join), st.sampled_from([BEFORE_LOGIN, AFTER]))
def test_any_octets_give_the_same_events_whole_or_one_by_one(octets: bytes, limits: Limits) -> None:
    if octets:
        both_ways(octets, limits)
