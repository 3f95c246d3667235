"""Many IMAP clients over the same mail: each believes its untagged replies, and what they say is compared.

Here is what a client knows and what holds for all of them; `imap_person` is what they do.
"""

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from support.imap_server import LOGIN
from support.imap_view import Cache, View, Violation, numbers
from support.smtp_service import trusting

LONG_S = 90.0
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_CODE = re.compile(rb"\[(APPENDUID|COPYUID) (\d+) (\S+?)(?: (\S+))?\]")
_UIDVALIDITY = re.compile(rb"\* OK \[UIDVALIDITY (\d+)\]")
_FOUND = re.compile(rb'\* (E?)SEARCH(?: \(TAG "[^"]+"\)(?: UID)?(?: ALL)?)?(?: (\S.*))?$')
_REFUSALS = re.compile(rb"NO \[(NONEXISTENT|ALREADYEXISTS|HASCHILDREN|TRYCREATE|CANNOT)\]")
_FLAG_OF = {"SEEN": b"\\Seen", "FLAGGED": b"\\Flagged", "DELETED": b"\\Deleted", "$Work": b"$Work"}
"""By the last word of a SEARCH."""


@dataclass
class Crowd:
    """given: (UIDVALIDITY, UID) -> the message's token, "" while nobody knows it. mortal: those that a client may have removed;
    ended: those that were gone when all was quiet. moved: names that mailboxes were given by RENAME.
    """

    ports: Sequence[int]
    given: dict[tuple[int, int], str] = field(default_factory=dict)
    mortal: set[tuple[int, int]] = field(default_factory=set)
    ended: set[tuple[int, int]] = field(default_factory=set)
    moved: list[str] = field(default_factory=list)
    inbox_was_renamed: bool = False
    all_rest: asyncio.Event = field(default_factory=asyncio.Event)
    _working: int = 0
    _counted: int = 0

    def count(self) -> int:
        """A number that nobody had."""
        self._counted += 1
        return self._counted

    def know(self, uidvalidity: int, uid: int, token: str) -> None:
        """A UID stands for one message for ever (RFC 3501 section 2.3.1.1)."""
        known = self.given.get((uidvalidity, uid))
        if (uidvalidity, uid) in self.ended or (known and token and known != token):
            raise Violation(f"UID {uid} of UIDVALIDITY {uidvalidity} was {known or 'gone'} and is {token}")
        self.given[uidvalidity, uid] = known or token

    def begin_work(self) -> None:
        self._working += 1
        self.all_rest.clear()

    def end_work(self) -> None:
        """The last one wakes those who idle."""
        self._working -= 1
        if not self._working:
            self.all_rest.set()

    def settle(self, boxes: "dict[int, View]") -> None:
        """All is quiet, and these are the mailboxes by UIDVALIDITY. Nothing is gone that nobody removed."""
        for box in boxes.values():
            box.require_order()
            if box.name == "INBOX" and self.inbox_was_renamed:
                self.mortal |= {key for key in self.given if key[0] == box.uidvalidity}
        self.inbox_was_renamed = False
        for uidvalidity, uid in [*self.given]:
            if uidvalidity not in boxes:
                del self.given[uidvalidity, uid]
            elif uid not in boxes[uidvalidity].known:
                if (uidvalidity, uid) not in self.mortal:
                    raise Violation(f"{self.given[uidvalidity, uid]} is lost, UID {uid} of {boxes[uidvalidity].name}")
                self.ended.add((uidvalidity, uid))


def _nothing(_: bytes) -> None: ...


@dataclass
class Sent:
    """A command that is not answered yet. done: called with its tagged reply when it ends with OK."""

    tag: bytes
    text: str
    may_expunge: bool
    done: Callable[[bytes], None]


