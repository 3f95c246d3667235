"""How many of a limited number of places may one sender have? Pure.

Whoever gets mail sent to many slow hosts of his own must not have them all (T-Q-16), and whoever is alone must not be held back
for nothing: so who has half of the places gets none of the last fifth.
"""

from collections import Counter

FIFTH = 5


class Places:
    """So many places, for connections or look-ups. taken: of these, by all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0
        self._by: Counter[str] = Counter()

    @property
    def are_left(self) -> bool:
        """For anybody."""
        return self.taken < self._most

    def may(self, sender: str) -> bool:
        """Is there a place for this one?"""
        left = self._most - self.taken
        return left > 0 and (left > self._most // FIFTH or 2 * self._by[sender] < self._most)

    def take(self, sender: str) -> None:
        self.taken += 1
        self._by[sender] += 1

    def free(self, sender: str) -> None:
        self.taken -= 1
        self._by[sender] -= 1
        if not self._by[sender]:
            del self._by[sender]
