"""However often a command asks for large things of one message, only a piece of the answer is held at a time (T-IMAP-08)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.access.imap.bodies import CHUNK_OCTETS
from mailward.access.imap.rendering import Plan
from mailward.access.imap.selected import Selected
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.fetch import read_fetch_items
from mailward.store.base import AccountStore
from mailward.store.ops import Append
from support.imap import Office

LARGE_HEADER = b"Subject: large\r\n" + b"X-Fill: %b\r\n" % (b"y" * 900) * 1000 + b"\r\nsmall\r\n"
LARGE_BODY = b"Subject: body\r\nContent-Type: text/plain\r\n\r\n" + b"z" * 70 * 13_000 + b"\r\n"
SMALL = b"Subject: small\r\nX-Fill: 1\r\n\r\nsmall\r\n"
MAIL = (SMALL, LARGE_HEADER, SMALL, SMALL, LARGE_BODY, LARGE_HEADER)


@pytest.fixture
def opened(tmp_path: Path) -> tuple[AccountStore, Selected]:
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, octets, datetime(2026, 11, 2, tzinfo=UTC)) for octets in MAIL])
    return store, Selected(store.view(inbox), read_only=True)


def _pieces(opened: tuple[AccountStore, Selected], items: str, places: range) -> list[bytes]:
    return list(Plan(read_fetch_items(Arguments(items.encode(), ()))).pieces(*opened, places))


@pytest.mark.parametrize(
    ("item", "whole"),
    [
        ("BODY.PEEK[HEADER]<{n}.4000000>", LARGE_HEADER),
        ("BODY.PEEK[HEADER.FIELDS (X-Fill Subject)]<{n}.4000000>", LARGE_HEADER),
        ("BINARY.PEEK[1]<{n}.4000000>", LARGE_BODY),
        ("BODY.PEEK[TEXT]<{n}.4000000>", LARGE_BODY),
    ],
)
def test_t_imap_08_a_hundred_times_the_same_is_sent_in_pieces(
    opened: tuple[AccountStore, Selected], item: str, whole: bytes
) -> None:
    items = " ".join(item.format(n=n) for n in range(90))
    place = MAIL.index(whole)
    pieces = _pieces(opened, f"({items})", range(place, place + 1))
    assert sum(map(len, pieces)) > 80 * 800_000
    assert max(map(len, pieces)) <= 2 * CHUNK_OCTETS


def test_large_and_small_headers_are_answered_in_order(opened: tuple[AccountStore, Selected]) -> None:
    answer = b"".join(_pieces(opened, "(UID BODY.PEEK[HEADER])", range(len(MAIL))))
    expected = b""
    for number, octets in enumerate(MAIL, 1):
        header = octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        expected += b"* %d FETCH (UID %d BODY[HEADER] {%d}\r\n%b)\r\n" % (number, number, len(header), header)
    assert answer == expected
