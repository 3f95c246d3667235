"""Searches and sorts of which a client is told what is found, and no longer found, when messages change (CONTEXT=SEARCH and
CONTEXT=SORT of RFC 5267)."""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailward.access.imap.contents import Contents
from mailward.access.imap.searching import Search, looks
from mailward.access.imap.selected import without
from mailward.access.imap.sorting import in_order_among
from mailward.access.imap.working import No, Working
from mailward.model.errors import StorageError
from mailward.protocol.imap.arguments import set_text
from mailward.protocol.imap.search import Age, And, Key, Not, Numbers, Or
from mailward.protocol.imap.sorting import Criterion

MOST_CONTEXTS = 4
"""Of one session."""
MOST_FOUND = 100_000
"""Messages of one context, which are kept in memory (T-DOS-06)."""
MOST_LOOKS = 10_000
"""At once into messages that have changed, counting each for every key of all contexts that looks into it (T-DOS-08)."""
_TOO_MUCH = "Too much has changed at once, please search again"


@dataclass(slots=True)
class _Context:
    """uid: UIDs are told, not sequence numbers. found: UIDs, in the order of the criteria, ascending without any. looks: keys
    and criteria that look into messages, 1 at least."""

    key: Key
    looks: int
    uid: bool
    criteria: Sequence[Criterion]
    found: "array[int]"

    def places_of(self, uids: Collection[int]) -> list[int]:
        """Where in `found` those of the UIDs are that are there, ascending."""
        if self.criteria:
            return [place for place, uid in enumerate(self.found) if uid in uids]
        places = ((bisect_left(self.found, uid), uid) for uid in sorted(uids))
        return [place for place, uid in places if place < len(self.found) and self.found[place] == uid]


class Contexts:
    """Of one session's selected mailbox."""

    def __init__(self, session: Working) -> None:
        self._session = session
        self._contexts: dict[str, _Context] = {}

    def __bool__(self) -> bool:
        """There are some."""
        return bool(self._contexts)

    @property
    def count(self) -> int:
        """Of the results of all."""
        return sum(len(context.found) for context in self._contexts.values())

    def begin(self, key: Key, places: Sequence[int], *, uid: bool, criteria: Sequence[Criterion] = ()) -> None:
        """By the command under way, with what it found, in the order of the criteria. Where that cannot be, the client is told
        so, and has the results all the same."""
        tag = self._session.tag.decode("ascii")
        if len(self._contexts) == MOST_CONTEXTS or tag in self._contexts:
            self._refuse(tag, "There are too many, or one of that tag")
        elif len(places) > MOST_FOUND:
            self._refuse(tag, "Too many messages are found")
        elif not _hangs_on_messages_alone(key):
            self._refuse(tag, "What such a search finds changes without any change of a message")
        else:
            uids = self._session.mailbox.uids
            found = array("I", [uids[place] for place in places])
            self._contexts[tag] = _Context(key, max(looks(key) + len(criteria), 1), uid, criteria, found)

    def cancel(self, tags: Sequence[str]) -> None:
        """Raises No."""
        if unknown := [tag for tag in tags if self._contexts.pop(tag, None) is None]:
            raise No(f"Nothing is told of {len(unknown)} of them")

    def forget(self) -> None:
        """All of them, as the mailbox is left. A thread that still looks has those that there were."""
        self._contexts = {}

    def gone(self, uids: Sequence[int], numbers: Sequence[int]) -> Iterator[bytes]:
        """What is to be told before these messages are told to be expunged. numbers: sequence numbers, of each; both ascend.
        All results are looked through."""
        number_of = dict(zip(uids, numbers, strict=True))
        for tag, context in self._contexts.items():
            yield from _removed(tag, context, context.places_of(number_of), number_of)

    async def changed(self, places: Sequence[int], first_new: int) -> None:
        """Tell of messages that have other flags, and of the new ones from that place on. Raises StorageError."""
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
            lines = await session.blocking(lambda: [*self._look(search, contents, looked_at)])
        except StorageError:
            self._end("What has changed cannot be read")
            raise
        for line in lines:
            session.write(line)
        if any(len(context.found) > MOST_FOUND for context in self._contexts.values()):
            self._end(_TOO_MUCH)

    def _look(self, search: Search, contents: Contents, places: Sequence[int]) -> Iterator[bytes]:
        """What is to be told. Blocks. Raises StorageError."""
        uids = contents.selected.uids
        number_of = {uids[place]: place + 1 for place in places}
        for tag, context in self._contexts.items():
            now = {uids[place] for place in search.among(context.key, places)}
            before = context.places_of(number_of)
            added = now.difference(context.found[at] for at in before)
            yield from _removed(tag, context, [at for at in before if context.found[at] not in now], number_of)
            if added:
                context.found = array("I", _with(contents, context, added))
                yield _line(tag, context, "ADDTO", _runs(context, context.places_of(added)), number_of)

    def _end(self, why: str) -> None:
        for tag in self._contexts:
            self._refuse(tag, why)
        self._contexts.clear()

    def _refuse(self, tag: str, why: str) -> None:
        self._session.untagged(f'NO [NOUPDATE "{tag}"] {why}')


def _with(contents: Contents, context: _Context, added: Collection[int]) -> Sequence[int]:
    """What is found together with these UIDs."""
    if context.criteria:
        return in_order_among(contents, context.found, added, context.criteria)
    return sorted([*context.found, *added])


def _removed(tag: str, context: _Context, places: Sequence[int], number_of: Mapping[int, int]) -> Iterator[bytes]:
    """The last ones first, so that each position is right when the client comes to it."""
    if places:
        yield _line(tag, context, "REMOVEFROM", _runs(context, places)[::-1], number_of)
        context.found = without(context.found, places)


def _runs(context: _Context, places: Sequence[int]) -> list[tuple[int, Sequence[int]]]:
    """Places that follow each other in what is found: the position of the first, from 1 upwards, and the UIDs of all. Results of
    SEARCH have no order of their own, so all of them are at position 0 (RFC 5267 section 4.3.2)."""
    if not context.criteria:
        return [(0, [context.found[place] for place in places])]
    runs = list[tuple[int, list[int]]]()
    for place in places:
        if not runs or place + 1 != runs[-1][0] + len(runs[-1][1]):
            runs.append((place + 1, []))
        runs[-1][1].append(context.found[place])
    return [*runs]


def _line(
    tag: str, context: _Context, word: str, runs: Sequence[tuple[int, Sequence[int]]], number_of: Mapping[int, int]
) -> bytes:
    """number_of: the sequence number of each UID."""
    sets = (f"{position} {set_text(uids if context.uid else [number_of[uid] for uid in uids])}" for position, uids in runs)
    return f'* ESEARCH (TAG "{tag}"){" UID" if context.uid else ""} {word} ({" ".join(sets)})\r\n'.encode("ascii")


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
