"""SEARCH against a mailbox whose answers can be told by hand (RFC 3501 section 6.4.4)."""

import mmap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailward.access.imap.contents import Contents, Shelf
from mailward.access.imap.searching import Search
from mailward.access.imap.selected import Selected
from mailward.access.imap.working import Progress
from mailward.formats.message import MessageView
from mailward.formats.searched import searched_texts
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.search import And, Key, Not, Or, read_search
from mailward.store import marking
from mailward.store.account import EmbeddedAccount
from mailward.store.ops import Append
from support.imap import Client, Office

MESSAGES = (
    (
        '(\\Seen $Work) " 1-Nov-2026 23:30:00 +0000"',
        b"From: Ann <ann@example.net>\r\nTo: bob@example.org\r\nCc: carol@example.org\r\nSubject: Budget\r\n"
        b"Date: Sun, 1 Nov 2026 23:59:00 -0800\r\nX-Note: one\r\n\r\nplain words\r\n",
    ),
    (
        '(\\Answered \\Flagged) " 2-Nov-2026 00:30:00 +0100"',
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.net>\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?= aus\r\n Berlin\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Gr=FC=\r\n=DFe\r\n",
    ),
    (
        '(\\Deleted \\Draft) " 3-Nov-2026 10:00:00 +0000"',
        b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hidden <b>tre</b>asure</p>\r\n"
        b"--b\r\nContent-Type: text/plain; name=needle.txt\r\nContent-Transfer-Encoding: base64\r\n\r\naGF5c3RhY2s=\r\n--b--\r\n",
    ),
)


async def mailbox(office: Office) -> Client:
    client = await Client(office).login()
    for more, octets in MESSAGES:
        assert (await client.append("INBOX", octets, more + " ")).startswith(b"OK")
    await client.ok("SELECT INBOX")
    return client


CASES = [
    ("ALL", "1 2 3"), ("1:2", "1 2"), ("*", "3"), ("7", ""), ("3:9", "3"), ("2:1", "1 2"), ("UID 2:*", "2 3"), ("UID 4294967295:1", "1 2 3"),
    ("SEEN", "1"), ("UNSEEN", "2 3"), ("ANSWERED", "2"), ("UNANSWERED", "1 3"), ("FLAGGED", "2"), ("UNFLAGGED", "1 3"), ("DELETED", "3"),
    ("UNDELETED", "1 2"), ("DRAFT", "3"), ("UNDRAFT", "1 2"), ("KEYWORD $work", "1"), ("UNKEYWORD $Work", "2 3"), ("KEYWORD none", ""),
    ("RECENT", "1 2 3"), ("NEW", "2 3"), ("OLD", ""), ("NOT SEEN", "2 3"), ("OR SEEN FLAGGED", "1 2"), ("SEEN FLAGGED", ""), ("(SEEN) UNDELETED", "1"),
    ("BEFORE 2-Nov-2026", "1 2"), ("ON 1-Nov-2026", "1 2"), ("SINCE 2-Nov-2026", "3"), ("SENTON 1-Nov-2026", "1"), ('SENTSINCE "2-Nov-2026"', "2"),
    ("SENTBEFORE 2-Nov-2026", "1"), ("LARGER 200", "2 3"), ("SMALLER 200", "1"), ("YOUNGER 10", ""), ("OLDER 10", "1 2 3"),
    ("FROM ann", "1"), ("FROM ANN@EXAMPLE", "1"), ("TO bob", "1"), ("CC carol", "1"), ("BCC x", ""), ("SUBJECT budget", "1"), ("SUBJECT xyz", ""),
    ("HEADER X-Note one", "1"), ('HEADER X-Note ""', "1"), ('HEADER Date ""', "1 2"), ("HEADER X-None x", ""), ('SUBJECT "aus Berlin"', "2"),
    ("BODY words", "1"), ("BODY Budget", ""), ("TEXT Budget", "1"), ("TEXT X-Note", "1"), ("BODY treasure", "3"), ("BODY haystack", "3"),
    ("BODY aGF5", ""), ("NOT BODY words", "2 3"), ("UNSEEN OR TEXT treasure TEXT words", "3"), ('BODY ""', "1 2 3"), ("CHARSET US-ASCII ALL", "1 2 3"),
]  # fmt: skip


async def test_search(office: Office) -> None:
    client = await mailbox(office)
    for keys, found in CASES:
        assert await client.ok(f"SEARCH {keys}") == [f"* SEARCH {found}".strip().encode()], keys


async def test_text_in_utf_8_is_found_however_it_is_encoded(office: Office) -> None:
    client = await mailbox(office)
    for key, text in (("SUBJECT", "grüße"), ("FROM", "JÜRGEN"), ("BODY", "Schöne Grüße"), ("TEXT", "schöne")):
        octets = text.encode()
        assert await client.ok(b"SEARCH CHARSET UTF-8 %b {%d+}\r\n%b" % (key.encode(), len(octets), octets)) == [b"* SEARCH 2"], (
            key
        )


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ("CHARSET KOI8-R ALL", b"NO [BADCHARSET (US-ASCII UTF-8)]"),
        ("", b"BAD"),
        ("SUBJECT", b"BAD"),
        ("OR SEEN", b"BAD"),
        ("ON 31-Feb-2026", b"BAD"),
        ("FROB", b"BAD"),
        (" ".join(["TEXT a"] * 1000), b"NO [LIMIT]"),
        ("NOT " * 5000 + "ALL", b"NO [LIMIT]"),
    ],
)
async def test_t_imap_07_what_is_refused(office: Office, keys: str, answer: bytes) -> None:
    client = await mailbox(office)
    assert (await client.command(f"SEARCH {keys}"))[-1].startswith(answer)


