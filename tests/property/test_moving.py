"""What is exported and imported again is the same mail: octets, UIDs, flags, dates, names, unique-ids."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.app.moving.into import Move
from mailward.app.moving.maildir import MaildirSource
from mailward.app.moving.mbox import MboxSource
from mailward.app.moving.out_maildir import export_maildir
from mailward.app.moving.out_mbox import export_mbox
from mailward.model.ids import Uid
from mailward.store.base import AccountStore
from mailward.store.flags import names_of
from mailward.store.ops import Append, CreateMailbox, DeleteMailbox, Expunge
from support.stores import ALICE, account

NAMES = ("INBOX", "Gesendet", "Lists/a.b", "Entwürfe/2024 alt", "&c~", "a/.../b")
LINE = st.sampled_from([b"", b"text", b"From x", b">From y", b">>From", b".", b"Status: RO", b"\xfc\xff\x00 8 bit", b"end\rcr"])
FIELD = st.sampled_from([b"Subject: x", b"X-Status: D", b"X-UID: 99", b"Return-Path: <a@example.net>", b"X: y\r\n z"])
OCTETS = st.builds(
    lambda fields, lines: b"".join(field + b"\r\n" for field in fields) + b"\r\n" + b"".join(line + b"\r\n" for line in lines),
    st.lists(FIELD, min_size=1, max_size=4),
    st.lists(LINE, max_size=5),
)
FLAGS = st.sets(
    st.sampled_from(["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$Forwarded", "$Label1", "NonJunk"])
)
MESSAGES = st.lists(st.tuples(st.sampled_from(NAMES), OCTETS, FLAGS, st.integers(0, 2**31 - 1), st.booleans()), max_size=8)


def filled(folder: Path, messages: list[tuple[str, bytes, set[str], int, bool]]) -> AccountStore:
    store = account(folder)
    store.apply([DeleteMailbox("Sent"), CreateMailbox(NAMES[1], "\\Sent")])
    for name in NAMES[2:]:
        store.apply([CreateMailbox(name)])
    for name, octets, flags, at, stays in messages:
        mailbox = store.mailbox(name).id
        (done,) = store.apply([Append(mailbox, octets, datetime.fromtimestamp(at, UTC), tuple(sorted(flags)))])
        if not stays:
            store.apply([Expunge(mailbox, (Uid(done.uids[0]),))])
    return store


def contents(store: AccountStore, name: str) -> list[tuple[int, frozenset[str], int, bytes]]:
    view = store.view(store.mailbox(name).id)
    dates = [int(date or 0) for (date,) in store.meta(view.messages, ["internal_date"])]
    bodies = [bytes(store.octets(message)) for message in view.messages]
    flags = [frozenset(names_of(bits, view.keywords)) for bits in view.flags]
    return [*zip(view.uids, flags, dates, bodies, strict=True)]


@settings(max_examples=12, deadline=None)
@given(messages=MESSAGES)
def test_a_maildir_brings_back_the_same_mail(messages: list[tuple[str, bytes, set[str], int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store, again = filled(folder / "one", messages), account(folder / "two", now_s=1_900_000_000.0)
        for _ in range(2):  # the second run finds all of it there
            assert not any(done.problems for done in export_maildir(store, folder / "out", lambda *_: None, ALICE))
        assert not any(one.problems for one in Move(MaildirSource(folder / "out"), again, lambda *_: None).run())
        for name in NAMES:
            assert contents(again, name) == contents(store, name)
            assert again.mailbox(name).uidvalidity == store.mailbox(name).uidvalidity
            assert again.mailbox(name).uidnext == store.mailbox(name).uidnext
            assert again.mailbox(name).special_use == store.mailbox(name).special_use
            assert again.mailbox(name).subscribed == store.mailbox(name).subscribed


@settings(max_examples=12, deadline=None)
@given(messages=MESSAGES)
def test_mbox_files_bring_back_the_same_mail(messages: list[tuple[str, bytes, set[str], int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store, again = filled(folder / "one", messages), account(folder / "two", now_s=1_900_000_000.0)
        assert not any(done.problems for done in export_mbox(store, folder / "out", lambda *_: None))
        assert not any(one.problems for one in Move(MboxSource(folder / "out"), again, lambda *_: None).run())
        for name in NAMES:
            assert contents(again, name) == contents(store, name)
            if contents(store, name):
                assert again.mailbox(name).uidvalidity == store.mailbox(name).uidvalidity
                assert again.mailbox(name).uidnext == store.mailbox(name).uidnext


def test_what_cannot_be_read_is_told_and_the_rest_is_written(tmp_path: Path) -> None:
    store = filled(tmp_path / "one", [("INBOX", b"A: %d\r\n\r\n" % n + b"x" * 100, set(), 0, True) for n in range(3)])
    (pack,) = (tmp_path / "one").rglob("*.pack")
    octets = bytearray(pack.read_bytes())
    octets[octets.index(b"A: 1")] ^= 1
    pack.write_bytes(octets)
    done = {one.name: one for one in export_maildir(store, tmp_path / "out", lambda *_: None, ALICE)}
    assert (done["INBOX"].messages, len(done["INBOX"].problems)) == (2, 1)
    assert "UID 2" in done["INBOX"].problems[0]
