"""CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267): a client that keeps what it is told has what a new search or sort would find."""

import random
import re
import threading
from collections.abc import Collection

import pytest

from mailward.access.imap import contexts, working
from mailward.access.imap.searching import Search
from mailward.model.errors import StorageError
from support.imap import Client, Office, settle
from support.imap_view import numbers

UPDATE = re.compile(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)? (ADDTO|REMOVEFROM) \(0 ([\d:,]+)\)')
ORDER_UPDATE = re.compile(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)? (ADDTO|REMOVEFROM) \(([\d:, ]+)\)')
EXPUNGE = re.compile(rb"\* (\d+) EXPUNGE")


def is_update(reply: bytes) -> bool:
    return UPDATE.fullmatch(reply) is not None


class Kept:
    """What a client holds to be the results of one search. tag: of the search."""

    def __init__(self, tag: str, found: set[int], *, uid: bool) -> None:
        self.tag, self.found, self.uid = tag, found, uid

    def hear(self, replies: list[bytes]) -> None:
        """As RFC 5267 section 4.3 has it: each is added once, and there when it is removed."""
        for reply in replies:
            if (told := UPDATE.fullmatch(reply)) and told[1].decode() == self.tag:
                assert bool(told[2]) == self.uid
                some = {*numbers(told[4])}
                if told[3] == b"ADDTO":
                    assert self.found.isdisjoint(some)
                    self.found |= some
                else:
                    assert self.found >= some
                    self.found -= some
            elif (gone := EXPUNGE.fullmatch(reply)) and not self.uid:
                number = int(gone[1])
                assert number not in self.found, "REMOVEFROM comes before EXPUNGE"
                self.found = {each - (each > number) for each in self.found}


class KeptOrder:
    """What a client holds to be the order of one sort. tag: of the sort."""

    def __init__(self, tag: str, order: list[int], *, uid: bool) -> None:
        self.tag, self.order, self.uid = tag, order, uid

    def hear(self, replies: list[bytes]) -> None:
        """As RFC 5267 sections 4.3.3 and 4.3.4 have it: each set is put in or taken out at its position, one after another."""
        for reply in replies:
            if (told := ORDER_UPDATE.fullmatch(reply)) and told[1].decode() == self.tag:
                assert bool(told[2]) == self.uid
                words = told[4].split()
                for position, some in zip(map(int, words[::2]), map(numbers, words[1::2]), strict=True):
                    assert position >= 1
                    if told[3] == b"ADDTO":
                        self.order[position - 1 : position - 1] = some
                    else:
                        assert self.order[position - 1 : position - 1 + len(some)] == some
                        del self.order[position - 1 : position - 1 + len(some)]
            elif (gone := EXPUNGE.fullmatch(reply)) and not self.uid:
                number = int(gone[1])
                assert number not in self.order, "REMOVEFROM comes before EXPUNGE"
                self.order = [each - (each > number) for each in self.order]


async def sorted_by(client: Client, asked: str, *, uid: bool) -> list[int]:
    (found,) = await client.ok(f"{'UID ' if uid else ''}SORT {asked}")
    return [*map(int, found.split()[2:])]


async def kept_order(client: Client, asked: str, *, uid: bool) -> KeptOrder:
    order = await sorted_by(client, asked, uid=uid)
    replies = await client.ok(f"{'UID ' if uid else ''}SORT RETURN (UPDATE COUNT CONTEXT) {asked}")
    assert replies == [f'* ESEARCH (TAG "{client.tag}") {"UID " if uid else ""}COUNT {len(order)}'.encode()]
    return KeptOrder(client.tag, order, uid=uid)


async def searched(client: Client, keys: str, *, uid: bool) -> set[int]:
    replies = await client.ok(f"{'UID ' if uid else ''}SEARCH {keys}")
    (found,) = [reply for reply in replies if reply.startswith(b"* SEARCH")]
    assert len(replies) == 1, "there was news, which nobody heard"
    return {*map(int, found.split()[2:])}


async def kept(client: Client, keys: str, *, uid: bool) -> Kept:
    found = await searched(client, keys, uid=uid)
    replies = await client.ok(f"{'UID ' if uid else ''}SEARCH RETURN (UPDATE COUNT CONTEXT) {keys}")
    assert replies == [f'* ESEARCH (TAG "{client.tag}") {"UID " if uid else ""}COUNT {len(found)}'.encode()]
    return Kept(client.tag, found, uid=uid)


