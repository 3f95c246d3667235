"""Maildirs and mbox files into a store: layouts, dates, names that cannot be, what cannot be read, and runs that follow another."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.app.moving.into import Brought, Move
from mailward.app.moving.maildir import MaildirSource
from mailward.app.moving.mbox import MboxSource
from mailward.app.moving.source import Folder, Letter, Listing, Ref, Source, SourceError
from mailward.store.base import AccountStore
from mailward.store.flags import names_of
from mailward.store.ops import CreateMailbox, DeleteMailbox, Op, OpResult, Renumber
from mailward.store.refusals import NotPermitted
from support.stores import account, append


def made(folder: Path, files: dict[str, bytes], name: str = "") -> Path:
    """A Maildir, or a folder in it; "__" stands for ":2," in the names of messages."""
    path = folder / name
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True, exist_ok=True)
    for file, octets in files.items():
        (path / "cur" / file.replace("__", ":2,")).write_bytes(octets)
    return path


def letter(number: int) -> bytes:
    return b"Subject: %d\n\ntext\n" % number


def brought(source: Source, store: AccountStore, *without: str) -> dict[str, Brought]:
    return {one.name: one for one in Move(source, store, lambda *_: None).run(without)}


def foretold(source: Source, store: AccountStore) -> Brought:
    """What a run would make of the only folder there is, when it changes nothing."""
    (found,) = Move(source, store, lambda *_: None, only_look=True).run()
    return found


def contents(store: AccountStore, mailbox: str) -> dict[int, tuple[frozenset[str], int, bytes]]:
    """uid -> flags, internal date, octets."""
    view = store.view(store.mailbox(mailbox).id)
    dates = (int(date) for (date,) in store.meta(view.messages, ["internal_date"]))
    return {
        uid: (frozenset(names_of(bits, view.keywords)), date, bytes(store.octets(message)))
        for uid, bits, date, message in zip(view.uids, view.flags, dates, view.messages, strict=True)
    }


def test_folders_of_both_layouts_come_under_their_names(tmp_path: Path) -> None:
    box = made(tmp_path / "box", {"a": letter(1)})
    for name in (".Sent", ".Archive.2024", ".Entw&APw-rfe", "Lists/python"):
        made(box, {"a": letter(2)}, name)
    (box / "subscriptions").write_text("Sent\nEntw&APw-rfe\n")
    store = account(tmp_path / "store")
    assert set(brought(MaildirSource(box), store)) == {"INBOX", "Sent", "Archive/2024", "Entwürfe", "Lists/python"}
    subscribed = {info.name: info.subscribed for info in store.mailboxes()}
    assert (subscribed["Entwürfe"], subscribed["Archive/2024"], subscribed["INBOX"]) == (True, False, True)
    assert contents(store, "Archive/2024")[1][2] == letter(2).replace(b"\n", b"\r\n")


def test_flags_dates_and_numbers_of_a_maildir(tmp_path: Path) -> None:
    box = made(tmp_path / "box", {"1500000000.a__FSa": letter(1), "1600000000.b__": letter(2), "c": letter(3)})
    (box / "dovecot-keywords").write_text("0 $Label1\n")
    (box / "dovecot-uidlist").write_text("3 V1234567 N50 G0\n9 Pxyz :1500000000.a\n12 :1600000000.b\n")
    os.utime(box / "cur/1500000000.a:2,FSa", (1_500_000_007, 1_500_000_007))
    os.utime(box / "cur/c", (1_400_000_000, 1_400_000_000))  # and b is a copy that has its time from today
    store = account(tmp_path / "store")
    assert brought(MaildirSource(box), store)["INBOX"].keeps_uids
    found = contents(store, "INBOX")
    assert {uid: (set(flags), date) for uid, (flags, date, _) in found.items()} == {
        9: ({"\\Flagged", "\\Seen", "$Label1"}, 1_500_000_007),
        12: (set(), 1_600_000_000),
        13: (set(), 1_400_000_000),
    }
    info = store.mailbox("INBOX")
    assert (info.uidvalidity, info.uidnext) == (1_234_567, 50)
    assert next(iter(store.entry_meta(info.id, [9], ["pop3_uidl"]))) == ("xyz",)


def test_another_run_brings_what_is_new_and_a_message_that_got_a_flag_is_not(tmp_path: Path) -> None:
    box = made(tmp_path / "box", {"1.a__": letter(1)})
    store = account(tmp_path / "store")
    brought(MaildirSource(box), store)
    (box / "cur/1.a:2,").rename(box / "cur/1.a:2,S")
    made(box, {"2.b__": letter(1)})
    second = brought(MaildirSource(box), store)["INBOX"]
    assert (second.there, second.known, second.brought) == (2, 1, 1)


def test_where_other_mail_has_been_the_numbers_are_new(tmp_path: Path) -> None:
    box = made(tmp_path / "box", {"1.a__": letter(1)})
    (box / "dovecot-uidlist").write_text("3 V1234567 N5 G0\n4 :1.a\n")
    store = account(tmp_path / "store")
    store.apply([append(store.mailbox("INBOX").id, b"A: 1\r\n\r\n")])
    assert not brought(MaildirSource(box), store)["INBOX"].keeps_uids
    assert set(contents(store, "INBOX")) == {1, 2}


@pytest.mark.parametrize(("uidvalidity", "keeps"), [(1_234_567, True), (2**32 - 1, False)])
def test_a_dry_run_foretells_the_numbers(tmp_path: Path, uidvalidity: int, keeps: bool) -> None:
    box = made(tmp_path / "box", {"1.a__": letter(1)})
    (box / "dovecot-uidlist").write_text(f"3 V{uidvalidity} N5 G0\n4 :1.a\n")
    source, store = MaildirSource(box), account(tmp_path / "store")
    assert foretold(source, store).keeps_uids is keeps
    assert brought(source, store)["INBOX"].keeps_uids is keeps
    assert foretold(source, store).keeps_uids is keeps, "nothing is new"
    store.apply([append(store.mailbox("INBOX").id, b"A: 1\r\n\r\n")])  # gets a UID that the source gives another message
    made(box, {"2.b__": letter(2)})
    (box / "dovecot-uidlist").write_text(f"3 V{uidvalidity} N6 G0\n4 :1.a\n5 :2.b\n")
    assert not foretold(source, store).keeps_uids
    assert not brought(source, store)["INBOX"].keeps_uids


@pytest.mark.parametrize("numbers", ["3 V1234567 N4294967295 G0\n4 :1.a\n", "3 V1234567 N5 G0\n4294967290 :1.a\n"])
def test_numbers_that_leave_none_for_mail_to_come_are_given_anew(tmp_path: Path, numbers: str) -> None:
    box = made(tmp_path / "box", {"1.a__": letter(1)})
    (box / "dovecot-uidlist").write_text(numbers)
    store = account(tmp_path / "store")
    would_be = foretold(MaildirSource(box), store)
    found = brought(MaildirSource(box), store)["INBOX"]
    assert found.brought == 1 and not found.keeps_uids and "given anew" in found.problems[0]
    assert would_be == found
    store.apply([append(store.mailbox("INBOX").id, b"A: 1\r\n\r\n")])
    assert set(contents(store, "INBOX")) == {1, 2}
    with pytest.raises(NotPermitted):
        store.apply([Renumber(store.mailbox("Sent").id, 77, 2**32 - 1)])


def test_what_cannot_be_read_is_told_and_the_rest_comes(tmp_path: Path) -> None:
    box = made(tmp_path / "box", {"1.a__": letter(1), "2.b__": b"", "3.c__": letter(3)})
    store = account(tmp_path / "store")
    found = brought(MaildirSource(box), store)["INBOX"]
    assert (found.brought, found.missing, len(found.problems)) == (2, 1, 1)
    assert "2.b" in found.problems[0] and "empty" in found.problems[0]


def test_mbox_files_are_folders(tmp_path: Path) -> None:
    postmark = b"From a@example.net Mon Nov  2 10:00:00 2026\n"
    first = postmark + b"X-IMAPbase: 1234567 9\nX-UID: 3\nStatus: RO\n" + letter(1) + b"\n"
    second = postmark + b"X-UID: 9\nX-Status: F\nX-Keywords: $Label1\n" + letter(2) + b">From x\n\n"
    (tmp_path / "mail/Lists.sbd").mkdir(parents=True)
    (tmp_path / "mail/Inbox").write_bytes(first + second)
    (tmp_path / "mail/Inbox.msf").write_bytes(b"no mail")
    (tmp_path / "mail/Lists.sbd/python").write_bytes(postmark + letter(3))
    store = account(tmp_path / "store")
    source = MboxSource(tmp_path / "mail")
    assert set(brought(source, store)) == {"INBOX", "Lists/python"}
    at = int(datetime(2026, 11, 2, 10, tzinfo=UTC).timestamp())
    assert contents(store, "INBOX") == {
        3: (frozenset({"\\Seen"}), at, b"Subject: 1\r\n\r\ntext\r\n"),
        9: (frozenset({"\\Flagged", "$Label1"}), at, b"Subject: 2\r\n\r\ntext\r\nFrom x\r\n"),
    }
    assert (store.mailbox("INBOX").uidvalidity, store.mailbox("INBOX").uidnext) == (1_234_567, 10)
    with (tmp_path / "mail/Inbox").open("ab") as box:
        box.write(postmark + letter(1) + b"\n")  # the same once more is another message
    again = brought(source, store)["INBOX"]
    assert (again.known, again.brought) == (2, 1)


def test_thunderbird_s_folders_come_with_flags_and_tags_and_without_what_it_deleted(tmp_path: Path) -> None:
    keys = b"X-Mozilla-Keys: %-80s\n"
    from_pop3 = b"From - Mon Nov 02 10:00:00 2026\nX-Account-Key: account1\nX-UIDL: 1\nX-Mozilla-Status: %s\nX-Mozilla-Status2: 00000000\n"
    (tmp_path / "Mail/Archives.sbd").mkdir(parents=True)
    (tmp_path / "Mail/Inbox").write_bytes(
        (from_pop3 % b"1003" + keys % b"$label1 project" + letter(1) + b"\n")
        + (from_pop3 % b"0009" + keys % b"" + letter(2) + b"\n")
        + (from_pop3 % b"0000" + keys % b"" + letter(3) + b"\n")
    )
    newer = b"From \r\nX-Mozilla-Status: 0005\r\nX-Mozilla-Status2: 00000000\r\nDate: Mon, 2 Nov 2026 11:00:00 +0100\r\n"
    (tmp_path / "Mail/Archives.sbd/2026").write_bytes((newer + letter(4).replace(b"\n", b"\r\n") + b"\r\n") * 2)
    for name in ("Inbox.msf", "Archives.msf", "msgFilterRules.dat", "popstate.dat", "filterlog.html", "Archives.sbd/2026.msf"):
        (tmp_path / "Mail" / name).write_bytes(b"no mail")
    (tmp_path / "Mail/Archives").touch()
    store = account(tmp_path / "store")
    found = brought(MboxSource(tmp_path / "Mail"), store)
    assert {name: (one.there, one.brought, one.expunged) for name, one in found.items()} == {
        "INBOX": (2, 2, 1), "Archives": (0, 0, 0), "Archives/2026": (2, 2, 0),
    }  # fmt: skip
    seen = {octets.split(b"Subject: ")[1][:1]: (flags, date) for flags, date, octets in contents(store, "INBOX").values()}
    at = int(datetime(2026, 11, 2, 10, tzinfo=UTC).timestamp())
    first = frozenset({"\\Seen", "\\Answered", "$Forwarded", "$label1", "project"})
    assert seen == {b"1": (first, at), b"3": (frozenset(), at)}
    assert [one[:2] for one in contents(store, "Archives/2026").values()] == [(frozenset({"\\Seen", "\\Flagged"}), at)] * 2


def test_what_is_no_mbox_file_or_maildir_is_said_and_the_others_come(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/notes").write_text("no mail\n")
    (tmp_path / "mail/zoo").write_bytes(b"From a@example.net Mon Nov  2 10:00:00 2026\n" + letter(1))
    store = account(tmp_path / "store")
    found = brought(MboxSource(tmp_path / "mail"), store)
    assert (found["zoo"].brought, found["zoo"].problems, len(found["notes"].problems)) == (1, [], 1)
    assert "mail/notes is no mbox file" in found["notes"].problems[0]
    assert (found["notes"].is_unreadable, found["zoo"].is_unreadable) == (True, False)
    assert not any(info.name == "notes" for info in store.mailboxes())
    with pytest.raises(SourceError, match="Maildir"):
        MaildirSource(tmp_path)


class Server:
    """A source of one message in each folder."""

    def __init__(self, *folders: Folder, flags: tuple[str, ...] = ()) -> None:
        self._folders = folders
        self._flags = flags

    def folders(self) -> list[Folder]:
        return [*self._folders]

    def listing(self, folder: Folder) -> Listing:
        return Listing(7, 2, (Ref(f"import:{folder.place}", "", 1, 20),))

    def fetch(self, folder: Folder, refs: object) -> list[Letter]:
        return [Letter(Ref(f"import:{folder.place}", "", 1, 20), b"A: 1\r\n\r\n", self._flags, datetime(2026, 1, 1, tzinfo=UTC))]

    def close(self) -> None:
        return


def test_folders_keep_their_names_and_uses(tmp_path: Path) -> None:
    store = account(tmp_path)
    folders = (Folder("Sent", "Sent", subscribed=False), Folder("S", "Sent Items", "\\Sent"), Folder("D", "Deleted", "\\Trash"))
    brought(Server(*folders), store)
    uses = {info.name: info.special_use for info in store.mailboxes()}
    assert uses["Deleted"] == "\\Trash" and "Trash" not in uses, "ours, which was empty, has made way"
    assert (uses["Sent"], uses["Sent Items"]) == ("\\Sent", ""), "theirs of this name is wanted, too"


def test_a_use_whose_mailbox_here_has_mail_stays(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([append(store.mailbox("Trash").id, b"A: 1\r\n\r\n")])
    found = brought(Server(Folder("D", "Deleted", "\\Trash")), store)
    assert found["Deleted"].notes == ["Trash, which is in use here, stays \\Trash; Deleted is for nothing special"]
    uses = {info.name: info.special_use for info in store.mailboxes()}
    assert (uses["Deleted"], uses["Trash"]) == ("", "\\Trash")


def test_mail_that_comes_while_ours_is_to_make_way_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = account(tmp_path)
    apply = store.apply

    def delivered_meanwhile(ops: Sequence[Op]) -> tuple[OpResult, ...]:
        if any(isinstance(op, DeleteMailbox) for op in ops):
            apply([append(store.mailbox("Junk").id, b"A: 1\r\n\r\n")])
        return apply(ops)

    monkeypatch.setattr(store, "apply", delivered_meanwhile)
    found = brought(Server(Folder("S", "Spam", "\\Junk")), store)
    assert found["Spam"].notes == ["Spam is not \\Junk: The mailbox Junk has been used"] and not found["Spam"].special_use
    assert store.mailbox("Junk").exists == 1 and store.mailbox("Junk").special_use == "\\Junk"


def test_a_use_whose_mailbox_here_has_mailboxes_below_it_stays(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([CreateMailbox("Trash/mine")])
    found = brought(Server(Folder("D", "Deleted", "\\Trash")), store)
    assert found["Deleted"].notes == ["Trash, which has mailboxes below it, stays \\Trash; Deleted is for nothing special"]
    uses = {info.name: info.special_use for info in store.mailboxes()}
    assert (uses["Deleted"], uses["Trash"], uses["Trash/mine"]) == ("", "\\Trash", "")


def test_a_mailbox_that_is_a_level_of_what_comes_does_not_make_way(tmp_path: Path) -> None:
    store = account(tmp_path)
    found = brought(Server(Folder("a", "Archives"), Folder("b", "Archive/2023")), store)
    assert found["Archives"].notes == ["Archive, which comes, too, stays \\Archive; Archives is for nothing special"]
    uses = {info.name: info.special_use for info in store.mailboxes()}
    assert (uses["Archive"], uses["Archives"], uses["Archive/2023"]) == ("\\Archive", "", "")


@pytest.mark.parametrize(
    "names", [("One", "Two"), ("Sent", "Two"), ("Sent/One", "Two"), ("One", "One/Sent"), ("One", "Sent Items")]
)
def test_a_dry_run_foretells_what_becomes_of_two_folders_for_sent_mail(tmp_path: Path, names: tuple[str, str]) -> None:
    store = account(tmp_path)
    source = Server(*(Folder(name, name, "\\Sent") for name in names), Folder("x", "Deleted"))
    would_be = [(one.name, one.special_use, one.notes) for one in Move(source, store, lambda *_: None, only_look=True).run()]
    found = [(one.name, one.special_use, one.notes) for one in Move(source, store, lambda *_: None).run()]
    assert would_be == found
    assert [info.special_use for info in store.mailboxes()].count("\\Sent") == 1


@pytest.mark.parametrize("looks_first", [False, True])
def test_what_folders_are_for_is_told_by_their_names_where_nothing_else_tells(tmp_path: Path, looks_first: bool) -> None:
    """Names of Exchange and Apple Mail; no special uses are in a Maildir."""
    box = made(tmp_path / "box", {})
    for name in (".Sent Items", ".Deleted Messages", ".Junk E-mail", ".Drafts", ".Archives.2024"):
        made(box, {"1.a__": letter(1)}, name)
    store = account(tmp_path / "store")
    if looks_first:
        would_be = {one.name: one for one in Move(MaildirSource(box), store, lambda *_: None, only_look=True).run()}
    found = brought(MaildirSource(box), store)
    uses = {info.name: info.special_use for info in store.mailboxes()}
    assert uses == {
        "INBOX": "", "Sent Items": "\\Sent", "Deleted Messages": "\\Trash", "Junk E-mail": "\\Junk", "Drafts": "\\Drafts",
        "Archive": "\\Archive", "Archives": "", "Archives/2024": "",
    }  # fmt: skip
    assert found["Sent Items"].notes == ["Sent Items is \\Sent; Sent, which never had a message, makes way for it"]
    assert (found["Drafts"].notes, found["Archives/2024"].special_use) == ([], "")
    if looks_first:
        assert {name: one.notes for name, one in would_be.items()} == {name: one.notes for name, one in found.items()}
    again = brought(MaildirSource(box), store)
    assert not any(one.notes or one.special_use for one in again.values()), "nothing becomes otherwise"


def test_a_special_use_counts_more_than_a_name_and_a_name_of_ours_more_than_others(tmp_path: Path) -> None:
    store = account(tmp_path)
    folders = (Folder("a", "Sent Items"), Folder("b", "Mine", "\\Sent"), Folder("c", "Spam"), Folder("d", "Junk"))
    found = brought(Server(*folders), store)
    uses = {info.name: info.special_use for info in store.mailboxes()}
    assert (uses["Mine"], uses["Sent Items"], uses["Spam"], uses["Junk"]) == ("\\Sent", "", "", "\\Junk")
    assert "Sent" not in uses and found["Mine"].notes


def test_a_name_that_cannot_be_is_mended_and_told(tmp_path: Path) -> None:
    found = brought(Server(Folder("x", "100% mine*\x01/")), account(tmp_path))
    assert len(found["100_ mine__"].problems) == 1


def test_keywords_that_cannot_be_stored_are_told_and_the_message_comes(tmp_path: Path) -> None:
    store = account(tmp_path)
    found = brought(Server(Folder("x", "x"), flags=("\\Seen", "\\Recent", "$Good", "b(d")), store)["x"]
    assert (found.brought, found.keeps_uids, len(found.problems)) == (1, True, 1)
    assert "keywords $Good b(d were" in found.problems[0]
    assert contents(store, "x")[1][0] == {"\\Seen"}


def test_a_message_whose_uid_is_taken_and_whose_keywords_cannot_be_comes_and_so_do_the_folders_behind_it(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([CreateMailbox("x")])
    store.apply([Renumber(store.mailbox("x").id, 7)])
    store.apply([append(store.mailbox("x").id, b"A: other mail\r\n\r\n")])
    found = brought(Server(Folder("x", "x"), Folder("y", "y"), flags=("\\Seen", "b(d")), store)
    assert (found["x"].brought, found["x"].keeps_uids, found["y"].brought) == (1, False, 1)
    assert len(found["x"].problems) == 1 and "keywords b(d were" in found["x"].problems[0]
    assert contents(store, "x")[2][0] == {"\\Seen"} and store.mailbox("x").uidvalidity != 7


def test_folders_can_be_left_out(tmp_path: Path) -> None:
    assert set(brought(Server(Folder("a", "A"), Folder("b", "B")), account(tmp_path), "a")) == {"B"}
