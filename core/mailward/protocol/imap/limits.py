"""How much may a client send in one command, and is there room in memory for it?"""

from dataclasses import dataclass
from typing import Protocol

ID_OCTETS = 34 * 1024
"""ID may be as long as its own limits allow, before login too: 30 fields of 30 octets, values of 1024 (RFC 2971 section 3.3)."""

MOST_LITERALS = 1000
"""Of one command, so that what each costs besides its octets has an end (T-IMAP-03). Mail programs send a few."""


@dataclass(frozen=True, slots=True)
class Limits:
    """line_octets: the text of a command. literal_octets: one literal but APPEND's. all_octets: text and literals together.

    append_octets: APPEND's messages together; 0 where APPEND is not allowed yet.
    """

    line_octets: int = 8192
    literal_octets: int = 4096
    all_octets: int = 16384
    append_octets: int = 0


BEFORE_LOGIN = Limits()


def after_login(append_octets: int) -> Limits:
    """The limits of a session that is logged in."""
    return Limits(65536, 65536, 65536, append_octets)


class IncomingRoom(Protocol):
    """In memory, for APPEND's messages."""

    def has_room(self, octets: int) -> bool:
        """Whether so many more, which are announced, could come now. Nothing is kept for them."""
        ...

    def claim(self, octets: int) -> bool:
        """Whether so many more, which have come, may stay until the command has been carried out."""
        ...

    def give_back(self) -> None:
        """Nothing is kept of what has come."""
        ...


class _AlwaysRoom:
    def has_room(self, octets: int) -> bool:
        return True

    def claim(self, octets: int) -> bool:
        return True

    def give_back(self) -> None:
        pass


ALWAYS_ROOM: IncomingRoom = _AlwaysRoom()
"""Of who counts nothing."""
