"""SORT (RFC 5256 section 3), SORT=DISPLAY (RFC 5957), ESORT (RFC 5267)."""

from collections.abc import Iterable, Sequence
from functools import cmp_to_key

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.access.imap.contents import Contents, Shelf
from mailward.access.imap.selected import Selected
from mailward.access.imap.sorting import in_order, in_order_among
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.sorting import Criterion, SortKey, read_criteria
from mailward.store.base import Column
from mailward.store.ops import Append
from support.imap import Client, Office

MAIL = (
    (
        " 3-Nov-2026 10:00:00 +0000",
        b"From: Zoe <a@example.net>\r\nTo: =?utf-8?q?=C3=84nne?= <z@example.net>\r\nCc: two@example.net\r\nSubject: Re: [list] budget\r\n"
        b"Date: Mon, 2 Nov 2026 12:00:00 +0200\r\n\r\n1\r\n",
    ),
    (
        " 1-Nov-2026 10:00:00 +0000",
        b"From: b@example.net\r\nTo: team: x@example.net;\r\nSubject: BUDGET (fwd)\r\nDate: Mon, 2 Nov 2026 11:00:00 +0000\r\n\r\n22222\r\n",
    ),
    (
        " 2-Nov-2026 10:00:00 +0000",
        b'From: "a \\"quoted\\" name" <c@example.net>\r\nCc: One <one@example.net>\r\nSubject: apples\r\n\r\n3\r\n',
    ),
)  # fmt: skip


async def mailbox(office: Office) -> Client:
    client = await Client(office).login()
    for at, octets in MAIL:
        assert (await client.append("INBOX", octets, f'"{at}" ')).startswith(b"OK")
    await client.ok("SELECT INBOX")
    return client


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        ("ARRIVAL", "2 3 1"), ("REVERSE ARRIVAL", "1 3 2"), ("DATE", "1 3 2"), ("SUBJECT", "3 1 2"), ("REVERSE SUBJECT", "1 2 3"),
        ("SUBJECT REVERSE DATE", "3 2 1"), ("FROM", "1 2 3"), ("CC", "2 3 1"), ("TO", "3 2 1"), ("SIZE", "3 2 1"),
        ("DISPLAYFROM", "3 2 1"), ("DISPLAYTO", "3 1 2"),
    ],
)  # fmt: skip
async def test_sort(office: Office, criteria: str, order: str) -> None:
    client = await mailbox(office)
    assert await client.ok(f"SORT ({criteria}) UTF-8 ALL") == [f"* SORT {order}".encode()]


async def test_what_is_told(office: Office) -> None:
    client = await mailbox(office)
    assert await client.ok("SORT (ARRIVAL) US-ASCII SEEN") == [b"* SORT"]
    assert await client.ok("UID SORT RETURN (MIN MAX ALL COUNT SAVE) (ARRIVAL) US-ASCII 1:3") == [
        b'* ESEARCH (TAG "t7") UID MIN 2 MAX 1 ALL 2:3,1 COUNT 3'
    ]
    assert await client.ok("SEARCH $") == [b"* SEARCH 1 2 3"]
    assert (await client.command("SORT (ARRIVAL) KOI8-R ALL"))[-1].startswith(b"NO [BADCHARSET")
    assert (await client.command("SORT (FROB) UTF-8 ALL"))[-1].startswith(b"BAD")
    assert (await client.command("SORT () UTF-8 ALL"))[-1].startswith(b"BAD")
    assert (await client.command("SORT (SIZE) ALL"))[-1].startswith(b"NO [BADCHARSET")


@pytest.mark.parametrize(
    ("page", "criteria", "told"),
    [
        ("1:1", "ARRIVAL", "(1:1 2)"),
        ("2:3", "ARRIVAL", "(2:3 3,1)"),
        ("3:2", "ARRIVAL", "(2:3 3,1)"),
        ("2:3", "REVERSE ARRIVAL", "(2:3 3,2)"),
        ("1:6", "ARRIVAL", "(1:6 2:3,1)"),
        ("1:6", "REVERSE ARRIVAL", "(1:6 1,3,2)"),
    ],
)
async def test_pages_of_an_order(office: Office, page: str, criteria: str, told: str) -> None:
    """RFC 5267 section 4.4."""
    client = await mailbox(office)
    replies = await client.ok(f"SORT RETURN (PARTIAL {page}) ({criteria}) US-ASCII ALL")
    assert replies == [f'* ESEARCH (TAG "{client.tag}") PARTIAL {told}'.encode()]


