"""How well must a connection be protected, and who wants it so? The strictest of several requirements wins."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class TlsLevel(enum.Enum):
    """Opportunistic: encrypted where the peer offers it. Required: never in clear. Verified: and the peer proves whose it is."""

    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"

    @property
    def strength(self) -> int:
        """0 is the weakest."""
        return _STRENGTH[self]


_STRENGTH = {TlsLevel.OPPORTUNISTIC: 0, TlsLevel.REQUIRED: 1, TlsLevel.VERIFIED: 2}


@dataclass(frozen=True, slots=True)
class TlsRequirement:
    """why: one plain sentence that ends up in the log, in `explain` and in a bounce."""

    level: TlsLevel
    why: str


def strictest(requirements: Iterable[TlsRequirement]) -> TlsRequirement:
    """The one to keep; opportunistic when there is none. Of equals the first."""
    return max(
        requirements, key=lambda r: r.level.strength, default=TlsRequirement(TlsLevel.OPPORTUNISTIC, "nobody asks for TLS")
    )
