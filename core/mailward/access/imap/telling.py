"""What a session is told about changes in its mailbox: who came, who went, whose flags are new (RFC 9051 section 7, RFC 7162)."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial

import structlog

from mailward.access.connection import Connection
from mailward.access.imap.contexts import Contexts
from mailward.access.imap.desk import Desk
from mailward.access.imap.rights import settable
from mailward.access.imap.selected import Changed, Selected
from mailward.access.imap.vanished import vanished_texts
from mailward.access.imap.working import Working
from mailward.model.errors import StorageError
from mailward.protocol.imap.arguments import SequenceSet, set_text
from mailward.store.base import SYSTEM_FLAGS, AccountStore, Delta
from mailward.store.ops import ANY_KEYWORD
from mailward.store.refusals import NoSuchMailbox

_log = structlog.get_logger("mailward.imap")


class Telling(Working):
    """contexts: searches of the selected mailbox whose results the client is kept up to date of."""

    def __init__(self, desk: Desk, connection: Connection, capabilities_off: frozenset[str]) -> None:
        super().__init__(desk, connection, capabilities_off)
        self.contexts = Contexts(self)

    @property
    def tells_modseq(self) -> bool:
        """Whether flags are told with MODSEQ: never to who did not ask for it, since that breaks old clients."""
        return "CONDSTORE" in self.enabled

    def enable_condstore(self) -> None:
        """By a command that shows that the client knows it (RFC 7162 section 3.1)."""
        if self.tells_modseq:
            return
        self.enabled.add("CONDSTORE")
        if self.selected is not None:
            self.untagged(f"OK [HIGHESTMODSEQ {self.selected.told_modseq}] Changes are numbered")

    async def tell_changes(
        self, *, expunge: bool, silent: Mapping[int, int] | None = None, may_rest: bool = False, news: Delta | None = None
    ) -> frozenset[int]:
        """Untagged answers for what has changed in the selected mailbox. silent: UID -> flags value that the client expects.

        may_rest: a view that rests goes on resting where nothing has changed. news: where they have been read.
        The places of messages that have other flags than the client knew.
        """
        selected = self.selected
        if selected is None:
            return frozenset()
        if news is None and self.here.is_own and (may_rest or not selected.rests) and selected.is_up_to(self.store.stamp()):
            return frozenset()
        try:
            await self.look_at_rights()
            if news is None:
                news = await self.blocking(lambda: _delta(self.store, selected, may_rest))
        except NoSuchMailbox:
            self._goodbye = "The selected mailbox was deleted"
            return frozenset()
        first_new = selected.uidnext
        is_long = selected.is_long_to_change(expunged=bool(news.gone))
        is_short = news.is_exact and self.is_few(len(news.uids) + len(news.gone)) and not is_long
        merge = partial(selected.merge, news, expunge=expunge)
        changed = merge() if is_short else await self.blocking(merge)
        if self.contexts and changed.vanished:
            await self.tell_lines(self.contexts.gone(changed.vanished, changed.expunged[::-1]), self.contexts.count)
        await self.tell_lines(self._gone_lines(changed), len(changed.expunged))
        if changed.exists is not None:
            self.tell_exists(selected)
        if changed.keywords:
            self.untagged(b"FLAGS (%b)" % flag_list(selected))
        await self.tell_lines(self._flags_lines(selected, changed, silent or {}), len(changed.touched))
        if self.contexts:
            await self.contexts.changed(changed.touched, selected.place_from(first_new))
        return changed.flags

    def _gone_lines(self, changed: Changed) -> Iterator[bytes]:
        if changed.vanished and "QRESYNC" in self.enabled:
            yield b"* VANISHED %b\r\n" % set_text(changed.vanished).encode("ascii")
        else:
            for number in changed.expunged:
                yield b"* %d EXPUNGE\r\n" % number

    def _flags_lines(self, selected: Selected, changed: Changed, silent: Mapping[int, int]) -> Iterator[bytes]:
        for place in changed.touched:
            if not (self.tells_modseq or place in changed.flags):
                continue
            known = silent.get(selected.uids[place]) == selected.flags[place]
            yield self.flags_line(selected, place, known=known)

    def news(self) -> Delta | None:
        """What has changed, read by the thread that has changed something, so that telling needs no other; None when there is
        nothing to tell, or no telling. Blocks."""
        selected = self.selected
        with suppress(NoSuchMailbox, StorageError):
            return None if selected is None else _delta(self.store, selected, may_rest=False)
        return None

    async def tell_outcome(self, *, expunge: bool, silent: Mapping[int, int] | None = None, news: Delta | None = None) -> bool:
        """As `tell_changes`, behind a change that is durable, so that its OK is owed: news that cannot be read now come later.

        Whether they were told.
        """
        try:
            await self.tell_changes(expunge=expunge, silent=silent, news=news)
        except StorageError as error:
            _log.error("news not told yet", account=self.account, error=str(error))
            return False
        return True

    async def look_at_rights(self) -> None:
        """What may be done here now; tell when it is something else. Raises NoSuchMailbox when nothing may be."""
        before, selected = self.here, self.mailbox
        if not before.is_own:
            self._here = await self.blocking(lambda: self.reach.again(before))
            if self.here.rights != before.rights:
                self.untagged(b"FLAGS (%b)" % flag_list(selected))
                self.tell_permanent_flags(selected)

    def tell_permanent_flags(self, selected: Selected) -> None:
        """Which of them can be changed (RFC 4314 section 5.1.1)."""
        flags = () if selected.read_only else settable((*SYSTEM_FLAGS, *selected.keywords, ANY_KEYWORD), self.here.rights)
        self.untagged(f"OK [PERMANENTFLAGS ({' '.join(flags)})] Flags that are kept")

    async def told_expunged(self) -> str:
        """Tell of expunged messages, and how far the client is in step then: what the text behind OK begins with."""
        if not await self.tell_outcome(expunge=True) or self.selected is None or not self.tells_modseq:
            return ""
        return f"[HIGHESTMODSEQ {self.selected.told_modseq}] "

    async def tell_vanished(self, since: int, numbers: SequenceSet | None) -> None:
        """Which of these UIDs, None for all, were expunged after MODSEQ `since`, but for what the session still counts.

        Also of messages that came after `since`: its MODSEQ was held back (`tell_step`), so the client may know them.
        """
        await self.send_pieces(self._vanished_lines(since, numbers))

    def _vanished_lines(self, since: int, numbers: SequenceSet | None) -> Iterator[bytes]:
        """Blocks."""
        selected = self.mailbox
        delta = self.store.delta(selected.info.id, since)
        # "*" is the highest UID there ever was: the last message of the mailbox may be the one that is gone.
        wanted = None if numbers is None else numbers.resolve(max(selected.uidnext - 1, 1))
        for gone in vanished_texts(delta, wanted, selected.uids):
            yield b"* VANISHED (EARLIER) %b\r\n" % gone.encode("ascii")

    def flags_line(self, selected: Selected, place: int, *, known: bool = False) -> bytes:
        """One message's flags; b"" when there is nothing to tell. known: the client knows them, and is told of the MODSEQ alone.

        With the UID: whoever works with UIDs must have it, to others it does no harm.
        """
        items = [b"UID %d" % selected.uids[place]]
        if not known:
            items += [b"FLAGS (%b)" % names for names in selected.flag_names((place,))]
        if self.tells_modseq:
            items.append(b"MODSEQ (%d)" % selected.modseqs[place])
        return b"* %d FETCH (%b)\r\n" % (place + 1, b" ".join(items)) if len(items) > 1 else b""

    def tell_exists(self, selected: Selected) -> None:
        """How many messages there are, and how many of them the client is the first to be told of."""
        self._note_recent(selected)
        self.write(b"* %d EXISTS\r\n" % len(selected))
        if not self.is_rev2:
            self.write(b"* %d RECENT\r\n" % selected.recent.count(selected.uids))

    def _note_recent(self, selected: Selected) -> None:
        if self.is_rev2:
            return
        owner = self.here.owner
        if selected.read_only:
            selected.recent.add(self.desk.recent.look(owner, selected.info.id), selected.uidnext)
        else:
            selected.recent.add(self.desk.recent.claim(owner, selected.info.id, selected.uidnext), selected.uidnext)

    def tell_step(self) -> None:
        """How far a client is in step that was told MODSEQs beyond an expunge that it must not be told of yet.

        Else it would take those for its own, and its next QRESYNC would not tell it of that expunge (RFC 7162 section 6).
        """
        selected = self.selected
        if selected is not None and "QRESYNC" in self.enabled and selected.told_modseq < selected.modseq:
            self.untagged(f"OK [HIGHESTMODSEQ {selected.told_modseq}] Later changes are still to be told")


def _delta(store: AccountStore, selected: Selected, may_rest: bool) -> Delta:
    """What has changed, the view awake for it. Raises NoSuchMailbox, also where it cannot be woken any more."""
    delta = store.delta(selected.info.id, selected.modseq)
    if selected.rests and not (may_rest and delta.is_empty):
        view = store.view(selected.info.id)
        if view.mailbox.highest_modseq != delta.highest_modseq:
            delta = store.delta(selected.info.id, selected.modseq)  # of the view, or later
        if not delta.is_exact:
            raise NoSuchMailbox("Too much has gone from the mailbox since this session was told anything")
        selected.wake(view, delta)
    return delta


def flag_list(selected: Selected) -> bytes:
    """Every flag that exists in a mailbox."""
    return " ".join((*SYSTEM_FLAGS, *selected.keywords)).encode("ascii")
