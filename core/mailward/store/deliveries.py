"""What has been delivered, by the keys that its deliveries bore: so what is delivered twice is stored once.

What is moved from another account or imported bears a key for the same reason, and is no delivery. Its keys begin with words that
are no queue id.
"""

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby

from mailward.model.ids import MailboxId, QueueId, Uid
from mailward.store.base import Delivered, Place
from mailward.store.blocks import Blocks
from mailward.store.flags import names_of

MOVED = "moved:"
IMPORTED = "import:"

_DELIVERED = """
    SELECT key, delivery.message, entry.mailbox, entry.uid, mailbox.keywords
    FROM delivery LEFT JOIN entry ON entry.message = delivery.message LEFT JOIN mailbox ON mailbox.id = entry.mailbox
    WHERE key >= ? || ':' AND key < ? || ';' ORDER BY key, entry.mailbox, entry.uid
"""


def find(connection: sqlite3.Connection, key: str | None) -> tuple[MailboxId, int] | None:
    """Mailbox and UID that a delivery was given; None where there was none, as of what bears no key."""
    if key is None:
        return None
    row: tuple[MailboxId, int] | None = connection.execute("SELECT mailbox, uid FROM delivery WHERE key = ?", (key,)).fetchone()
    return row


def is_delivery(key: str | None) -> bool:
    """Whether what bears this key comes by the queue or from the quarantine."""
    return key is not None and not key.startswith((MOVED, IMPORTED))


def known(connection: sqlite3.Connection, keys: Sequence[str]) -> frozenset[str]:
    """Those of the keys that have been delivered."""
    query = "SELECT key FROM delivery WHERE key IN (SELECT value FROM json_each(?))"
    return frozenset(key for (key,) in connection.execute(query, (json.dumps(keys),)))


def load(connection: sqlite3.Connection, id: QueueId) -> tuple[Delivered, ...]:
    """Every copy of a message of the queue, with all places where it lies."""
    rows = connection.execute(_DELIVERED, (id, id)).fetchall()
    blocks = Blocks(connection)
    found = []
    for (key, message), of_key in groupby(rows, key=lambda row: row[:2]):
        places = [
            Place(MailboxId(mailbox), Uid(uid), names_of(blocks.flags(mailbox, (uid,))[uid], keywords.split()))
            for _, _, mailbox, uid, keywords in of_key
            if mailbox is not None
        ]
        found.append(Delivered(key, message, tuple(places)))
    return tuple(found)