LEAVES = st.sampled_from([keys for keys, _ in CASES if "CHARSET" not in keys])
KEYS = st.recursive(
    LEAVES.map(lambda key: f"({key})"),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"OR {pair[0]} {pair[1]}"),
        inner.map(lambda key: f"NOT {key}"),
        st.lists(inner, min_size=1, max_size=3).map(lambda keys: f"({' '.join(keys)})"),
    ),
    max_leaves=6,
)


def test_t_imap_07_names_that_few_ask_for_take_no_memory(tmp_path: Path) -> None:
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, f"X-Note: {text}\r\nList-Id: {text}\r\n\r\n".encode(), datetime.now(UTC)) for text in "abc"])
    shelf = Shelf()
    search = Search(
        Contents(shelf, store, Selected(store.view(inbox), read_only=True)), AccountId("alice"), datetime.now(UTC), Progress()
    )
    for name, is_kept in (("X-Note", False), ("x-other", False), ("LIST-ID", True)):
        found = search.run(read_search(Arguments(f"HEADER {name} B".encode())))
        assert [*found] == ([] if name == "x-other" else [1]) and bool(shelf.octets) == is_kept


@pytest.fixture(scope="module")
def searching(tmp_path_factory: pytest.TempPathFactory) -> Search:
    store = Office(tmp_path_factory.mktemp("search")).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    for more, octets in MESSAGES:
        arguments = Arguments(more.encode())
        flags = arguments.flags()
        arguments.space()
        store.apply([Append(inbox, octets, arguments.date_time(), flags)])
    return Search(
        Contents(Shelf(), store, Selected(store.view(inbox), read_only=True)), AccountId("alice"), datetime.now(UTC), Progress()
    )


@given(keys=KEYS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_combine_like_sets(searching: Search, keys: str) -> None:
    everything = set(range(len(MESSAGES)))

    def model(key: Key) -> set[int]:
        match key:
            case And(keys=parts):
                return everything.intersection(*map(model, parts))
            case Or(first=first, second=second):
                return model(first) | model(second)
            case Not(key=inner):
                return everything - model(inner)
            case _:
                return set(searching.run(key))

    key = read_search(Arguments(keys.encode()))
    found = searching.run(key)
    assert set(found) == model(key)
    assert list(found) == sorted(found)


async def test_what_search_results_say_follows_from_the_numbers(office: Office) -> None:
    client = await mailbox(office)
    for keys, found in CASES:
        if "CHARSET" in keys:
            continue
        numbers = [int(number) for number in found.split()]
        (told,) = await client.ok(f"SEARCH RETURN (MIN MAX ALL COUNT SAVE) {keys}")
        words = told.decode().partition(") ")[2].split()
        said = dict(zip(words[::2], words[1::2], strict=True))
        assert int(said.pop("COUNT")) == len(numbers), keys
        assert {name: value for name, value in said.items() if name != "ALL"} == (
            {"MIN": str(numbers[0]), "MAX": str(numbers[-1])} if numbers else {}
        ), keys
        assert await client.ok("SEARCH $") == [f"* SEARCH {found}".strip().encode()], keys


async def test_a_message_that_cannot_hold_the_text_is_read_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    bodies = EmbeddedAccount.bodies

    def counted(store: EmbeddedAccount, messages: Sequence[int]) -> Iterator[bytes | mmap.mmap | StorageError]:
        read.extend(messages)
        return bodies(store, messages)

    monkeypatch.setattr(EmbeddedAccount, "bodies", counted)
    client = await mailbox(office)
    answers = {keys: await client.ok(f"SEARCH {keys}") for keys, _ in CASES if "CHARSET" not in keys}
    assert len(read) >= len(MESSAGES)
    read.clear()
    assert await client.ok("SEARCH BODY lighthouse") == [b"* SEARCH"]
    assert await client.ok("SEARCH NOT TEXT lighthouse") == [b"* SEARCH 1 2 3"]
    assert read == []
    assert await client.ok("SEARCH BODY treasure") == [b"* SEARCH 3"]
    assert len(read) == 1
    assert answers == {keys: await client.ok(f"SEARCH {keys}") for keys in answers}


async def test_t_q_08_a_message_that_cannot_be_read_is_said_and_hides_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose reader fails as nobody foresaw, or that is damaged."""
    client = await mailbox(office)

    def fails(view: MessageView) -> Iterator[str]:
        if b"plain words" in view.octets:
            raise RecursionError
        yield from searched_texts(view)

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(marking, "searched_texts", fails)
        said = b"* NO [SERVERBUG] 1 of the messages could not be read"
        assert await client.ok("SEARCH OR BODY haystack BODY treasure") == [said, b"* SEARCH 3"]
        assert await client.ok("SORT (ARRIVAL) UTF-8 TEXT treasure") == [said, b"* SORT 3"]
    errors = [(line["event"], line["messages"]) for line in logs if line["log_level"] == "error"]
    assert errors == [("mail not read for searches", [1])] * len(errors) and errors
    (pack,) = office.folder.glob("*/packs/*")
    pack.write_bytes(pack.read_bytes().replace(b"plain words", b"plain wards"))
    with capture_logs() as logs:
        assert await client.ok("SEARCH BODY treasure") == [said, b"* SEARCH 3"]
    assert [(line["event"], line["message"]) for line in logs] == [("unreadable message", 1)]
