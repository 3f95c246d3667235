"""Searches of which a client is told what is found, and no longer found, when messages change (CONTEXT=SEARCH of RFC 5267)."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailward.access.imap.contents import Contents
from mailward.access.imap.searching import Search, looks
from mailward.access.imap.session import Session
from mailward.access.imap.telling import No
from mailward.model.errors import StorageError
from mailward.protocol.imap.arguments import set_text
from mailward.protocol.imap.search import Age, And, Key, Not, Numbers, Or

MOST_CONTEXTS = 4
"""Of one session."""
MOST_FOUND = 100_000
"""Messages of one context, which are kept in memory (T-DOS-06)."""
MOST_LOOKS = 10_000
"""At once into messages that have changed, counting each for every key of all contexts that looks into it (T-DOS-08)."""
_TOO_MUCH = "Too much has changed at once, please search again"


@dataclass(slots=True)
class _Context:
    """uid: UIDs are told, not sequence numbers. found: UIDs, in order. looks: keys that look into messages, 1 at least."""

    key: Key
    looks: int
    uid: bool
    found: "array[int]"


class Contexts:
    """Of one session's selected mailbox; see `telling.KeptResults`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._contexts: dict[str, _Context] = {}

    def begin(self, key: Key, places: Sequence[int], *, uid: bool) -> None:
        """By the command under way. Where that cannot be, the client is told so, and has the results all the same."""
        tag = self._session.tag.decode("ascii")
        if len(self._contexts) == MOST_CONTEXTS or tag in self._contexts:
            self._refuse(tag, "There are too many, or one of that tag")
        elif len(places) > MOST_FOUND:
            self._refuse(tag, "Too many messages are found")
        elif not _hangs_on_messages_alone(key):
            self._refuse(tag, "What such a search finds changes without any change of a message")
        else:
            uids = self._session.mailbox.uids
            self._contexts[tag] = _Context(key, max(looks(key), 1), uid, array("I", [uids[place] for place in places]))

    def cancel(self, tags: Sequence[str]) -> None:
        """Raises No."""
        if unknown := [tag for tag in tags if self._contexts.pop(tag, None) is None]:
            raise No(f"Nothing is told of {len(unknown)} of them")

    def gone(self, uids: Sequence[int], numbers: Sequence[int]) -> Iterator[bytes]:
        for tag, context in self._contexts.items():
            removed = {uid: number for uid, number in zip(uids, numbers, strict=True) if _has(context.found, uid)}
            if removed:
                context.found = array("I", [uid for uid in context.found if uid not in removed])
                yield _line(tag, context.uid, "REMOVEFROM", [*(removed if context.uid else removed.values())])

    async def changed(self, places: Sequence[int], first_new: int) -> None:
        session = self._session
        new = range(first_new, len(session.mailbox))
        if not (places or new) or not self._contexts:
            return
        if (len(places) + len(new)) * sum(context.looks for context in self._contexts.values()) > MOST_LOOKS:
            self._end(_TOO_MUCH)
            return
        looked_at = sorted({*places, *new})
        contents = Contents(session.desk.shelf, session.store, session.mailbox)
        search = Search(contents, session.here.owner, session.desk.now(), session.progress)
        try:
            lines = await session.blocking(lambda: [*self._look(search, looked_at)])
        except StorageError:
            self._end("What has changed cannot be read")
            raise
        for line in lines:
            session.write(line)
        if any(len(context.found) > MOST_FOUND for context in self._contexts.values()):
            self._end(_TOO_MUCH)

    def _look(self, search: Search, places: Sequence[int]) -> Iterator[bytes]:
        """What is to be told. Blocks. Raises StorageError."""
        uids = self._session.mailbox.uids
        for tag, context in self._contexts.items():
            before, now = {*context.found}, {*search.among(context.key, places)}
            added = [place for place in places if place in now and uids[place] not in before]
            removed = [place for place in places if place not in now and uids[place] in before]
            context.found = array("I", sorted((before | {uids[place] for place in added}) - {uids[place] for place in removed}))
            for word, some in (("ADDTO", added), ("REMOVEFROM", removed)):
                if some:
                    yield _line(tag, context.uid, word, [uids[place] if context.uid else place + 1 for place in some])

    def _end(self, why: str) -> None:
        for tag in self._contexts:
            self._refuse(tag, why)
        self._contexts.clear()

    def _refuse(self, tag: str, why: str) -> None:
        self._session.untagged(f'NO [NOUPDATE "{tag}"] {why}')


def _has(found: "array[int]", uid: int) -> bool:
    place = bisect_left(found, uid)
    return place < len(found) and found[place] == uid


def _line(tag: str, uid: bool, word: str, numbers: Sequence[int]) -> bytes:
    """At position 0: the results of SEARCH have no order of their own (RFC 5267 section 4.3.2)."""
    return f'* ESEARCH (TAG "{tag}"){" UID" if uid else ""} {word} (0 {set_text(numbers)})\r\n'.encode("ascii")


def _hangs_on_messages_alone(key: Key) -> bool:
    """Whether a message is found or not until it is changed itself: not by its age, nor by numbers that others will have."""
    match key:
        case And():
            return all(map(_hangs_on_messages_alone, key.keys))
        case Or():
            return _hangs_on_messages_alone(key.first) and _hangs_on_messages_alone(key.second)
        case Not():
            return _hangs_on_messages_alone(key.key)
        case Numbers():
            numbers = key.numbers
            return key.uid and not numbers.is_saved and all(None not in pair for pair in numbers.ranges)
        case _:
            return not isinstance(key, Age)
