"""Which names were tried in vain, from where, and when? Kept in the plugin's key-value store, bounded whoever tries what.

Networks share a fixed number of buckets. A bucket forgets what is older than the window whenever it is written, and the network
that was quiet longest when it grows too large. Names are kept as hashes: people type passwords into the field for names.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b

from mailward.api import KeyValue

BUCKETS = 4096
MOST_OCTETS = 60_000

Seen = Mapping[str, float]
"""Hash of a name -> when it was last tried, in seconds since 1970."""


class Tally:
    """Distinct names by network."""

    def __init__(self, kv: KeyValue, window_s: float) -> None:
        self._kv = kv
        self._window_s = window_s

    async def names(self, network: str, now: float) -> int:
        """How many distinct names were tried in vain from this network within the window."""
        key = _key(network)
        return len(self._fresh(_read((await self._kv.get_many([key])).get(key)), now).get(network, {}))

    async def add(self, network: str, name: str, now: float, most: int) -> int:
        """Note a name; the number of names from now on. A network that has `most` already stays as it is.

        Else whoever is turned away would add to what turns him away, and never be let in again.
        """
        key = _key(network)
        while True:
            octets = (await self._kv.get_many([key])).get(key)
            networks = self._fresh(_read(octets), now)
            seen = dict(networks.get(network, {}))
            if len(seen) >= most:
                return len(seen)
            seen[_hashed(network, name)] = now
            if await self._kv.change(key, octets, _written({**networks, network: seen})):
                return len(seen)

    def _fresh(self, networks: Mapping[str, Seen], now: float) -> dict[str, Seen]:
        since = now - self._window_s
        kept = {network: {name: at for name, at in seen.items() if since < at <= now} for network, seen in networks.items()}
        return {network: seen for network, seen in kept.items() if seen}


def _key(network: str) -> bytes:
    number = int.from_bytes(blake2b(network.encode(), digest_size=4).digest(), "big") % BUCKETS
    return f"bucket:{number}".encode()


def _hashed(network: str, name: str) -> str:
    return blake2b(f"{network}\0{name.strip().casefold()}".encode("utf-8", "replace"), digest_size=8).hexdigest()


def _read(octets: bytes | None) -> dict[str, Seen]:
    return {} if octets is None else json.loads(octets)


def _written(networks: dict[str, Seen]) -> bytes:
    octets = json.dumps(networks, separators=(",", ":")).encode()
    while len(octets) > MOST_OCTETS:
        quiet = min(networks, key=lambda network: max(networks[network].values()))
        del networks[quiet]
        octets = json.dumps(networks, separators=(",", ":")).encode()
    return octets
