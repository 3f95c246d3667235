"""Expunged mail goes back to where it lay."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.store.base import AccountStore, Expunged
from mailward.store.ops import CreateMailbox, Undelete
from mailward.store.refusals import NoSuchMailbox


def without_copies(store: AccountStore, left: Sequence[Expunged]) -> list[Expunged]:
    """Those of which no mailbox has a copy, with the same octets and internal date; of several that are alike the last.

    The store itself passes over what lies elsewhere. What came back out of a backup is another message to it.
    """
    if not left:
        return []
    gone = [one.message for one in left]
    there = {message for info in store.mailboxes() for message in store.view(info.id).messages}
    messages = [*gone, *sorted(there)]
    likeness = dict(zip(messages, store.meta(messages, ["size_octets", "internal_date"]), strict=True))
    times = Counter(likeness.values())
    alike = {likeness[message] for message in gone if times[likeness[message]] > 1}
    compared = [message for message in messages if likeness[message] in alike]  # no others are read
    copies: dict[int, object] = {}
    for message, body in zip(compared, store.bodies(compared), strict=True):
        if not isinstance(body, StorageError):
            copies[message] = (likeness[message], hashlib.blake2b(body).digest())
    seen = {copies[message] for message in there & copies.keys()}
    kept = []
    for one in reversed(left):
        copy = copies.get(one.message, one.message)
        if copy not in seen:
            kept.append(one)
            seen.add(copy)
    return kept[::-1]


def put_back(store: AccountStore, left: Sequence[Expunged], into: str | None) -> dict[str, int]:
    """All of it or none. into: a mailbox for all of it; each message's own without, made again where it has been deleted.

    A mailbox that is made is shared with nobody: who may see what is above it was not, by that, shown this mail.
    How many went into each mailbox. Raises StoreRefusal, StorageError.
    """
    messages: defaultdict[str, list[int]] = defaultdict(list)
    for one in left:
        messages[into or one.mailbox_name].append(one.message)
    results = store.apply([Undelete(_mailbox(store, name), tuple(of_it)) for name, of_it in messages.items()])
    return {name: len(result.uids) for name, result in zip(messages, results, strict=True)}


def _mailbox(store: AccountStore, name: str) -> MailboxId:
    try:
        return store.mailbox(name).id
    except NoSuchMailbox:
        return store.apply([CreateMailbox(name, inherit=False)])[0].mailbox
