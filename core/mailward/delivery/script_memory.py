"""What scripts remember: who has had a reply (RFC 5230), and which mail was seen (RFC 7352). One memory, of the queue process.

What a delivery has noted is no news to the same delivery: it may be repeated after a crash, and does all of it again.
"""

import hashlib

from mailward.api.services import KeyValue
from mailward.delivery.mda import Copy


class ScriptMemory:
    """Belongs to the loop of its values."""

    def __init__(self, values: KeyValue) -> None:
        self._values = values

    async def holds(self, copy: Copy, what: str) -> bool:
        """Has another delivery to this account noted it, and is its time not over? Raises StorageError."""
        key = _key(copy, what)
        noted = (await self._values.get_many([key])).get(key)
        return noted is not None and noted != copy.delivery_key.encode()

    async def note(self, copy: Copy, what: str, period_s: int) -> None:
        """For so long; nothing for no time. Raises StorageError."""
        if period_s > 0:
            await self._values.put_many({_key(copy, what): copy.delivery_key.encode()}, expires_after_s=period_s)


def _key(copy: Copy, what: str) -> bytes:
    return hashlib.sha256(f"{copy.recipient.account}\0{what}".encode()).digest()