@pytest.mark.parametrize("page", ["1", "1:*", "*:1"])
async def test_what_is_no_page_is_bad(office: Office, page: str) -> None:
    client = await mailbox(office)
    assert (await client.command(f"SORT RETURN (PARTIAL {page}) (ARRIVAL) US-ASCII ALL"))[-1].startswith(b"BAD ")


def test_t_imap_10_so_many_keys_and_no_more() -> None:
    assert len(read_criteria(Arguments(b"(" + b" ".join([b"SIZE"] * 20) + b") "))) == 20
    with pytest.raises(BadSyntax):
        read_criteria(Arguments(b"(" + b" ".join([b"SIZE"] * 21) + b") "))


COLUMNS: dict[SortKey, Column] = {"ARRIVAL": "internal_date", "SIZE": "size_octets", "SUBJECT": "subject_key"}


@given(st.lists(st.builds(Criterion, st.sampled_from(list(COLUMNS)), st.booleans()), min_size=1, max_size=4))
@settings(deadline=None)
def test_each_key_decides_where_those_before_it_are_equal(ordering: Contents, criteria: list[Criterion]) -> None:
    store, selected = ordering.store, ordering.selected
    rows = [next(iter(store.meta([message], [COLUMNS[c.key] for c in criteria]))) for message in selected.messages]

    def compared(a: int, b: int) -> int:
        for criterion, one, other in zip(criteria, rows[a], rows[b], strict=True):
            if one != other:
                less = str(one) < str(other) if isinstance(one, str) else int(one) < int(other)
                return -1 if less != criterion.reverse else 1
        return a - b

    places = range(len(selected))
    assert in_order(ordering, places, criteria) == sorted(places, key=cmp_to_key(compared))


@given(
    st.lists(st.builds(Criterion, st.sampled_from(list(COLUMNS)), st.booleans()), min_size=1, max_size=2),
    st.lists(st.sampled_from(["before", "new", "neither"]), min_size=60, max_size=60),
)
@settings(deadline=None)
def test_new_ones_come_into_an_order_where_sorting_all_puts_them(
    ordering: Contents, criteria: list[Criterion], which: list[str]
) -> None:
    uids = [*zip(ordering.selected.uids, which, strict=True)]
    order = in_order(ordering, [uid - 1 for uid, word in uids if word == "before"], criteria)
    together = in_order(ordering, [uid - 1 for uid, word in uids if word != "neither"], criteria)
    new = {uid for uid, word in uids if word == "new"}
    assert in_order_among(ordering, [place + 1 for place in order], new, criteria) == [place + 1 for place in together]


def test_t_dos_08_a_new_one_is_compared_with_few_of_many(ordering: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    criteria = [Criterion("SUBJECT"), Criterion("ARRIVAL", reverse=True)]
    *order, last = [place + 1 for place in in_order(ordering, range(60), criteria)]
    compared = list[int]()
    values, ranks = ordering.numbers, ordering.ranks

    def numbers(column: Column, places: Sequence[int]) -> Iterable[int]:
        compared.append(len(places))
        return values(column, places)

    monkeypatch.setattr(ordering, "numbers", numbers)
    assert in_order_among(ordering, order, [last], criteria) == [*order, last]
    assert len(compared) == 2 and max(compared) <= 10
    assert ranks("subject_key", lambda _: iter(()), [0, 1, 2]) != [0, 1, 2], "few texts are not ranked"


@pytest.fixture(scope="module")
def ordering(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    office = Office(tmp_path_factory.mktemp("sort"))
    store = office.store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    for at, octets in MAIL * 20:
        store.apply([Append(inbox, octets, Arguments(b'"' + at.encode() + b'"').date_time())])
    return Contents(Shelf(), store, Selected(store.view(inbox), read_only=True))