async def two(office: Office, messages: int = 8) -> tuple[Client, Client]:
    first, second = await Client(office).login(), await Client(office).login()
    for n in range(messages):
        await first.append("INBOX", b"Subject: s%d\r\n\r\nbody %d\r\n" % (5 * n % 8, n % 2))
    for client in (first, second):
        await client.ok("SELECT INBOX")
    return first, second


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_told_makes_what_a_search_would_find(office: Office, seed: int) -> None:
    """Whoever changes what: the client itself or another, with and without silence."""
    chance = random.Random(seed)
    first, second = await two(office)
    asked = ("SEEN", 'OR FLAGGED BODY "body 1"', "NOT (DELETED SEEN) SUBJECT s", "UID 2:9,12 UNSEEN LARGER 10")
    held = [(keys, await kept(first, keys, uid=chance.random() < 0.5)) for keys in asked]
    for _ in range(40):
        client = chance.choice((first, second))
        await second.ok("NOOP")
        number = chance.randint(1, max(len(await searched(client, "ALL", uid=False)), 1))
        flag, sign = chance.choice(("\\Seen", "\\Flagged", "\\Deleted")), chance.choice(("+", "-", ""))
        store = f"STORE {chance.randint(1, number)}:{number} {sign}FLAGS{chance.choice(('', '.SILENT'))} ({flag})".encode()
        append = b"APPEND INBOX (%b) {15+}\r\nSubject: s\r\n\r\nx" % flag.encode()
        replies = await client.command(chance.choice((store, store, store, append, b"EXPUNGE")))
        replies = [*(replies if client is first else []), *await first.ok("NOOP")]
        for keys, one in held:
            one.hear(replies)
            assert one.found == await searched(first, keys, uid=one.uid), keys


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_told_of_a_sort_makes_what_a_new_one_would_be(office: Office, seed: int) -> None:
    """CONTEXT=SORT: whoever changes what, adds some or expunges some, in an order of its own or with many equal ones."""
    chance = random.Random(seed)
    first, second = await two(office, 12)
    asked = ("(REVERSE SUBJECT) UTF-8 UNSEEN", "(SIZE REVERSE ARRIVAL) UTF-8 NOT DELETED", "(REVERSE ARRIVAL) UTF-8 ALL")
    held = [(each, await kept_order(first, each, uid=chance.random() < 0.5)) for each in asked]
    told = 0
    for _ in range(40):
        client = chance.choice((first, second))
        await second.ok("NOOP")
        last = max(len(await searched(client, "ALL", uid=False)), 1)
        flag, sign = chance.choice(("\\Seen", "\\Deleted")), chance.choice(("+", "-"))
        some = ",".join(str(chance.randint(1, last)) for _ in range(3))
        changes = [b"STORE %b %bFLAGS (%b)" % (some.encode(), sign.encode(), flag.encode())] * 3
        subject = b"Subject: s%d\r\n\r\nx" % chance.randint(0, 9)
        append = b"".join(b" {%d+}\r\n%b" % (len(octets), octets) for octets in (subject, subject + b"x"))
        replies = await client.command(chance.choice((*changes, b"APPEND INBOX" + append, b"EXPUNGE")))
        replies = [*(replies if client is first else []), *await first.ok("NOOP")]
        told += sum(ORDER_UPDATE.fullmatch(reply) is not None for reply in replies)
        for each, one in held:
            one.hear(replies)
            assert one.order == await sorted_by(first, each, uid=one.uid), each
    assert told > 20


async def test_places_of_a_sort_are_told_in_runs(office: Office) -> None:
    """RFC 5267 sections 4.3.3 and 4.3.4: positions are from 1 upwards, each as it is when the ones before it are done."""
    first, _ = await two(office, 6)  # by subject 1 6 3 5 2 4
    await first.ok("UID SORT RETURN (UPDATE) (SUBJECT) UTF-8 UNSEEN")
    told = f'* ESEARCH (TAG "{first.tag}") UID '
    assert f"{told}REMOVEFROM (5 2 2 6,3)".encode() in await first.ok("STORE 2:3,6 +FLAGS (\\Seen)")
    assert f"{told}ADDTO (2 6,3 5 2)".encode() in await first.ok("STORE 2:3,6 -FLAGS (\\Seen)")
    await first.ok("STORE 1,4 +FLAGS (\\Deleted)")
    replies = await first.ok("EXPUNGE")
    assert replies == [f"{told}REMOVEFROM (6 4 1 1)".encode(), b"* 4 EXPUNGE", b"* 1 EXPUNGE"]


