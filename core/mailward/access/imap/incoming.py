"""How much of messages may be on its way from clients at once? What has come of them is in memory, and counted nowhere else.

What is announced takes no room, only what has come. Who is long about it holds up nobody: where there is no room left, what slow
clients have sent so far makes way, the largest first.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailward.model.ids import AccountId

PROCESS_OCTETS = 256 * 1024 * 1024
"""Of all accounts that a process serves."""
MESSAGES = 2
"""Of the largest size, of one account."""
SLOW_S = 60.0
"""So long may a command be under way before it is one that makes way: 3.3 Mbit/s for a message of 25 MB."""


class Sender(Protocol):
    """A session."""

    @property
    def account(self) -> AccountId | None:
        """Whose messages they are; None, who has no room, before login."""
        ...

    def give_up(self) -> bool:
        """Give back what was claimed for messages that are coming; the client is told. False where all of them have come."""
        ...


@dataclass(slots=True)
class _Part:
    """What came for one command, which began then."""

    account: AccountId
    since: float
    octets: int = 0


class Incoming:
    """Octets of APPEND's messages that have come, until their command has been carried out. octets: at most. now: a clock in
    seconds that only goes forward."""

    def __init__(self, octets: int = PROCESS_OCTETS, now: Callable[[], float] = time.monotonic) -> None:
        self._most = octets
        self._now = now
        self._parts: dict[Sender, _Part] = {}

    def has_room(self, sender: Sender, octets: int, message_octets: int) -> bool:
        """Whether so many more could come now; nothing is kept for them. message_octets: as of `claim`."""
        slow = sum(part.octets for other, part in self._parts.items() if other is not sender and self._is_slow(part))
        return self._may_have(sender, octets, message_octets) and self._excess(octets, message_octets) <= slow

    def claim(self, sender: Sender, octets: int, message_octets: int) -> bool:
        """Whether there is room for so many more. message_octets: the largest message; one alone has room however large it is."""
        account = sender.account
        if account is None or not self._may_have(sender, octets, message_octets):
            return False
        excess = self._excess(octets, message_octets)
        if excess > 0 and not self._freed(sender, excess):
            return False
        self._parts.setdefault(sender, _Part(account, self._now())).octets += octets
        return True

    def give_back(self, sender: Sender) -> None:
        """All that it has claimed."""
        self._parts.pop(sender, None)

    def _may_have(self, sender: Sender, octets: int, message_octets: int) -> bool:
        held = sum(part.octets for part in self._parts.values() if part.account == sender.account)
        return held + octets <= MESSAGES * message_octets

    def _excess(self, octets: int, message_octets: int) -> int:
        """So many are too many."""
        return sum(part.octets for part in self._parts.values()) + octets - max(self._most, message_octets)

    def _is_slow(self, part: _Part) -> bool:
        return self._now() - part.since > SLOW_S

    def _freed(self, sender: Sender, excess: int) -> bool:
        """So much or more, by the largest of slow ones; nothing where the sender is that."""
        slow = [(part.octets, other) for other, part in self._parts.items() if self._is_slow(part)]
        for octets, other in sorted(slow, key=lambda pair: pair[0], reverse=True):
            if excess <= 0 or other is sender:
                break
            if other.give_up():
                excess -= octets
        return excess <= 0
