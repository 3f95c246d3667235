"""How much of messages may be on its way from clients at once? What is half sent is in memory, and counted nowhere else."""

from collections import Counter

from mailward.model.ids import AccountId

PROCESS_OCTETS = 256 * 1024 * 1024
"""Of all accounts that a process serves."""
MESSAGES = 2
"""Of the largest size, of one account."""


class Incoming:
    """Octets of APPEND's literals that were announced, until their command has been carried out. octets: at most."""

    def __init__(self, octets: int = PROCESS_OCTETS) -> None:
        self._most = octets
        self._all = 0
        self._of: Counter[AccountId] = Counter()

    def claim(self, account: AccountId, octets: int, message_octets: int) -> bool:
        """Whether there is room for so many more. message_octets: the largest message; one alone has room however large it is."""
        if self._of[account] + octets > MESSAGES * message_octets or self._all + octets > max(self._most, message_octets):
            return False
        self._of[account] += octets
        self._all += octets
        return True

    def give_back(self, account: AccountId, octets: int) -> None:
        """What was claimed."""
        self._all -= octets
        self._of[account] -= octets
        if not self._of[account]:
            del self._of[account]