async def test_t_dos_08_many_results_are_looked_through_in_a_thread(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = await two(office)
    await first.ok("SORT RETURN (UPDATE) (SUBJECT) UTF-8 ALL")
    threads = set[int]()
    places_of = contexts._Context.places_of

    def noted(context: contexts._Context, uids: Collection[int]) -> list[int]:
        threads.add(threading.get_ident())
        return places_of(context, uids)

    monkeypatch.setattr(contexts._Context, "places_of", noted)
    monkeypatch.setattr(working, "MANY", 7)
    await first.ok("STORE 1 +FLAGS (\\Deleted)")
    assert ORDER_UPDATE.fullmatch((await first.ok("EXPUNGE"))[0])
    assert threads and threading.get_ident() not in threads


async def test_who_is_in_idle_is_told_at_once(office: Office) -> None:
    first, second = await two(office)
    await first.ok("UID SEARCH RETURN (UPDATE) SEEN")
    tag = first.tag.encode()
    first.wire.feed(b"i IDLE\r\n")
    assert (await first.line()).startswith(b"+ ")
    await settle(first)
    await second.ok("STORE 3 +FLAGS (\\Seen)")
    assert (await first.line()).startswith(b"* 3 FETCH")
    assert await first.line() == b'* ESEARCH (TAG "%b") UID ADDTO (0 3)' % tag
    await second.ok("STORE 3 +FLAGS (\\Deleted)")
    await second.ok("EXPUNGE")
    lines = [await first.line()]
    while not lines[-1].endswith(b"EXPUNGE"):
        lines.append(await first.line())
    assert lines[-2:] == [b'* ESEARCH (TAG "%b") UID REMOVEFROM (0 3)' % tag, b"* 3 EXPUNGE"]


async def test_cancelled_is_only_what_is_named(office: Office) -> None:
    first, _ = await two(office)
    tags = []
    for keys in ("SEEN", "FLAGGED", "SEEN"):
        await first.ok(f"SEARCH RETURN (UPDATE) {keys}")
        tags.append(first.tag)
    await first.ok(f'CANCELUPDATE "{tags[0]}" "{tags[1]}"')
    replies = await first.ok("STORE 1 +FLAGS (\\Seen \\Flagged)")
    assert [told[1].decode() for told in map(UPDATE.fullmatch, replies) if told] == [tags[2]]
    assert (await first.command(f'CANCELUPDATE "{tags[0]}"'))[-1].startswith(b"NO ")
    assert (await first.command("CANCELUPDATE"))[-1].startswith(b"BAD ")


async def test_another_mailbox_ends_it(office: Office) -> None:
    first, _ = await two(office)
    await first.ok("SEARCH RETURN (UPDATE) SEEN")
    tag = first.tag
    await first.ok("SELECT Sent")
    assert (await first.command(f'CANCELUPDATE "{tag}"'))[-1].startswith(b"NO ")
    await first.ok("SELECT INBOX")
    assert not any(map(is_update, await first.ok("STORE 1 +FLAGS (\\Seen)")))


@pytest.mark.parametrize("keys", ["1:3 SEEN", "UID 5:*", "NOT YOUNGER 3600", "OR SEEN $"])
async def test_a_search_whose_results_change_by_themselves_is_answered_once(office: Office, keys: str) -> None:
    first, _ = await two(office)
    answer, refusal = await first.ok(f"SEARCH RETURN (UPDATE COUNT) {keys}")
    assert answer.startswith(f'* ESEARCH (TAG "{first.tag}") COUNT '.encode())
    assert refusal.startswith(f'* NO [NOUPDATE "{first.tag}"] '.encode())


async def test_t_dos_06_08_contexts_have_limits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await two(office)
    for _ in range(contexts.MOST_CONTEXTS):
        assert len(await first.ok("SEARCH RETURN (UPDATE) SEEN")) == 1
    *_, refusal = await first.ok("SEARCH RETURN (UPDATE) SEEN")
    assert refusal.startswith(f'* NO [NOUPDATE "{first.tag}"] '.encode())
    with monkeypatch.context() as smaller:
        smaller.setattr(contexts, "MOST_FOUND", 3)
        *_, refusal = await second.ok("SEARCH RETURN (UPDATE) ALL")
        assert refusal.startswith(b"* NO [NOUPDATE ")
    monkeypatch.setattr(contexts, "MOST_LOOKS", 2 * contexts.MOST_CONTEXTS)
    assert sum(map(is_update, await first.ok("STORE 1:2 +FLAGS (\\Seen)"))) == contexts.MOST_CONTEXTS
    replies = await first.ok("STORE 3:5 +FLAGS (\\Seen)")
    assert sum(reply.startswith(b"* NO [NOUPDATE ") for reply in replies) == contexts.MOST_CONTEXTS
    await first.ok("SEARCH RETURN (UPDATE) OR BODY q OR BODY w OR TEXT z SEEN")
    assert any(map(is_update, await first.ok("STORE 6:7 +FLAGS (\\Seen)")))
    assert not any(map(is_update, await first.ok("STORE 1:3 -FLAGS (\\Seen)")))


async def test_what_cannot_be_read_ends_it_and_the_command_is_done(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = await two(office)
    await first.ok("SEARCH RETURN (UPDATE) SUBJECT s1")
    tag = first.tag

    def fails(*_: object) -> None:
        raise StorageError("no disk")

    with monkeypatch.context() as broken:
        broken.setattr(Search, "among", fails)
        replies = await first.ok("STORE 1 +FLAGS (\\Seen)")
    assert f'* NO [NOUPDATE "{tag}"] What has changed cannot be read'.encode() in replies
    assert not any(map(is_update, await first.ok("STORE 1:3 -FLAGS (\\Seen)")))
