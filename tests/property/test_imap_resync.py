"""A client that comes back by QRESYNC ends with what a client sees that reads everything (RFC 7162 section 6)."""

import asyncio
import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailward.store.gone import merge
from support.imap import Client, Office

_FETCH = re.compile(rb"\* (\d+) FETCH \(UID (\d+)(?: FLAGS \(([^)]*)\))?(?: MODSEQ \((\d+)\))?\)")
_VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([\d:,]+)")
_HIGHEST = re.compile(rb"OK \[HIGHESTMODSEQ (\d+)\]")

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("append", "flag", "expunge", "move", "noop", "store", "fetch", "uid fetch", "leave", "forget")),
        st.integers(0, 9),
    ),
    max_size=25,
)


@dataclass
class Follower:
    """A client that keeps a mailbox: flags by UID, the UIDs in order, and how far it is in step, as section 6 says."""

    office: Office
    knows_uids: bool
    flags: dict[int, frozenset[bytes]] = field(default_factory=dict)
    uids: list[int] = field(default_factory=list)
    modseq: int = 0
    uidvalidity: int = 0
    client: Client | None = None

    async def come(self) -> None:
        self.client = await Client(self.office).login()
        await self.client.ok("ENABLE QRESYNC")
        known = f" 1:{max(self.flags)}" if self.knows_uids and self.flags else ""
        resync = f" (QRESYNC ({self.uidvalidity} {self.modseq}{known}))" if self.uidvalidity else ""
        replies = await self.client.command(f"SELECT INBOX{resync}")
        assert replies[-1].startswith(b"OK"), replies
        said = b"\n".join(replies)
        exists, validity = re.search(rb"\* (\d+) EXISTS", said), re.search(rb"UIDVALIDITY (\d+)", said)
        assert exists is not None
        assert validity is not None
        self.uidvalidity = int(validity[1])
        self.uids = []
        self.take(replies)
        await self.read_new()
        assert len(self.flags) == int(exists[1])
        self.uids = sorted(self.flags)

    async def leave(self) -> None:
        if self.client is not None:
            await self.client.close()

    async def command(self, text: str) -> None:
        assert self.client is not None
        replies = await self.client.command(text)
        self.take(replies)
        if any(reply.endswith(b" EXISTS") for reply in replies):
            await self.read_new()

    async def read_new(self) -> None:
        assert self.client is not None
        first = max(self.flags, default=0) + 1
        replies = await self.client.command(f"UID FETCH {first}:* (FLAGS MODSEQ)")
        self.take(replies)
        self.uids = sorted(self.flags)

    def take(self, replies: list[bytes]) -> None:
        """Untagged answers and the tagged one."""
        code, seen = 0, 0
        for reply in replies:
            if match := _FETCH.match(reply):
                number, uid = int(match[1]), int(match[2])
                if number <= len(self.uids):
                    assert self.uids[number - 1] == uid, (replies, self.uids)
                if match[3] is not None:
                    self.flags[uid] = flag_set(match[3])
                assert match[4] is not None, "MODSEQ is told once it is enabled"
                seen = max(seen, int(match[4]))
            elif match := _VANISHED.match(reply):
                for uid in _numbers(match[2]):
                    assert match[1] or uid in self.flags, (reply, self.flags)
                    self.flags.pop(uid, None)
                self.uids = [uid for uid in self.uids if uid in self.flags]
            elif match := _HIGHEST.search(reply):
                code = int(match[1])
                assert code > 0
            assert b"EXPUNGE" not in reply
            assert b"NOMODSEQ" not in reply
        self.modseq = code or max(seen, self.modseq)


def flag_set(text: bytes) -> frozenset[bytes]:
    return frozenset(text.split()) - {b"\\Recent"}


def _numbers(text: bytes) -> list[int]:
    pairs = [part.split(b":") for part in text.split(b",")]
    return [uid for pair in pairs for uid in range(int(pair[0]), int(pair[-1]) + 1)]


def forget(folder: Path) -> None:
    """What a store does that has a long log: rows of changes are dropped, those of what has gone are merged."""
    with sqlite3.connect(folder / "alice" / "index.sqlite") as database:
        database.execute("UPDATE account SET log_floor = last_modseq")
        database.execute("DELETE FROM change WHERE gone = 0")
        merge(database, 2**62)
    database.close()


async def follow(folder: Path, steps: list[tuple[str, int]], *, knows_uids: bool) -> None:
    office = Office(folder)
    other = await Client(office).login()
    for n in range(3):
        await other.append("INBOX", b"Subject: %d\r\n\r\nbody\r\n" % n)
    await other.ok("SELECT INBOX")
    follower = Follower(office, knows_uids)
    await follower.come()
    for what, n in steps:
        count = len(follower.uids)
        if what == "append":
            await other.append("INBOX", b"Subject: new\r\n\r\nbody\r\n")
        elif what == "flag":
            await other.command(f"UID STORE {n + 1} {'+-'[n % 2]}FLAGS (\\Flagged)")
        elif what == "expunge":
            await other.command(f"UID STORE {n % 5 + 1} +FLAGS (\\Deleted)")
            await other.command("EXPUNGE")
        elif what == "move":
            await other.command(f"UID MOVE {n + 1} INBOX")
        elif what == "store" and count:
            await store(follower, n % count, adds=n % 2 == 0, silent=n > 4)
        elif what == "fetch" and count:
            await follower.command(f"FETCH {n % count + 1} (UID FLAGS MODSEQ)")
        elif what == "uid fetch":
            await follower.command(f"UID FETCH {n + 1}:* (FLAGS MODSEQ) (CHANGEDSINCE {follower.modseq} VANISHED)")
        elif what == "noop":
            await follower.command("NOOP")
        elif what == "leave":
            await follower.leave()
            await follower.come()
        elif what == "forget":
            forget(folder)
    await follower.leave()
    await follower.come()
    assert follower.flags == await everything(office)
    await follower.leave()
    await other.close()


async def store(follower: Follower, place: int, *, adds: bool, silent: bool) -> None:
    """A client knows what its own silent STORE does; it is told where another has made that different."""
    uid = follower.uids[place]
    if silent:
        answered = frozenset({b"\\Answered"})
        follower.flags[uid] = follower.flags[uid] | answered if adds else follower.flags[uid] - answered
    await follower.command(f"STORE {place + 1} {'+' if adds else '-'}FLAGS{'.SILENT' if silent else ''} (\\Answered)")


async def everything(office: Office) -> dict[int, frozenset[bytes]]:
    reader = await Client(office).login()
    await reader.ok("EXAMINE INBOX")
    found = {}
    for reply in await reader.ok("UID FETCH 1:* (FLAGS)"):
        if match := _FETCH.match(reply):
            found[int(match[2])] = flag_set(match[3])
    await reader.close()
    return found


@settings(deadline=None, max_examples=40)
@example(steps=[("expunge", 1), ("store", 0)], knows_uids=False)  # MODSEQs beyond an expunge that is not told yet
@example(steps=[("expunge", 0), ("append", 0), ("forget", 0)], knows_uids=False)  # the log does not reach back (T-DOS-05)
@given(steps=STEPS, knows_uids=st.booleans())
def test_who_comes_back_by_qresync_sees_what_is_there(steps: list[tuple[str, int]], knows_uids: bool) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(follow(Path(folder), steps, knows_uids=knows_uids))
