"""For which mail does a canary count? For a share of senders, for those whom it names, or for a share for those.

The share is always of the same senders, so that mail that is deferred and comes again meets the same side. The reverse-path
decides, by a keyed hash: it is the same at every attempt and known at MAIL. Message-ID is known later, and an address of the peer
is another one when a large sender tries again. Without the key nobody can choose a reverse-path that is on a side of his liking.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from mailward.model.errors import Problem
from mailward.model.evidence import FactValue
from mailward.policy.directions import Direction
from mailward.policy.facts import nearest
from mailward.policy.ruling import RecipientFacts
from mailward.policy.whom import Whom


def canary_key(secret: bytes) -> bytes:
    """The key of an installation, made of its secret, of which nothing can be learnt by the sides that senders are on."""
    return blake2b(secret, digest_size=32, person=b"mailward canary").digest()


@dataclass(frozen=True, slots=True)
class Sender:
    """Of one mail transaction. address: its reverse-path, "" for the null one. groups: of the user who has logged in."""

    address: str
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, FactValue]) -> "Sender":
        """The sender that these facts tell of."""
        groups = facts.get("identity.groups", ())
        return cls(str(facts.get("mail_from.address", "")), groups if isinstance(groups, tuple) else ())


@dataclass(frozen=True, slots=True)
class Canary:
    """A plugin or a rule that counts for some mail, and else looks in shadow. kind: plugin or rule. share: percent of senders.

    senders, recipients: for whom it is. None: for all. where: "file:line:column" of its `for`.
    """

    kind: str
    name: str
    share: float | None = None
    senders: Whom | None = None
    recipients: Whom | None = None
    where: str = ""

    def counts_for(self, sender: Sender, recipient: RecipientFacts | None, key: bytes | None) -> bool:
        """recipient: None while nobody is named, so that one for some recipients counts for nobody yet.

        key: of this installation. None: nobody knows who is of a share, so nobody is.
        """
        if self.senders is not None and not self.senders.holds_for(sender.address, sender.groups):
            return False
        if self.recipients is not None and not (
            recipient is not None and self.recipients.holds_for(recipient.address, recipient.groups)
        ):
            return False
        return self.share is None or (key is not None and self._has_drawn(sender.address, key))

    def _has_drawn(self, reverse_path: str, key: bytes) -> bool:
        """The name is in the hash, so that not all canaries meet the same senders; a rule and a plugin of one name do."""
        octets = f"{self.name}\0{reverse_path.lower()}".encode("utf-8", "surrogateescape")
        drawn = int.from_bytes(blake2b(octets, digest_size=8, key=key).digest(), "big")
        return drawn * 100 < (self.share or 0.0) * 2**64

    def __str__(self) -> str:
        """As a list of what is in shadow tells it: "canary 5% to example.org"."""
        parts = [] if self.share is None else [f"{self.share:g}%"]
        parts += [] if self.senders is None else [f"from {self.senders}"]
        parts += [] if self.recipients is None else [f"to {self.recipients}"]
        return f"canary {' '.join(parts)}"


def nobodys(canaries: Iterable[Canary], direction: Direction, domains: Collection[str]) -> list[Problem]:
    """Canaries for domains whose mail does not come here, maybe by a slip. domains: ours."""
    problems = []
    for one in canaries:
        people, key = (one.recipients, "recipient") if direction == "inbound" else (one.senders, "sender")
        named = set() if people is None else {*people.domains, *(address.rpartition("@")[2] for address in people.addresses)}
        for domain in sorted(named.difference(domains)):
            path, hint = f"{one.kind}s.{one.name}.for.{key}", nearest(domain, domains) or "mailward domain list shows them."
            problems.append(Problem(one.where, path, f"'{domain}' is no domain of ours: it counts for nobody there", hint))
    return problems
