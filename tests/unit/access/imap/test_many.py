"""Commands about many messages: what grows with a mailbox is done beside the loop, where it holds nobody up (T-DOS-08)."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mailward.access.imap.selected import Selected
from mailward.access.imap.telling import MANY
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import SequenceSet
from mailward.store.ops import Append
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
    ("ranges", "span"),
    [(((1, 1),), 1), (((None, None),), 1), (((7, 3), (9, 9)), 6), (((1, None),), 1 << 32), ((), 0)],
)
def test_how_many_numbers_a_set_names(ranges: tuple[tuple[int | None, int | None], ...], span: int) -> None:
    assert SequenceSet(ranges).span == span
