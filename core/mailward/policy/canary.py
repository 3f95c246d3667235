"""For whom does a canary count? Always for the same senders, so that mail that is deferred and comes again meets the same side.

The reverse-path decides, by a hash: it is the same at every attempt and known at MAIL, where the first plugins look. Message-ID
and recipients are known later, and an address of the peer is another one when a large sender tries again.
"""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Canary:
    """A plugin or a rule that counts for a share of senders, and else looks in shadow. share: percent."""

    kind: str
    name: str
    share: float

    def counts_for(self, reverse_path: str) -> bool:
        """The name is in the hash, so that not all canaries meet the same senders; a rule and a plugin of one name do."""
        octets = sha256(f"{self.name}\0{reverse_path.lower()}".encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(octets[:8], "big") * 100 < self.share * 2**64
