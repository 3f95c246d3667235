"""A client that waits long for an answer hears meanwhile how far it is (RFC 9585)."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from mailward.access.imap import searching, working
from mailward.store.account import EmbeddedAccount
from mailward.store.ops import Op, OpResult
from support.imap import Client, Office

MESSAGE = b"Subject: s\r\n\r\nbody\r\n"


@pytest.fixture
def going_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until it is set, the store does not get beyond the third message that it reads, nor writes."""
    event = threading.Event()
    octets, bodies, apply, read = EmbeddedAccount.octets, EmbeddedAccount.bodies, EmbeddedAccount.apply, [0]

    def waits() -> None:
        read[0] += 1
        assert read[0] < 3 or event.wait(90)

    def slow_octets(self: EmbeddedAccount, message: int) -> object:
        waits()
        return octets(self, message)

    def slow_bodies(self: EmbeddedAccount, messages: Sequence[int]) -> Iterator[object]:
        for found in bodies(self, messages):
            waits()
            yield found

    def slow_apply(self: EmbeddedAccount, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        assert event.wait(90)
        return apply(self, ops)

    monkeypatch.setattr(EmbeddedAccount, "octets", slow_octets)
    monkeypatch.setattr(EmbeddedAccount, "bodies", slow_bodies)
    monkeypatch.setattr(EmbeddedAccount, "apply", slow_apply)
    monkeypatch.setattr(searching, "_BATCH", 1)
    event.set()
    yield event
    event.set()


async def selected(office: Office, event: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = await Client(office).login()
    for _ in range(5):
        await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    event.clear()
    monkeypatch.setattr(working, "PROGRESS_S", 0.01)
    return client


async def test_a_search_tells_how_many_messages_it_has_read(
    office: Office, going_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await selected(office, going_on, monkeypatch)
    client.wire.feed(b"A001 SEARCH UNSEEN BODY nothing\r\n")
    told = [await client.line()]
    while told[-1] != b'* OK [INPROGRESS ("A001" 2 5)] Still at it':
        assert told[-1].startswith(b'* OK [INPROGRESS ("A001" ')
        told.append(await client.line())
    monkeypatch.setattr(working, "PROGRESS_S", 90.0)
    going_on.set()
    assert (await client.replies(b"A001 "))[-2:] == [b"* SEARCH", b"OK SEARCH completed"]


async def test_what_cannot_be_counted_is_told_to_be_under_way(
    office: Office, going_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await selected(office, going_on, monkeypatch)
    client.wire.feed(b"A002 COPY 1:* Archive\r\n")
    assert await client.line() == b'* OK [INPROGRESS ("A002" NIL NIL)] Still at it'
    going_on.set()
    assert (await client.replies(b"A002 "))[-1].startswith(b"OK [COPYUID ")


async def test_nothing_is_told_within_an_answer(
    office: Office, going_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await selected(office, going_on, monkeypatch)
    client.wire.feed(b"A003 FETCH 1:* BODY.PEEK[1.MIME]\r\n")
    assert await client.line() == b'* OK [INPROGRESS ("A003" NIL NIL)] Still at it'
    going_on.set()
    assert len([line for line in await client.replies(b"A003 ") if b"FETCH (" in line]) == 5
