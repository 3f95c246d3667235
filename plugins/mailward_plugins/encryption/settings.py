"""What an admin may set for the encryption plugin, and the facts it gives to policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mailward.api import Facts, Settings, normalise_domain

Level = Literal["opportunistic", "required", "verified"]


@dataclass(frozen=True)
class EncryptionSettings(Settings):
    """domains: level by domain; `.example.org` is for every domain below it. default: for all others.

    opportunistic: encrypted where the other side can. required: never in clear. verified: and the other server proves its name
    (of those who connect to us none does, so there it is the same as required). heed_senders: a user's word that a message may go
    without TLS counts.
    """

    default: Level = "opportunistic"
    domains: Mapping[str, Level] = field(default_factory=dict)
    heed_senders: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError for a key that is no domain."""
        object.__setattr__(self, "domains", {_a_labels(name): level for name, level in self.domains.items()})


@dataclass(frozen=True)
class EncryptionFacts(Facts):
    """required: the policy wants this mail encrypted. satisfied: it came over TLS."""

    required: bool = False
    satisfied: bool = False


def _a_labels(name: str) -> str:
    dot = "." if name.startswith(".") else ""
    try:
        return dot + normalise_domain(name.removeprefix("."))
    except ValueError as error:
        raise ValueError(f"'{name[:80]}' is no domain: {error}") from None
