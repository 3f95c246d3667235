"""What the clients of `imap_crowd` do: random commands, some in one packet; and one who reads all mailboxes when they rest."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from support.imap_crowd import Client
from support.imap_view import Message, View, Violation, numbers

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Work", "$Later")
OWN = ("Lists", "Lists/one", "Lists/two")
"""Mailboxes that they make, rename and delete."""
BOXES = ("INBOX", "INBOX", "INBOX", "Archive", "Trash", *OWN)
_ITEMS = ("(FLAGS)", "(UID FLAGS)", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])", "(UID BODY[])", "(ENVELOPE RFC822.SIZE)")
_LISTED = re.compile(rb'\* LIST \((?![^)]*\\No(?:nExistent|select))[^)]*\) "/" "?([^"]+)"?$')
"""A mailbox; a level whose own mailbox was deleted is none."""
_MODIFIED = re.compile(rb"\[MODIFIED (\S+)\]")
_STATUS = re.compile(rb"(MESSAGES|UNSEEN|DELETED|UIDNEXT|HIGHESTMODSEQ) (\d+)")


@dataclass(frozen=True)
class Chosen:
    """Messages for a command. prefix: "UID " or "". uids: all that may be meant."""

    prefix: str
    text: str
    messages: Sequence[Message]
    uids: Sequence[int]


class Person(Client):
    """A client that does what comes to its mind."""

    _numbers_hold = True
    """No command of the packet may change them, so the next may be by number (RFC 3501 section 5.5)."""

    async def work(self, packets: int) -> None:
        """So many packets, each with a command or a few."""
        self.crowd.begin_work()
        for _ in range(packets):
            if self.is_over:
                await self.connect()
            await self._one_packet()
        self.crowd.end_work()

    async def _one_packet(self) -> None:
        self._numbers_hold = True
        chance = self.chance.random()
        if self.view is None or chance < 0.06:
            self._select()
        elif chance < 0.1:
            self.send(self.chance.choice(("CLOSE", "UNSELECT")), done=self._left)
        elif chance < 0.16:
            await self._idle(self.chance.choice(("at once", "ready", "news")))
        else:
            for _ in range(self.chance.choice((1, 1, 2, 5))):
                self.chance.choices(_ACTIONS, _WEIGHTS)[0](self)
        await self.finish()
        if self.chance.random() < 0.3:
            await self.learn()

    async def learn(self) -> None:
        """Ask for what is not known, as a client does that has heard EXISTS."""
        if self.view is not None and (first := self.view.first_unknown) is not None:
            self.send(f"FETCH {first}:* (UID FLAGS{' MODSEQ' if self.view.hears_modseq else ''})", may_expunge=False)
            await self.finish()

    async def sync(self) -> None:
        """Until everything is told and known, while nobody changes anything."""
        if not self.is_over:
            self.send("NOOP")
            await self.finish()
            await self.learn()

    async def sleep(self) -> None:
        """Begin to idle."""
        self.send("IDLE")
        await self.push()
        while not self.is_over and not (await self.hear()).startswith(b"+ "):
            pass

    async def wake(self, is_enough: Callable[[View], bool]) -> None:
        """Once it has heard enough, without asking."""
        while not self.is_over and self.view is not None and not is_enough(self.view):
            await self.hear()
        self.add("DONE\r\n")
        await self.finish()

    async def _idle(self, how: str) -> None:
        """DONE in the packet of IDLE, behind the continuation, or behind the first news."""
        if how == "at once":
            self.send("IDLE")
            self.add("DONE\r\n")
            return
        await self.sleep()
        if how == "news" and not self.is_over:
            self.crowd.end_work()
            waiting = [asyncio.ensure_future(some) for some in (self.crowd.all_rest.wait(), self.news())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            self.crowd.begin_work()
        self.add("DONE\r\n")

    def _left(self, _: bytes) -> None:
        self.leave_mailbox()

    def _select(self) -> None:
        self.leave_mailbox()
        name, verb = self.chance.choice(BOXES), self.chance.choice(("SELECT", "SELECT", "SELECT", "EXAMINE"))
        view = self.view = View(name, self.enables)
        cache, names_known = self.caches.get(name), self.chance.random() < 0.3
        if cache is None:
            self.send(f'{verb} "{name}"')
            return
        known = f" 1:{max(cache.flags, default=1)}" if names_known else ""
        self.send(
            f'{verb} "{name}" (QRESYNC ({cache.uidvalidity} {cache.modseq}{known}))',
            done=lambda _: view.resume(cache, told_new=not names_known),
        )

    # --- commands ---

    def _choose(self) -> Chosen | None:
        assert self.view is not None
        known = [(number, one, one.uid) for number, one in enumerate(self.view.messages, 1) if one.uid is not None]
        if not known:
            return None
        if self._numbers_hold and self.chance.random() < 0.5:
            some = self.chance.sample(known, min(len(known), self.chance.choice((1, 1, 3))))
            text = ",".join(str(number) for number, _, _ in some)
            return Chosen("", text, [one for _, one, _ in some], [uid for *_, uid in some])
        first = self.chance.randrange(len(known))
        some = known[first : first + self.chance.choice((1, 1, 2, 5))]
        uids = [uid for *_, uid in some]
        is_run = uids[-1] - uids[0] == len(uids) - 1
        text = f"{uids[-1]}:{uids[0]}" if is_run and self.chance.random() < 0.5 else ",".join(map(str, uids))
        return Chosen("UID ", text, [one for _, one, _ in some], uids)

    def _ask(self, chosen: Chosen, verb: str, rest: str, done: Callable[[bytes], None] = lambda _: None) -> None:
        holds = not chosen.prefix and verb in ("FETCH", "STORE")
        self._numbers_hold = self._numbers_hold and holds
        self.send(f"{chosen.prefix}{verb} {chosen.text} {rest}", may_expunge=not holds, done=done)

    def _may_be_gone(self, chosen: Chosen) -> None:
        assert self.view is not None
        self.crowd.mortal |= {(self.view.uidvalidity, uid) for uid in chosen.uids}

    def _fetch(self) -> None:
        if chosen := self._choose():
            self._ask(chosen, "FETCH", self.chance.choice(_ITEMS))

    def _store(self) -> None:
        """With UNCHANGEDSINCE now and then: what others have changed since then is as it was."""
        chosen, view = self._choose(), self.view
        if not chosen or view is None:
            return
        mode, silent = self.chance.choice(("+", "-", "")), self.chance.random() < 0.5
        flags = self.chance.sample(FLAGS, 2) if self.chance.random() < 0.6 else ["\\Deleted"]
        if "\\Deleted" in flags and mode != "-":
            self._may_be_gone(chosen)
        given = frozenset(flag.encode() for flag in flags)
        condition = f"(UNCHANGEDSINCE {view.modseq}) " if view.hears_modseq and self.chance.random() < 0.3 else ""

        def done(reply: bytes) -> None:
            refused = set(numbers(found[1])) if (found := _MODIFIED.search(reply)) else set()
            for message in chosen.messages:
                if message in view.told or message not in view.messages:
                    continue
                if (message.uid if chosen.prefix else view.messages.index(message) + 1) in refused:
                    continue
                if not silent:
                    raise Violation(f"STORE does not tell of UID {message.uid}")
                if message.flags is not None:
                    message.flags = {"+": message.flags | given, "-": message.flags - given, "": given}[mode]

        self._ask(chosen, "STORE", f"{condition}{mode}FLAGS{'.SILENT' if silent else ''} ({' '.join(flags)})", done)

    def _copy(self) -> None:
        if chosen := self._choose():
            verb = self.chance.choice(("COPY", "MOVE"))
            if verb == "MOVE":
                self._may_be_gone(chosen)
            self._ask(chosen, verb, f'"{self.chance.choice(BOXES)}"')

    def _search(self) -> None:
        keys = ("ALL", "SEEN", "NOT SEEN", "FLAGGED", "NOT DELETED", "DELETED", "KEYWORD $Work", "SUBJECT m1")
        by_number = self._numbers_hold and self.chance.random() < 0.5
        self._numbers_hold = by_number
        self.send(f"{'' if by_number else 'UID '}SEARCH {self.chance.choice(keys)}", may_expunge=not by_number)

    def _append(self) -> None:
        token = f"m{self.crowd.count()}"
        flags = self.chance.sample((*FLAGS, "\\Deleted"), self.chance.choice((0, 0, 1)))
        octets = f"Subject: {token}\r\n\r\n{'text of ' * self.chance.randrange(40)}{token}\r\n"
        self._plain(
            f'APPEND "{self.chance.choice(BOXES)}" ({" ".join(flags)}) {{{len(octets)}+}}\r\n{octets}',
            lambda reply: self.appended(token, flags, reply),
        )

    def _plain(self, text: str, done: Callable[[bytes], None] = lambda _: None) -> None:
        self._numbers_hold = False
        self.send(text, done=done)

    def _expunge(self) -> None:
        chosen = self._choose()
        if chosen and chosen.prefix:
            self._plain(f"UID EXPUNGE {chosen.text}")
        else:
            self._plain("EXPUNGE")

    def _look(self) -> None:
        box = self.chance.choice(BOXES)
        self._plain(self.chance.choice(("NOOP", "CHECK", 'LIST "" "*"', f'STATUS "{box}" (MESSAGES UNSEEN UIDNEXT)')))

    def _mailbox(self) -> None:
        name, verb = self.chance.choice(OWN), self.chance.choice(("CREATE", "CREATE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE"))
        if verb == "DELETE" and self.crowd.moved:
            name = self.crowd.moved.pop(self.chance.randrange(len(self.crowd.moved)))
        elif verb == "RENAME":
            if self.chance.random() < 0.3:
                name, self.crowd.inbox_was_renamed = "INBOX", True
            new_name = f"Moved {self.crowd.count()}"
            self.crowd.moved.append(new_name)
            self._plain(f'RENAME "{name}" "{new_name}"')
            return
        self._plain(f'{verb} "{name}"')


_TABLE: Sequence[tuple[Callable[[Person], None], int]] = (
    (Person._fetch, 25), (Person._store, 30), (Person._copy, 10), (Person._search, 10), (Person._append, 12),
    (Person._expunge, 6), (Person._look, 6), (Person._mailbox, 2),
)  # fmt: skip
_ACTIONS = [action for action, _ in _TABLE]
_WEIGHTS = [weight for _, weight in _TABLE]


class Referee(Client):
    """Reads everything anew."""

    async def read_all(self) -> dict[int, View]:
        """Every mailbox as a fresh SELECT and FETCH give it, by UIDVALIDITY; STATUS says the same."""
        self.enables = ("CONDSTORE",)
        await self.connect()
        names = [match[1].decode() for reply in await self._ask('LIST "" "*"') if (match := _LISTED.match(reply))]
        found: dict[int, View] = {}
        for name in names:
            (status, _) = await self._ask(f'STATUS "{name}" (MESSAGES UNSEEN DELETED UIDNEXT HIGHESTMODSEQ)')
            view = self.view = View(name, self.enables)
            await self._ask(f'EXAMINE "{name}"')
            if view.messages:
                await self._ask("FETCH 1:* (UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            self._compare(view, {key.decode(): int(value) for key, value in _STATUS.findall(status)})
            found[view.uidvalidity] = view
        await self.leave()
        return found

    async def _ask(self, text: str) -> list[bytes]:
        self.send(text)
        await self.push()
        heard = []
        while self._sent:
            heard.append(await self.hear())
        return heard

    def _compare(self, view: View, status: dict[str, int]) -> None:
        flags = [flags or frozenset() for flags in view.known.values()]
        counted = {
            "MESSAGES": len(flags),
            "UNSEEN": sum(b"\\Seen" not in one for one in flags),
            "DELETED": sum(b"\\Deleted" in one for one in flags),
        }
        highest = max((uid or 0 for uid in view.known), default=0)
        modseq = max((message.modseq for message in view.messages), default=0)
        wrong = counted != {name: status[name] for name in counted}
        if wrong or highest >= status["UIDNEXT"] or modseq > status["HIGHESTMODSEQ"]:
            raise Violation(f"STATUS of {view.name} is {status}, FETCH gives {view.known}")
