"""What does a run know of the world besides the script and the message? Values that are given, and questions it may ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from mailward.model.address import NULL_REVERSE_PATH, Address, ForwardPath, ReversePath

Location = Literal["personal", "global"]
"""Whose a script is: the owner's, or everybody's (RFC 6609 section 3.2)."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Of the message, for this recipient. forward_path: as it was asked for. is_alias: it is no address of the owner, but an
    alias or a catch-all that led there. auth: who sent it, where an authenticated session did (RFC 5228 section 5.4).
    """

    reverse_path: ReversePath = NULL_REVERSE_PATH
    forward_path: ForwardPath | None = None
    is_alias: bool = False
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

    def mailbox_exists(self, name: str) -> bool:
        """Whether mail can be stored there now."""

    def mailbox_with_use(self, use: str) -> str | None:
        """The name of the mailbox with this special use, as "\\Junk", compared without case (RFC 6154)."""

    def uses_of(self, mailbox: str) -> frozenset[str]:
        """The special uses of a mailbox."""

    def mailbox_with_id(self, mailbox_id: str) -> str | None:
        """The name of the mailbox with this MAILBOXID (RFC 8474)."""

    def is_marked(self, key: str) -> bool:
        """Whether an earlier run has left this mark (RFC 7352), and its period is not over."""

    def script(self, location: Location, name: str) -> bytes | None:
        """A script to be included (RFC 6609); None where there is none."""

    def has_list(self, name: str) -> bool:
        """Whether scripts may ask for this list, by its URI in the form of `lists.list_name` (RFC 6134)."""

    def first_listed(self, names: Sequence[str], values: Sequence[str]) -> str | None:
        """The first of the values that is on any of these lists, which there are; None where none is."""

    def listed_addresses(self, name: str, most: int) -> Sequence[str] | None:
        """Of a list that there is, so many at most; None where it has something else on it."""

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        """The value of an annotation of a mailbox, or of the server; None where there is none (RFC 5490 section 3)."""


@dataclass(frozen=True)
class Nothing:
    """An outside in which there is nothing, and the time stands still: for rehearsals."""

    at: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def mailbox_exists(self, name: str) -> bool:
        return name.upper() == "INBOX"

    def mailbox_with_use(self, use: str) -> str | None:
        return None

    def uses_of(self, mailbox: str) -> frozenset[str]:
        return frozenset()

    def mailbox_with_id(self, mailbox_id: str) -> str | None:
        return None

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        return None

    def is_marked(self, key: str) -> bool:
        return False

    def has_list(self, name: str) -> bool:
        return False

    def first_listed(self, names: Sequence[str], values: Sequence[str]) -> str | None:
        return None

    def listed_addresses(self, name: str, most: int) -> Sequence[str] | None:
        return None

    def script(self, location: Location, name: str) -> bytes | None:
        return None


@dataclass(frozen=True, slots=True)
class World:
    """All of it. environment: the items of RFC 5183, by their names in lower case.

    spam_percent: how surely the message is spam, None where nobody looked. virus: 0 where nobody looked, 1 for clean to 5 for
    surely infected (RFC 5235 section 3.3). flags: that the message has already.
    """

    envelope: Envelope = Envelope()
    owner: Owner = Owner()
    outside: Outside = field(default_factory=Nothing)
    environment: Mapping[str, str] = field(default_factory=dict)
    spam_percent: float | None = None
    virus: int = 0
    flags: tuple[str, ...] = ()
