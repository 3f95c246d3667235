"""Expunged mail goes back to where it lay."""

from collections import defaultdict
from collections.abc import Sequence

from mailward.model.ids import MailboxId
from mailward.store.base import AccountStore, Expunged
from mailward.store.ops import CreateMailbox, Undelete
from mailward.store.refusals import NoSuchMailbox


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
