"""COPY and MOVE to where the store cannot do it by itself: to somebody else's mailbox, or to one that does not take all flags.

The messages are stored once more, first, by the quota of whoever they come to; then a MOVE removes them. A crash between the two
leaves both, and whoever moves them again finds the first one done: what is moved has a delivery key of its own. The key names its
octets too, so that nothing is ever taken for done, and removed, of which the target has no copy.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b

from mailward.access.imap.reach import Reached
from mailward.access.imap.rights import settable
from mailward.model.ids import AccountId, MailboxId, Uid
from mailward.store.base import MailboxView
from mailward.store.deliveries import MOVED
from mailward.store.flags import names_of
from mailward.store.ops import Append, Expunge, OpResult
from mailward.store.refusals import TooMany

MAX_OCTETS = 64 * 1024 * 1024
"""Of one command, since all of it is stored or nothing, and so is in memory at once. `carry` runs alone
(`Threads.run_alone`)."""


def carry(source: Reached, uids: Sequence[Uid], target: Reached, *, move: bool) -> OpResult:
    """What the op `Copy` would say. Blocks. Raises StoreRefusal and StorageError; then nothing has been done."""
    view = source.store.view(source.info.id)
    places = [place for uid in uids if (place := bisect_left(view.uids, uid)) < len(view.uids) and view.uids[place] == uid]
    sizes = source.store.meta([view.messages[place] for place in places], ("size_octets",))
    if sum(int(size) for (size,) in sizes) > MAX_OCTETS:
        raise TooMany(f"One command carries {MAX_OCTETS // 2**20} MB to another account at most; take fewer messages")
    carried = dict(_appends(source, view, places, target, move=move))
    if not carried:
        return OpResult(target.info.id)
    added = _store(target, [*carried.values()])
    if move:
        source.store.apply([Expunge(source.info.id, tuple(carried))])
    return OpResult(target.info.id, target.info.uidvalidity, added, sources=tuple(carried))


def _appends(
    source: Reached, view: MailboxView, places: Sequence[int], target: Reached, *, move: bool
) -> Iterator[tuple[Uid, Append]]:
    """By their UIDs, those that are still there."""
    store = source.store
    emails = store.entry_meta(source.info.id, [view.uids[place] for place in places], ("email",))
    dates = store.meta([view.messages[place] for place in places], ("internal_date",))
    for place, email, (date,) in zip(places, emails, dates, strict=True):
        if email is not None:
            names = names_of(view.flags[place], view.keywords)
            octets = bytes(store.octets(view.messages[place]))
            key = key_of_moved(source.owner, int(email[0] or 0), octets, target.info.id) if move else None
            at = datetime.fromtimestamp(int(date), UTC)
            yield Uid(view.uids[place]), Append(target.info.id, octets, at, settable(names, target.rights), key)


def key_of_moved(owner: AccountId, email: int, octets: bytes, target: MailboxId) -> str:
    """The delivery key of what is moved there."""
    return f"{MOVED}{owner}:{email}:{target}:{blake2b(octets, digest_size=16).hexdigest()}"


def _store(target: Reached, appends: Sequence[Append]) -> tuple[int, ...]:
    """The UID of each. What an earlier try has stored counts as long as it is where it was put."""
    results = [*target.apply(appends)]
    known = [number for number, result in enumerate(results) if result.duplicate]
    there = target.store.entry_meta(target.info.id, [results[number].uids[0] for number in known], ("email",))
    for number, entry in zip(known, there, strict=True):
        if entry is None:
            (results[number],) = target.apply([replace(appends[number], delivery_key=None)])
    return tuple(result.uids[0] for result in results)
