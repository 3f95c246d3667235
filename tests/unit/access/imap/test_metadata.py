"""GETMETADATA and SETMETADATA (RFC 5464): names, depth and size, who reads and changes what, limits."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailward.access.imap.reach import MAX_ASKED
from mailward.formats.address import parse_mailbox
from mailward.model.ids import AccountId, MailboxId
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.metadata import MAX_ENTRIES, Wanted, read_changes, read_wanted
from mailward.store.account import EmbeddedAccount
from mailward.store.annotations import MAX_PRIVATE, MAX_SHARED_OF_MAILBOX
from mailward.store.ops import MAX_ANNOTATION_OCTETS, SERVER, CreateMailbox, DeleteMailbox, SetAnnotations, SetRights
from mailward.store.refusals import NoSuchMailbox
from support.imap import Client, Office
from support.sharing import DOMAIN, Town

BOX = '"Other Users/alice@example.test/Work"'


# --- how they are written (sections 3.2, 4.2, 5) ---


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b' "" /shared/comment', Wanted(frozenset({"/shared/comment"}))),
        (b' INBOX (/shared/comment "/Private/COMMENT")', Wanted(frozenset({"/shared/comment", "/private/comment"}))),
        (b' (MAXSIZE 1024 DEPTH infinity) "INBOX" /private', Wanted(frozenset({"/private"}), None, 1024)),
        (b" INBOX (DEPTH 1) (/private/filters/values)", Wanted(frozenset({"/private/filters/values"}), 1)),
        (b" (depth 0) INBOX /shared/vendor/kolab", Wanted(frozenset({"/shared/vendor/kolab"}))),
    ],
)
def test_options_stand_before_the_mailbox_or_behind_it(text: bytes, wanted: Wanted) -> None:
    assert read_wanted(Arguments(text))[1] == wanted


@pytest.mark.parametrize(
    "entries",
    [
        b"(/private)", b"/private/comment x", b"()", b"(/private/comment)", b"(/private/comment x)", b"(/pri*vate/comment NIL)",
        b"(/private/a%b NIL)", b"(/private//a NIL)", b"(/private/a/ NIL)", b"(private/comment NIL)", b"(/other/comment NIL)",
        b"(/private NIL)", b"(/private/vendor NIL)", b"(/private/vendor/token NIL)", b'("/private/\xc3\xa4" NIL)',
        b"(/private/" + b"a" * 300 + b" NIL)", b"(/private/comment NIL", b"(" + b" ".join([b"/private/a NIL"] * 201) + b")",
    ],
)  # fmt: skip
def test_what_is_no_entry_with_a_value_is_bad(entries: bytes) -> None:
    with pytest.raises(BadSyntax):
        read_changes(Arguments(b" INBOX " + entries))


@pytest.mark.parametrize(
    "text", [b" INBOX", b" INBOX ()", b" INBOX (MAXSIZE 10)", b" INBOX (DEPTH 2) /private/a", b" INBOX (DEPTH -1) /private/a",
             b" (MAXSIZE x) INBOX /private/a", b" INBOX (/private/a) (DEPTH 1)", b" (/private/a)"],
)  # fmt: skip
def test_getmetadata_without_entries_or_with_other_options_is_bad(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        read_wanted(Arguments(text))


@pytest.mark.parametrize(
    ("depth", "found"),
    [(0, ["/private/a"]), (1, ["/private/a", "/private/a/b"]), (None, ["/private/a", "/private/a/b", "/private/a/b/c"])],
)
def test_depth_says_how_far_below(depth: int | None, found: list[str]) -> None:
    names = ["/private/a", "/private/a/b", "/private/a/b/c", "/private/ab", "/shared/a"]
    assert [name for name in names if Wanted(frozenset({"/private/a"}), depth).includes(name)] == found


def test_t_dos_08_what_an_entry_costs_does_not_grow_with_the_names() -> None:
    compared: list[object] = []

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(other)
            return str.__eq__(self, other)

    wanted = Wanted(frozenset(Name(f"/private/a{number}") for number in range(MAX_ENTRIES)), None)
    compared.clear()
    assert wanted.includes("/private/a7/b/c") and not wanted.includes("/private/b/c")
    assert len(compared) <= 5


# --- one's own ---


@asynccontextmanager
async def own(folder: Path) -> AsyncIterator[Client]:
    client = await Client(Office(folder)).login()
    yield client
    await client.close()


async def test_t_dos_08_entries_are_looked_through_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set[int]()
    includes = Wanted.includes

    def noted(wanted: Wanted, name: str) -> bool:
        threads.add(threading.get_ident())
        return includes(wanted, name)

    monkeypatch.setattr(Wanted, "includes", noted)
    async with own(tmp_path) as client:
        await client.ok('SETMETADATA INBOX (/private/comment "one")')
        assert await client.ok("GETMETADATA INBOX /private/comment") == [b'* METADATA "INBOX" (/private/comment "one")']
    assert threads and threading.get_ident() not in threads


async def test_values_are_set_told_replaced_and_removed(tmp_path: Path) -> None:
    async with own(tmp_path) as client:
        await client.ok(
            'SETMETADATA INBOX (/private/comment "to me" /Shared/Comment {10+}\r\ntwo\r\nlines /private/b ~{3+}\r\n\0\1\2)'
        )
        found = await client.ok("GETMETADATA inbox (/shared/comment /private/comment /private/b /private/none)")
        assert found == [
            b'* METADATA "INBOX" (/private/b ~{3}\r\n\0\1\2 /private/comment "to me" /shared/comment {10}\r\ntwo\r\nlines)'
        ]
        await client.ok('SETMETADATA INBOX (/private/comment "" /private/b NIL "/private/two words" "x")')
        assert await client.ok('GETMETADATA INBOX "/private/two words"') == [b'* METADATA "INBOX" ("/private/two words" "x")']
        await client.ok('SETMETADATA INBOX ("/private/two words" NIL)')
        assert await client.ok("GETMETADATA (DEPTH 1) INBOX /private") == [b'* METADATA "INBOX" (/private/comment "")']
        assert await client.ok("GETMETADATA Trash (/private/comment /shared/comment)") == []


async def test_long_values_are_left_out_and_the_longest_is_told(tmp_path: Path) -> None:
    async with own(tmp_path) as client:
        await client.ok('SETMETADATA INBOX (/private/a "12345" /private/b "1234567" /private/c "123")')
        reply = await client.command("GETMETADATA INBOX (MAXSIZE 3 DEPTH infinity) /private")
        assert reply[:-1] == [b'* METADATA "INBOX" (/private/c "123")']
        assert reply[-1].startswith(b"OK [METADATA LONGENTRIES 7] ")


async def test_the_server_has_annotations_of_the_account_and_none_shared(tmp_path: Path) -> None:
    async with own(tmp_path) as client:
        await client.ok('SETMETADATA "" (/private/vendor/x/seen "yes")')
        assert await client.ok('GETMETADATA "" /private/vendor/x/seen') == [b'* METADATA "" (/private/vendor/x/seen "yes")']
        assert (await client.command('SETMETADATA "" (/shared/comment "no")'))[-1].startswith(b"NO [NOPERM] ")
        assert (await client.command("GETMETADATA Nowhere /private/a"))[-1].startswith(b"NO [NONEXISTENT] ")
        assert (await client.command("SETMETADATA Nowhere (/private/a NIL)"))[-1].startswith(b"NO [NONEXISTENT] ")


async def test_annotations_go_with_their_mailbox_and_end_with_it(tmp_path: Path) -> None:
    """A renamed INBOX leaves a mailbox of the same annotations (section 4.1)."""
    async with own(tmp_path) as client:
        await client.ok('SETMETADATA Archive (/private/a "1")')
        await client.ok("RENAME Archive Past/Archive")
        assert await client.ok("GETMETADATA Past/Archive /private/a") == [b'* METADATA "Past/Archive" (/private/a "1")']
        await client.ok("DELETE Past/Archive")
        await client.ok("CREATE Past/Archive")
        assert await client.ok("GETMETADATA Past/Archive /private/a") == []
        await client.ok('SETMETADATA INBOX (/private/a "2")')
        await client.ok("RENAME INBOX Old")
        assert await client.ok("GETMETADATA Old /private/a") == [b'* METADATA "Old" (/private/a "2")']
        assert await client.ok("GETMETADATA INBOX /private/a") == [b'* METADATA "INBOX" (/private/a "2")']


async def test_the_special_use_is_an_entry_by_which_another_mailbox_gets_it(tmp_path: Path) -> None:
    """RFC 6154 section 4."""
    async with own(tmp_path) as client:
        await client.ok("CREATE Sent-2")
        assert await client.ok("GETMETADATA Sent /private/specialuse") == [b'* METADATA "Sent" (/private/specialuse "\\\\Sent")']
        assert (await client.command('SETMETADATA Sent-2 (/private/specialuse "\\\\Sent")'))[-1].startswith(b"NO [USEATTR] ")
        assert (await client.command('SETMETADATA Sent-2 (/private/specialuse "\\\\Flagged")'))[-1].startswith(b"NO [USEATTR] ")
        assert (await client.command('SETMETADATA INBOX (/private/specialuse "\\\\Sent")'))[-1].startswith(b"NO [USEATTR] ")
        await client.ok("SETMETADATA Sent (/private/specialuse NIL)")
        assert await client.ok("GETMETADATA Sent /private/specialuse") == []
        await client.ok('SETMETADATA Sent-2 (/private/specialuse "\\\\sent" /private/a "1")')
        assert await client.ok('LIST "" "Sent*"') == [
            b'* LIST (\\HasNoChildren) "/" "Sent"',
            b'* LIST (\\HasNoChildren \\Sent) "/" "Sent-2"',
        ]


async def test_t_dos_16_annotations_have_limits_and_refusals_change_nothing(tmp_path: Path) -> None:
    async with own(tmp_path) as client:
        store = client.session.own
        long = "x" * (MAX_ANNOTATION_OCTETS + 1)
        reply = await client.command(f'SETMETADATA INBOX (/private/a "1" /private/b {{{len(long)}+}}\r\n{long})')
        assert reply[-1].startswith(b"NO [METADATA MAXSIZE %d] " % MAX_ANNOTATION_OCTETS)
        assert await client.ok("GETMETADATA INBOX /private/a") == []
        store.apply([SetAnnotations(SERVER, tuple((f"/private/{number}", b"") for number in range(MAX_PRIVATE)))])
        assert (await client.command('SETMETADATA INBOX (/private/a "1")'))[-1].startswith(b"NO [METADATA TOOMANY] ")
        await client.ok('SETMETADATA "" (/private/7 NIL)')
        await client.ok('SETMETADATA Archive (/private/a "1")')
        assert (await client.command('SETMETADATA INBOX (/private/a "1")'))[-1].startswith(b"NO [METADATA TOOMANY] ")
        await client.ok("DELETE Archive")
        await client.ok('SETMETADATA INBOX (/private/a "1")')
        store.apply([SetAnnotations(SERVER, tuple((f"/private/{number}", None) for number in range(MAX_PRIVATE)))])
        most = tuple((f"/private/{number}", b"x" * MAX_ANNOTATION_OCTETS) for number in range(31))
        store.apply([SetAnnotations(SERVER, most)])
        reply = await client.command(f"SETMETADATA INBOX (/private/b {{{len(long) - 1}+}}\r\n{long[1:]})")
        assert reply[-1].startswith(b"NO [METADATA TOOMANY] ")


# --- what LIST returns (RFC 9590) ---


async def test_list_returns_the_entries_of_each_mailbox_and_nil_for_what_is_not_there(tmp_path: Path) -> None:
    """As in its section 4: a level that is no mailbox has none."""
    async with own(tmp_path) as client:
        await client.ok("CREATE Clients/One")
        await client.ok("DELETE Clients")
        await client.ok('SETMETADATA Clients/One (/shared/vendor/cmu/color "#b71c1c" /private/b ~{3+}\r\n\0\1\2)')
        entries = '("/shared/vendor/cmu/color" /PRIVATE/B /private/b)'
        assert await client.ok(f'LIST "" (Archive Clients*) RETURN (METADATA {entries} SUBSCRIBED)') == [
            b'* LIST (\\HasNoChildren \\Archive \\Subscribed) "/" "Archive"',
            b'* METADATA "Archive" (/shared/vendor/cmu/color NIL /private/b NIL)',
            b'* LIST (\\HasChildren \\Noselect) "/" "Clients"',
            b'* LIST (\\HasNoChildren) "/" "Clients/One"',
            b'* METADATA "Clients/One" (/shared/vendor/cmu/color "#b71c1c" /private/b ~{3}\r\n\0\1\2)',
        ]
        *_, use = await client.ok('LIST "" Sent RETURN (METADATA (/private/specialuse))')
        assert use == b'* METADATA "Sent" (/private/specialuse "\\\\Sent")'


@pytest.mark.parametrize(
    "option",
    ["METADATA", "METADATA ()", "METADATA /private/a", "METADATA (/private)", "METADATA (/private/*)",
     "METADATA (DEPTH 1) (/private/a)", f"METADATA ({' '.join(['/private/a'] * (MAX_ENTRIES + 1))})"],
)  # fmt: skip
async def test_list_wants_entries_by_their_whole_names(tmp_path: Path, option: str) -> None:
    async with own(tmp_path) as client:
        assert (await client.command(f'LIST "" * RETURN ({option})'))[-1].startswith(b"BAD ")


async def test_t_imap_14_list_tells_entries_to_who_may_ask_for_them(tmp_path: Path) -> None:
    async with alice_and_bob(tmp_path) as (town, alice, bob):
        await alice.ok('SETMETADATA Work (/shared/comment "ours" /private/color "red")')
        await bob.ok(f'SETMETADATA {BOX} (/private/color "blue")')
        command = 'LIST "" "Other Users/*" RETURN (METADATA (/shared/comment /private/color))'
        told = f'* METADATA {BOX} (/shared/comment "ours" /private/color "blue")'.encode()
        assert [line for line in await bob.ok(command) if b"METADATA" in line] == [told]
        grant(town, "l")
        listed = await bob.ok(command)
        assert any(BOX.encode() in line for line in listed) and not any(b"METADATA" in line for line in listed)


# --- what others share (section 3.3) ---


def grant(town: Town, rights: str) -> None:
    store = town.store("alice")
    try:
        made = store.mailbox("Work").id
    except NoSuchMailbox:
        made = store.apply([CreateMailbox("Work")])[0].mailbox
    store.apply([SetRights(made, f"account:{town.ids['bob']}", "replace", rights)])


@asynccontextmanager
async def alice_and_bob(folder: Path) -> AsyncIterator[tuple[Town, Client, Client]]:
    town = Town(folder)
    grant(town, "lr")
    alice, bob = await town.log_in("alice"), await town.log_in("bob")
    yield town, alice, bob
    await alice.close()
    await bob.close()
    town.directory.close()


async def test_t_imap_14_private_values_are_of_each_and_shared_ones_want_w_to_be_changed(tmp_path: Path) -> None:
    async with alice_and_bob(tmp_path) as (town, alice, bob):
        await alice.ok('SETMETADATA Work (/private/color "red" /shared/comment "ours")')
        await bob.ok(f'SETMETADATA {BOX} (/private/color "blue")')
        assert await alice.ok("GETMETADATA Work (/private/color)") == [b'* METADATA "Work" (/private/color "red")']
        both = f'* METADATA {BOX} (/private/color "blue" /shared/comment "ours")'.encode()
        assert await bob.ok(f"GETMETADATA (DEPTH 1) {BOX} (/private /shared)") == [both]
        refused = await bob.command(f'SETMETADATA {BOX} (/shared/comment "mine" /private/color "grey")')
        assert refused[-1].startswith(b"NO [NOPERM] ")
        grant(town, "lrw")
        await bob.ok(f'SETMETADATA {BOX} (/shared/comment "mine" /private/color "grey")')
        assert await alice.ok("GETMETADATA (DEPTH 1) Work (/private /shared)") == [
            b'* METADATA "Work" (/private/color "red" /shared/comment "mine")'
        ]
        reply = await bob.command(f'SETMETADATA {BOX} (/private/specialuse "\\\\Sent")')
        assert reply[-1].startswith(b"NO [USEATTR] ")


async def test_t_imap_14_who_may_not_open_a_mailbox_learns_nothing_of_it(tmp_path: Path) -> None:
    async with alice_and_bob(tmp_path) as (town, alice, bob):
        await alice.ok('SETMETADATA Work (/shared/comment "ours")')
        grant(town, "l")
        assert (await bob.command(f"GETMETADATA {BOX} /shared/comment"))[-1].startswith(b"NO [NOPERM] ")
        assert (await bob.command(f"SETMETADATA {BOX} (/private/a NIL)"))[-1].startswith(b"NO [NOPERM] ")
        for rights in ("r", ""):
            grant(town, rights)
            assert (await bob.command(f"GETMETADATA {BOX} /shared/comment"))[-1].startswith(b"NO [NONEXISTENT] ")


async def test_what_was_noted_about_a_mailbox_is_not_of_the_next_one_of_its_name(tmp_path: Path) -> None:
    async with alice_and_bob(tmp_path) as (town, _, bob):
        await bob.ok(f'SETMETADATA {BOX} (/private/color "blue")')
        town.store("alice").apply([DeleteMailbox("Work")])
        grant(town, "lr")
        assert await bob.ok(f"GETMETADATA {BOX} /private/color") == []


async def test_t_dos_16_who_may_note_for_all_leaves_the_owner_room_in_other_mailboxes_and_for_himself(tmp_path: Path) -> None:
    async with alice_and_bob(tmp_path) as (town, alice, bob):
        grant(town, "lrw")
        store = town.store("alice")
        most = tuple((f"/shared/{number}", b"") for number in range(MAX_SHARED_OF_MAILBOX))
        store.apply([SetAnnotations(store.mailbox("Work").id, most)])
        assert (await bob.command(f'SETMETADATA {BOX} (/shared/a "1")'))[-1].startswith(b"NO [METADATA TOOMANY] ")
        await bob.ok(f'SETMETADATA {BOX} (/private/a "1" /shared/7 NIL)')
        await bob.ok(f'SETMETADATA {BOX} (/shared/a "1")')
        await alice.ok('SETMETADATA Work (/private/a "1")')
        await alice.ok('SETMETADATA INBOX (/shared/a "1" /private/a "1")')


async def test_t_dos_08_whoever_notes_too_much_has_few_stores_of_others_opened_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice_and_bob(tmp_path) as (town, _, bob):
        owners = [town.directory.add_account(parse_mailbox(f"owner{n}@{DOMAIN}")) for n in range(3 * MAX_ASKED)]
        for owner in owners:
            inbox = town.office.store.open(owner).mailbox("INBOX").id
            bob.session.own.apply([SetAnnotations(inbox, (("/private/a", b"1"),), owner)])
        bob.session.own.apply([SetAnnotations(MailboxId(99), (("/private/a", b"1"),), owners[7])])
        most = tuple((f"/private/{number}", b"") for number in range(MAX_PRIVATE - len(owners) - 1))
        bob.session.own.apply([SetAnnotations(SERVER, most)])
        opened = list[AccountId]()
        opens = town.office.store.open

        def open(account: AccountId) -> EmbeddedAccount:
            opened.append(account)
            return opens(account)

        monkeypatch.setattr(town.office.store, "open", open)
        for _ in range(1000):
            opened.clear()
            (*_, reply) = await bob.command('SETMETADATA "" (/private/one-more "1")')
            assert opened and len(opened) <= MAX_ASKED
            if reply.startswith(b"OK"):
                break
        assert reply.startswith(b"OK")
        assert bob.session.own.annotations(MailboxId(99), owners[7]) == {}


@pytest.mark.parametrize("gone", ["mailbox", "account"])
async def test_t_dos_16_what_was_noted_about_mailboxes_of_others_that_are_gone_makes_room(tmp_path: Path, gone: str) -> None:
    async with alice_and_bob(tmp_path) as (town, alice, bob):
        await bob.ok(f'SETMETADATA {BOX} (/private/a "1")')
        store = town.store("bob")
        most = tuple((f"/private/{number}", b"") for number in range(MAX_PRIVATE - 1))
        store.apply([SetAnnotations(SERVER, most)])
        assert (await bob.command('SETMETADATA "" (/private/a "1")'))[-1].startswith(b"NO [METADATA TOOMANY] ")
        if gone == "mailbox":
            await alice.ok("DELETE Work")
        else:
            town.directory.remove_account(town.ids["alice"])
        await bob.ok('SETMETADATA "" (/private/a "1")')
        assert store.annotated() == frozenset()
