"""Commands about many messages: what grows with a mailbox is done beside the loop, where it holds nobody up (T-DOS-08)."""

import threading
from array import array
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.access.imap import found, selected
from mailward.access.imap.selected import Selected
from mailward.access.imap.working import MANY
from mailward.model.ids import AccountId, Uid
from mailward.protocol.imap.arguments import SequenceSet
from mailward.store.ops import Append, Expunge
from support.imap import Client, Office
from support.storecheck import RECEIVED_AT

COUNT = MANY + 200


@pytest.mark.parametrize(
    ("command", "answered"),
    [
        ("STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Answered)", "OK [MODIFIED 1:*]"),
        ("UID STORE 1:* +FLAGS.SILENT (new)", "OK UID STORE"),
        ("STORE 1:600,602:1200 +FLAGS.SILENT (\\Flagged)", "OK STORE"),
        ("FETCH 1:600,602:1200 (UID)", "OK FETCH"),
        ("UID FETCH 1:* (UID) (CHANGEDSINCE 1)", "OK UID FETCH"),
        ("COPY 1:* Trash", "OK [COPYUID "),
        ("EXPUNGE", "OK [HIGHESTMODSEQ "),
    ],
)
async def test_t_dos_08_no_message_of_many_is_looked_up_on_the_loop(
    office: Office, monkeypatch: pytest.MonkeyPatch, command: str, answered: str
) -> None:
    store = office.store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, b"Subject: s\r\n\r\nbody\r\n", RECEIVED_AT, flags=("\\Deleted",)) for _ in range(COUNT)])
    client = await Client(office).login()
    if "UNCHANGEDSINCE" in command or "EXPUNGE" in command:
        await client.ok("ENABLE CONDSTORE")
    await client.ok("SELECT INBOX")
    here, on_loop = threading.get_ident(), dict[str, int]()

    def spy(name: str) -> None:
        method: Callable[..., Any] = getattr(Selected, name)

        def called(*arguments: object, **named: object) -> object:
            if threading.get_ident() == here:
                on_loop[name] = on_loop.get(name, 0) + 1
            return method(*arguments, **named)

        monkeypatch.setattr(Selected, name, called)

    for name in ("index_of", "places_of", "take_own", "flag_names"):
        spy(name)
    (*_, reply) = await client.command(command)
    assert reply.startswith(answered.replace("*", str(COUNT)).encode()), reply
    assert on_loop == {}


@pytest.mark.parametrize(
    ("command", "answered"),
    [
        ("SEARCH ALL", f"SEARCH {' '.join(map(str, range(1, COUNT + 1)))}"),
        ("UID SEARCH RETURN (SAVE) ALL", ""),
        ("SEARCH RETURN (ALL COUNT) MODSEQ 1", f"ESEARCH (TAG %) ALL 1:{COUNT} COUNT {COUNT} MODSEQ 2"),
        ("UID SORT (REVERSE ARRIVAL) UTF-8 ALL", f"SORT {' '.join(map(str, range(1, COUNT + 1)))}"),
    ],
)
async def test_t_dos_08_what_many_messages_are_found_by_is_told_and_saved_beside_the_loop(
    office: Office, monkeypatch: pytest.MonkeyPatch, command: str, answered: str
) -> None:
    store = office.store.open(AccountId("alice"))
    store.apply([Append(store.mailbox("INBOX").id, b"Subject: s\r\n\r\nbody\r\n", RECEIVED_AT) for _ in range(COUNT)])
    client = await Client(office).login()
    await client.ok("SELECT INBOX")
    here, on_loop = threading.get_ident(), list[bool]()
    monkeypatch.setattr(found, "_NUMBERS_A_PIECE", 500)
    for owner, name in ((found, "_numbers"), (Selected, "save")):
        function: Callable[..., Any] = getattr(owner, name)

        def called(*arguments: Any, function: Callable[..., Any] = function, **named: Any) -> Any:
            on_loop.append(threading.get_ident() == here)
            return function(*arguments, **named)

        monkeypatch.setattr(owner, name, called)
    untagged = [reply for reply in await client.ok(command) if b"SEARCH" in reply or b"SORT" in reply]
    tag = f'"{client.tag}"'
    assert untagged == [f"* {answered.replace('%', tag)}".encode()] * bool(answered)
    assert on_loop and not any(on_loop)
    assert len(await client.ok("UID FETCH $ (UID)")) == ("SAVE" in command) * COUNT


async def test_t_dos_08_what_a_large_mailbox_loses_is_taken_out_beside_the_loop(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selected, "_MOST_COPIED", 50)
    store = office.store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, b"Subject: s\r\n\r\nbody\r\n", RECEIVED_AT) for _ in range(60)])
    client = await Client(office).login()
    await client.ok("SELECT INBOX")
    await client.ok("STORE 1 +FLAGS (\\Seen)")  # from now on the arrays are the session's own
    here, merged = threading.get_ident(), list[bool]()
    merge = Selected.merge

    def spied(*arguments: Any, **named: Any) -> Any:
        merged.append(threading.get_ident() == here)
        return merge(*arguments, **named)

    monkeypatch.setattr(Selected, "merge", spied)
    store.apply([Expunge(inbox, (Uid(3), Uid(60)))])
    assert await client.ok("NOOP") == [b"* 60 EXPUNGE", b"* 3 EXPUNGE"]
    assert merged == [False]


@given(st.sets(st.integers(0, 80)), st.integers(0, 3))
def test_what_is_left_is_the_same_by_pieces_and_by_values(places: set[int], most: int) -> None:
    values = array("Q", range(1000, 1081))
    with patch.object(selected, "_PIECEWISE", most * 40):
        assert [*selected.without(values, sorted(places))] == [value for value in values if value - 1000 not in places]


@pytest.mark.parametrize(
    ("ranges", "span"),
    [(((1, 1),), 1), (((None, None),), 1), (((7, 3), (9, 9)), 6), (((1, None),), 1 << 32), ((), 0)],
)
def test_how_many_numbers_a_set_names(ranges: tuple[tuple[int | None, int | None], ...], span: int) -> None:
    assert SequenceSet(ranges).span == span