class Client:
    """One connection at a time, to one of the server's processes. view: of the selected mailbox. is_over: the server said BYE.

    enables: what it names to ENABLE; caches: what it keeps of mailboxes for the next time, by name.
    """

    def __init__(self, crowd: Crowd, chance: random.Random, name: str) -> None:
        self.crowd = crowd
        self.chance = chance
        self.name = name
        self.view: View | None = None
        self.enables: tuple[str, ...] = ()
        self.caches: dict[str, Cache] = {}
        self.is_over = True
        self.log: list[str] = []
        self._validities: dict[str, int] = {}
        self._sent: list[Sent] = []
        self._unsent = b""

    async def connect(self) -> None:
        port = self.chance.choice(self.crowd.ports)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(), limit=2**22)
        self._replies: asyncio.Queue[bytes] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self._reading = asyncio.create_task(self._read())
        self.view, self.is_over = None, False
        self.send(LOGIN.decode()[2:-2])
        if self.enables:
            self.send(f"ENABLE {' '.join(self.enables)}")
        await self.finish()

    async def news(self) -> None:
        """Until there is a reply to hear."""
        while self._replies.empty():
            self._arrived.clear()
            await self._arrived.wait()

    async def _read(self) -> None:
        """Whole replies, literals in them; b"" at the end."""
        try:
            while True:
                reply = await self._reader.readuntil(b"\r\n")
                while literal := _LITERAL.search(reply):
                    reply += await self._reader.readexactly(int(literal[1])) + await self._reader.readuntil(b"\r\n")
                self._came(reply[:-2])
        except (asyncio.IncompleteReadError, OSError):
            self._came(b"")

    def _came(self, reply: bytes) -> None:
        self._replies.put_nowait(reply)
        self._arrived.set()

    def leave_mailbox(self) -> None:
        """Keep what is known of it."""
        if self.view is not None and self.view.resyncs and (cache := self.view.cache()) is not None:
            self.caches[self.view.name] = cache
        self.view = None

    async def leave(self) -> None:
        """Close the connection, whoever ended the session."""
        self.leave_mailbox()
        self.is_over = True
        self._sent.clear()
        self._unsent = b""
        self._writer.close()
        self._reading.cancel()
        await asyncio.wait((self._reading,))

    def send(self, text: str, *, may_expunge: bool = True, done: Callable[[bytes], None] = _nothing) -> None:
        """Queue a command. may_expunge: whether numbers may change in its answers (RFC 3501 section 7.4.1)."""
        tag = f"{self.name}-{self.crowd.count()}"
        self._sent.append(Sent(tag.encode(), text, may_expunge, done))
        self.add(f"{tag} {text}\r\n")

    def add(self, text: str) -> None:
        """Queue octets that are no command, such as DONE."""
        self._unsent += text.encode()
        self.log.append(f"C: {text!r}")

    async def push(self) -> None:
        """What is queued, in one packet or cut somewhere."""
        cut = self.chance.choice((0, self.chance.randrange(len(self._unsent) + 1)))
        for octets in (self._unsent[:cut], self._unsent[cut:]):
            if octets and not self._writer.is_closing():
                self._writer.write(octets)
                await asyncio.sleep(0)
        self._unsent = b""

    async def finish(self) -> None:
        """Send what is queued and hear until everything is answered or the session is over."""
        await self.push()
        while self._sent and not self.is_over:
            await self.hear()
        if self.is_over:
            await self.leave()

    async def hear(self) -> bytes:
        """Take in the next reply."""
        try:
            async with asyncio.timeout(LONG_S):
                reply = await self._replies.get()
        except TimeoutError:
            raise self._broken("no reply came") from None
        self.log = [*self.log[-80:], f"S: {reply[:200]!r}"]
        try:
            self._take(reply)
        except Violation as violation:
            raise self._broken(str(violation)) from None
        return reply

    def _broken(self, why: str) -> Violation:
        waiting = [command.text for command in self._sent]
        return Violation("\n".join((f"{self.name} in {self.view and self.view.name}: {why}", f"waits for {waiting}", *self.log)))

    def _take(self, reply: bytes) -> None:
        if not reply or reply.startswith(b"* BYE"):
            if reply and b"deleted" not in reply:
                raise Violation("BYE without a reason")
            self.is_over = True
        elif reply.startswith(b"* "):
            self._untagged(reply)
        elif not reply.startswith(b"+ "):
            tag, _, rest = reply.partition(b" ")
            command = self._sent.pop(0)
            if tag != command.tag:
                raise Violation(f"answered before {command.text}")
            self._tagged(command, rest)

    def _untagged(self, reply: bytes) -> None:
        if self.view is None:
            return
        if code := _CODE.search(reply):  # of MOVE
            self._copied(code, self.view)
        elif found := _UIDVALIDITY.match(reply):
            self._enter(self.view, int(found[1]))
        else:
            seen = self.view.hear(reply, may_expunge=self._sent[0].may_expunge)
            if seen is not None:
                self.crowd.know(self.view.uidvalidity, *seen)
            if found := _FOUND.match(reply):
                if (found[1] == b"E") != ("IMAP4rev2" in self.enables):
                    raise Violation("SEARCH where ESEARCH must be, or the other way round")
                self._found(self.view, self._sent[0].text, set(numbers(found[2].strip().replace(b" ", b",")) if found[2] else []))

    def _enter(self, view: View, uidvalidity: int) -> None:
        """What a name stands for has a UIDVALIDITY that never falls (RFC 3501 section 2.3.1.1)."""
        before = self._validities.get(view.name, 0)
        if uidvalidity < before:
            raise Violation(f"{view.name} had UIDVALIDITY {before}")
        view.uidvalidity = self._validities[view.name] = uidvalidity

    def _tagged(self, command: Sent, rest: bytes) -> None:
        if self.view is not None:
            self.view.reach(rest)
        if rest.startswith(b"OK "):
            code = _CODE.search(rest)
            if code is not None and code[1] == b"COPYUID" and self.view is not None:
                self._copied(code, self.view)
            command.done(rest)
        elif not _REFUSALS.match(rest):
            raise Violation(f"{command.text} is not answered well")
        elif command.text.startswith(("SELECT ", "EXAMINE ")):
            self.view = None
        if self.view is not None:
            self.view.end_command()

    def _copied(self, code: "re.Match[bytes]", view: View) -> None:
        uidvalidity, sources, uids = int(code[2]), numbers(code[3]), numbers(code[4])
        if len(sources) != len(uids):
            raise Violation("COPYUID with sets of different sizes")
        for source, uid in zip(sources, uids, strict=True):
            self.crowd.know(uidvalidity, uid, self.crowd.given.get((view.uidvalidity, source), ""))
            if (view.uidvalidity, source) in self.crowd.mortal:
                self.crowd.mortal.add((uidvalidity, uid))

    def appended(self, token: str, flags: Sequence[str], reply: bytes) -> None:
        """APPENDUID (RFC 4315 section 3)."""
        code = _CODE.search(reply)
        if code is None:
            raise Violation("APPEND without APPENDUID")
        self.crowd.know(int(code[2]), int(code[3]), token)
        if "\\Deleted" in flags:
            self.crowd.mortal.add((int(code[2]), int(code[3])))

    def _found(self, view: View, text: str, found: set[int]) -> None:
        """SEARCH answers what the client was told of flags."""
        flag, wanted = _FLAG_OF.get(text.split()[-1]), "NOT" not in text.split()
        for number, message in enumerate(view.messages, 1):
            if flag is None or message.uid is None or message.flags is None:
                continue
            if ((flag in message.flags) == wanted) != ((message.uid if text.startswith("UID ") else number) in found):
                raise Violation(f"message {number} (UID {message.uid}) has {message.flags}")
