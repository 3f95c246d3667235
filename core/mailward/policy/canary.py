"""For which mail does a canary count? For a share of senders, for the mail that it names, or for a share of that.

The share is always of the same senders, so that mail that is deferred and comes again meets the same side. The reverse-path
decides, by a keyed hash: it is the same at every attempt and known at MAIL. Message-ID is known later, and an address of the peer
is another one when a large sender tries again. Without the key nobody can choose a reverse-path that is on a side of his liking.
"""

from dataclasses import dataclass
from hashlib import blake2b

from mailward.policy.scope import EVERYTHING, Scope


def canary_key(secret: bytes) -> bytes:
    """The key of an installation, made of its secret, of which nothing can be learnt by the sides that senders are on."""
    return blake2b(secret, digest_size=32, person=b"mailward canary").digest()


@dataclass(frozen=True, slots=True)
class Canary:
    """A plugin or a rule that counts for some mail, and else looks in shadow. kind: plugin or rule. share: percent of senders.

    scope: the mail it is for. where: "file:line:column" of its `for`.
    """

    kind: str
    name: str
    share: float | None = None
    scope: Scope = EVERYTHING
    where: str = ""

    def draws(self, reverse_path: str, key: bytes | None) -> bool:
        """This sender is of its share. key: of this installation. None: nobody knows who is of a share, so nobody is.

        The name is in the hash, so that not all canaries meet the same senders; a rule and a plugin of one name do.
        """
        if self.share is None or key is None:
            return self.share is None
        octets = f"{self.name}\0{reverse_path.lower()}".encode("utf-8", "surrogateescape")
        drawn = int.from_bytes(blake2b(octets, digest_size=8, key=key).digest(), "big")
        return drawn * 100 < self.share * 2**64

    def __str__(self) -> str:
        """As a list of what is in shadow tells it: "canary 5% to example.org"."""
        parts = ["canary", "" if self.share is None else f"{self.share:g}%", str(self.scope)]
        return " ".join(part for part in parts if part)
