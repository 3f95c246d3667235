"""POP3's unique-ids (RFC 1939 section 7), as the server tells them and an export writes them."""

import re
from collections.abc import Sequence

from mailward.store.base import AccountStore, MailboxInfo

_UNIQUE_ID = re.compile(r"[!-~]{1,70}")


def unique_ids(store: AccountStore, mailbox: MailboxInfo, uids: Sequence[int]) -> list[str]:
    """Of all messages of a mailbox, whose UIDs these are: no two are the same, and none is ever used for another message.

    What a message had at the server from which it was moved in stays, so that clients know it again, unless it is one of ours
    or no client could read it. The store takes each once.
    """
    found = [f"{mailbox.uidvalidity:08x}{uid:08x}" for uid in uids]
    taken = set(found)
    for place, entry in enumerate(store.entry_meta(mailbox.id, uids, ["pop3_uidl"])):
        theirs = entry[0] if entry else None
        if isinstance(theirs, str) and theirs not in taken and _UNIQUE_ID.fullmatch(theirs):
            found[place] = theirs
            taken.add(theirs)
    return found
