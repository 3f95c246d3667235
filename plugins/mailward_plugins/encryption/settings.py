"""What an admin may set for the encryption plugin, and the facts it gives to policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeVar

from mailward.api import Facts, Settings, normalise_domain

T = TypeVar("T")

Level = Literal["opportunistic", "required", "verified"]


@dataclass(frozen=True)
class Bypass:
    """until: the last day (UTC) on which it holds. reason: for the log and for whoever asks."""

    until: date
    reason: str


@dataclass(frozen=True)
class EncryptionSettings(Settings):
    """domains: level by domain; `.example.org` is for every domain below it. default: for all others.

    opportunistic: encrypted where the other side can. required: never in clear. verified: and the other server proves its name
    (of those who connect to us none does, so there it is the same as required). dane, mta_sts: what domains publish about their
    mail hosts counts too. bypass: domains for which nothing at all is required for some days. heed_senders: a user's word that a
    message may go without TLS counts.
    """

    default: Level = "opportunistic"
    domains: Mapping[str, Level] = field(default_factory=dict)
    dane: bool = True
    mta_sts: bool = True
    bypass: Mapping[str, Bypass] = field(default_factory=dict)
    heed_senders: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError for a key that is no domain."""
        object.__setattr__(self, "domains", _by_a_labels(self.domains))
        object.__setattr__(self, "bypass", _by_a_labels(self.bypass))


@dataclass(frozen=True)
class EncryptionFacts(Facts):
    """required: the policy wants this mail encrypted. satisfied: it came over TLS."""

    required: bool = False
    satisfied: bool = False


def _by_a_labels(entries: Mapping[str, T]) -> dict[str, T]:
    return {_a_labels(name): value for name, value in entries.items()}


def _a_labels(name: str) -> str:
    dot = "." if name.startswith(".") else ""
    try:
        return dot + normalise_domain(name.removeprefix("."))
    except ValueError as error:
        raise ValueError(f"'{name[:80]}' is no domain: {error}") from None
