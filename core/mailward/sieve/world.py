"""What does a run know of the world besides the script and the message? Values that are given, and questions it may ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from mailward.model.address import NULL_REVERSE_PATH, Address, ForwardPath, ReversePath


@dataclass(frozen=True, slots=True)
class Envelope:
    """Of the message, for this recipient. auth: who sent it, where an authenticated session did (RFC 5228 section 5.4)."""

    reverse_path: ReversePath = NULL_REVERSE_PATH
    forward_path: ForwardPath | None = None
    auth: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose script it is. addresses: all of theirs, the one they write from first. separator: of the detail in a local-part."""

    addresses: tuple[Address, ...] = ()
    separator: str = "+"


class Outside(Protocol):
    """The questions. The answers come at once, from what is known already; asking changes nothing."""

    def now(self) -> datetime:
        """The time, in the zone of the owner."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """An outside in which there is nothing, and the time stands still: for rehearsals."""

    at: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class World:
    """All of it. environment: the items of RFC 5183, by their names in lower case."""

    envelope: Envelope = Envelope()
    owner: Owner = Owner()
    outside: Outside = field(default_factory=Nothing)
    environment: Mapping[str, str] = field(default_factory=dict)
