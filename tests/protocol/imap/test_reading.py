"""Arguments of commands become values: sets, dates, flags, FETCH items, SEARCH keys, all within limits."""

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.protocol.imap.arguments import Arguments, BadSyntax, SequenceSet
from mailward.protocol.imap.fetch import FetchItems, Section, read_fetch_items
from mailward.protocol.imap.search import (
    And,
    Day,
    Flag,
    Not,
    Or,
    SearchRefused,
    Text,
    UnknownCharset,
    read_search,
)


def fetch(text: str) -> FetchItems:
    arguments = Arguments(text.encode())
    found = read_fetch_items(arguments)
    arguments.end()
    return found


@pytest.mark.parametrize(
    ("text", "largest", "pairs"),
    [
        ("1", 9, ((1, 1),)),
        ("5:3", 9, ((3, 5),)),
        ("*", 9, ((9, 9),)),
        ("*:4", 9, ((4, 9),)),
        ("12:*", 9, ((9, 12),)),
        ("1:3,2:5,6,9", 9, ((1, 6), (9, 9))),
        ("4294967295:1", 9, ((1, 4294967295),)),
    ],
)
def test_sequence_sets(text: str, largest: int, pairs: tuple[tuple[int, int], ...]) -> None:
    assert Arguments(text.encode()).sequence_set().resolve(largest) == pairs


@pytest.mark.parametrize("text", ["0", "1:0", "a", "1,", ",1", "1::2", "4294967296", "1:*:2", "-1", "99999999999999"])
def test_what_is_no_set(text: str) -> None:
    with pytest.raises(BadSyntax):
        Arguments(text.encode()).sequence_set()


def test_t_imap_07_sets_are_ranges_and_bounded() -> None:
    assert Arguments(b",".join([b"1:*"] * 5000)).sequence_set().resolve(100_000) == ((1, 100_000),)
    with pytest.raises(BadSyntax):
        Arguments(b",".join([b"1:*"] * 5001)).sequence_set()


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=8))
def test_a_set_names_what_its_ranges_name(ranges: list[tuple[int, int]]) -> None:
    resolved = SequenceSet(tuple(ranges)).resolve(50)
    assert {n for low, high in resolved for n in range(low, high + 1)} == {
        n for a, b in ranges for n in range(min(a, b), max(a, b) + 1)
    }
    assert all(first[1] + 1 < second[0] for first, second in pairwise(resolved))
    assert [SequenceSet(tuple(ranges)).reaches(n) for n in range(1, 52)] == [n <= resolved[-1][1] for n in range(1, 52)]


def test_strings() -> None:
    arguments = Arguments(b'atom "quo\\"ted\\\\" \x00 ""', (b"lit\r\neral",))
    found = []
    for _ in range(4):
        found.append(arguments.astring())
        arguments.take(b" ")
    assert found == [b"atom", b'quo"ted\\', b"lit\r\neral", b""]


def test_date_times() -> None:
    assert Arguments(b'"17-Jul-1996 02:44:25 -0700"').date_time() == datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
    assert Arguments(b'" 7-Jul-1996 02:44:25 +0000"').date_time() == datetime(1996, 7, 7, 2, 44, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "32-Jul-1996 02:44:25 +0000",
        "17-Xyz-1996 02:44:25 +0000",
        "17-Jul-1996 25:44:25 +0000",
        "",
        "1-1-1",
        " 1-Jan-0001 00:00:00 +9900",
    ],
)
def test_t_imap_15_days_that_are_none(text: str) -> None:
    with pytest.raises(BadSyntax):
        Arguments(f'"{text}"'.encode()).date_time()


def test_t_imap_15_hostile_flags() -> None:
    assert Arguments(b"(\\seen $Junk \\SEEN)").flags() == ("\\Seen", "$Junk")
    for text in (b"(\\Evil)", b"(\\Recent)", b"(a%)", b"(" + b" ".join(b"k%d" % n for n in range(10_000)) + b")"):
        with pytest.raises(BadSyntax):
            Arguments(text).flags()


