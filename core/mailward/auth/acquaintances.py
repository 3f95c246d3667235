"""Which networks have logged in to which account before? Kept over restarts, so that strangers hold up no owner (T-AUTH-01)."""

import hashlib
from contextlib import suppress

from mailward.api.services import KeyValue
from mailward.model.errors import StorageError


class Acquaintances:
    """What cannot be read or written counts as unknown: it costs a wait, and lets nobody in."""

    def __init__(self, kept: KeyValue) -> None:
        self._kept = kept

    async def knows(self, account: str, network: str) -> bool:
        key = _key(account, network)
        with suppress(StorageError):
            return key in await self._kept.get_many([key])
        return False

    async def add(self, account: str, network: str) -> None:
        with suppress(StorageError):
            await self._kept.put_many({_key(account, network): b""})


def _key(account: str, network: str) -> bytes:
    return hashlib.sha256(f"{account}\0{network}".encode("utf-8", "surrogatepass")).digest()
