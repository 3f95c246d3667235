"""How much of messages may be on its way from clients at once? What has come of them is in memory, and counted nowhere else.

What is announced takes no room, only what has come. Who is long about it holds up nobody: where there is no room left, what slow
clients have sent so far makes way, the largest first.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
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

    @property
    def is_sending(self) -> bool:
        """Messages of its command are still coming; of one whose messages have all come nothing can be given up."""
        ...

    def give_up(self) -> None:
        """Give back what was claimed for messages that are coming; the client is told."""
        ...


@dataclass(slots=True)
class _Underway:
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
        self._underway: dict[Sender, _Underway] = {}
        self._all = 0
        self._of: Counter[AccountId] = Counter()

    def has_room(self, sender: Sender, octets: int, message_octets: int) -> bool:
        """Whether so many more could come now; nothing is kept for them. message_octets: as of `claim`."""
        if sender.account is None or self._of[sender.account] + octets > MESSAGES * message_octets:
            return False
        return self._making_way(sender, self._excess(octets, message_octets)) is not None

    def claim(self, sender: Sender, octets: int, message_octets: int) -> bool:
        """Whether there is room for so many more. message_octets: the largest message; one alone has room however large it is."""
        account = sender.account
        if account is None or self._of[account] + octets > MESSAGES * message_octets:
            return False
        others = self._making_way(sender, self._excess(octets, message_octets))
        if others is None:
            return False
        for other in others:
            other.give_up()
        self._underway.setdefault(sender, _Underway(account, self._now())).octets += octets
        self._of[account] += octets
        self._all += octets
        return True

    def give_back(self, sender: Sender) -> None:
        """All that it has claimed."""
        underway = self._underway.pop(sender, None)
        if underway is not None:
            self._all -= underway.octets
            self._of[underway.account] -= underway.octets
            if not self._of[underway.account]:
                del self._of[underway.account]

    def _excess(self, octets: int, message_octets: int) -> int:
        """So many are too many."""
        return self._all + octets - max(self._most, message_octets)

    def _slow(self) -> Iterator[tuple[Sender, _Underway]]:
        """Those that have been under way for long; they are in the order in which they began."""
        until = self._now() - SLOW_S
        return takewhile(lambda pair: pair[1].since < until, self._underway.items())

    def _making_way(self, sender: Sender, excess: int) -> list[Sender] | None:
        """Who is to give up so that there is so much more room: slow ones, the largest first. None where that would not do.

        A slow sender pushes out only those that hold more than itself.
        """
        found: list[Sender] = []
        if excess <= 0:
            return found
        for other, underway in sorted(self._slow(), key=lambda pair: pair[1].octets, reverse=True):
            if other is sender:
                break
            if other.is_sending:
                found.append(other)
                excess -= underway.octets
                if excess <= 0:
                    return found
        return None
