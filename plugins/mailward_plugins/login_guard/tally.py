"""Which names were tried in vain, from where? A key in the key-value store for each, which is gone when the window is over.

Keys are hashes, of the network and of the name: people type passwords into the field for names. Of too many the store forgets the
oldest, whoever tries what (T-DOS-16).
"""

from hashlib import blake2b

from mailward.api import KeyValue


class Tally:
    """Distinct names by network. most: so many are counted. window_s: how long a name counts after it was last tried."""

    def __init__(self, kv: KeyValue, most: int, window_s: float) -> None:
        self._kv = kv
        self._most = most
        self._window_s = window_s

    async def names(self, network: str) -> int:
        """How many distinct names were tried in vain from this network within the window."""
        return len(await self._kv.find(_hashed(network), limit=self._most))

    async def add(self, network: str, name: str) -> None:
        """Note a name."""
        key = _hashed(network) + _hashed(network, name.strip().casefold())
        await self._kv.put_many({key: b""}, expires_after_s=self._window_s)


def _hashed(*texts: str) -> bytes:
    return blake2b("\0".join(texts).encode("utf-8", "replace"), digest_size=8).digest()