def test_t_imap_05_nul_in_a_literal_is_no_string() -> None:
    with pytest.raises(BadSyntax):
        Arguments(b"\x00", [b"a\x00b"]).astring()


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("FAST", ("FLAGS", "INTERNALDATE", "RFC822.SIZE")),
        ("(UID flags uid)", ("UID", "FLAGS")),
        ("BODY", ("BODY",)),
        ("BODY[]", (Section(b"BODY[]", (), "", peek=False),)),
        ("BODY.PEEK[1.2.MIME]<0.5>", (Section(b"BODY[1.2.MIME]<0>", (1, 2), "MIME", partial=(0, 5)),)),
        ("RFC822", (Section(b"RFC822", (), "", peek=False),)),
        ("RFC822.HEADER", (Section(b"RFC822.HEADER", (), "HEADER"),)),
        ('BODY.PEEK[HEADER.FIELDS (To "X-A")]', (Section(b"BODY[HEADER.FIELDS (To X-A)]", (), "HEADER.FIELDS", ("To", "X-A")),)),
    ],
)  # fmt: skip
def test_fetch_items(text: str, items: tuple[str | Section, ...]) -> None:
    assert fetch(text).items == items


@pytest.mark.parametrize(
    "text",
    [
        "", "(", "()", "BODY[", "BODY[0]", "BODY[.1]", "BODY[1.]", "BODY[MIME]", "BODY[HEADER.1]",
        "BODY[]<1>", "BODY[]<1.0>", "BODY[]<0.4294967296>", "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS (a\tb)]", "(FLAGS  UID)",
        "(ALL)", "FLAGSX", "X", "BODY[TEXT.MIME]",
    ],
)  # fmt: skip
def test_what_is_no_fetch_item(text: str) -> None:
    with pytest.raises(BadSyntax):
        fetch(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" + " ".join(f"BODY[{n}]" for n in range(1, 202)) + ")",
        "BODY[" + ".".join(["1"] * 1000) + "]",
        "BODY[HEADER.FIELDS (" + " ".join(f"x{n}" for n in range(1000)) + ")]",
        "(" * 5000,
        "(" * 5000 + "FLAGS" + ")" * 5000,
        ")" * 5000,
    ],
)
def test_t_imap_04_08_deep_and_long_requests_are_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        fetch(text)


def test_asking_for_the_same_twice_is_answered_once() -> None:
    assert len(fetch("(" + " ".join(["BODY[]"] * 100) + ")").items) == 1


def test_search_keys() -> None:
    key = read_search(Arguments(b'UNSEEN OR FROM "Ann" (SINCE 1-Feb-1994 NOT DELETED)'))
    assert key == And(
        (
            Not(Flag("\\Seen")),
            Or(Text("header:FROM", "Ann"), And((Day("internal", "since", date(1994, 2, 1)), Not(Flag("\\Deleted"))))),
        )
    )
    with pytest.raises(UnknownCharset):
        read_search(Arguments(b"CHARSET KOI8-R TEXT x"))
    assert read_search(Arguments(b"CHARSET UTF-8 SUBJECT \x00", ["é".encode()])) == And((Text("header:SUBJECT", "é"),))


@pytest.mark.parametrize(
    "text",
    [
        b"OR (" * 5000 + b"ALL",
        b"NOT " * 5000 + b"ALL",
        b"(" * 5000 + b"ALL" + b")" * 5000,
        b"OR ALL " * 500 + b"ALL",
        b" ".join([b"TEXT a"] * 1000),
        b" ".join([b"SEEN"] * 1000),
    ],
)
def test_t_imap_07_search_bombs_are_refused(text: bytes) -> None:
    with pytest.raises(SearchRefused):
        read_search(Arguments(text))


@given(st.binary(max_size=60))
def test_any_octets_are_bad_syntax_at_worst(octets: bytes) -> None:
    octets = octets.replace(b"\x00", b"")
    for read in (read_fetch_items, read_search, Arguments.sequence_set, Arguments.flags, Arguments.date_time, Arguments.date):
        try:
            read(Arguments(octets))
        except (BadSyntax, SearchRefused, UnknownCharset):
            continue
