"""How long does a refusal take at least? As long as the slowest password hash that is kept, whosever name was typed (T-AUTH-04).

Hashes of other servers take what their parameters ask for, from one millisecond to seconds. One of each kind is measured.
Doing the work of the slowest for every name would look alike too, and be a gift to who sends passwords in floods.
"""

import threading
import time
from collections.abc import Callable, Iterable

from mailward.auth.foreign_hashes import parameters_of

REFUSAL_S = 0.3
"""No refusal comes sooner: what was refused without hashing anything looks like what was hashed, even twice."""
SLACK = 3.0
"""So many times the slowest work: it may be done twice, where a code may stand behind the password, and on a busy machine."""
LOOK_EVERY_S = 60.0
"""Accounts with hashes of other servers come by imports, and go one by one."""
MOST_KINDS = 32
"""Are measured at a look; there are a few as a rule."""


class RefusalTime:
    """foreign: the hashes that are kept and not ours. work_s: how long one takes to be compared, which is measured by doing it.

    Both block. now: a clock in seconds that only goes forward.
    """

    def __init__(
        self,
        foreign: Callable[[], Iterable[str]],
        work_s: Callable[[str], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._foreign = foreign
        self._work_s = work_s
        self._now = now
        self._known: dict[str, float] = {}
        self._least_s = REFUSAL_S
        self._look_at: float | None = None
        self._lock = threading.Lock()

    def least_s(self) -> float:
        """Blocks, and whoever else asks meanwhile: at the first call while each kind of hash is measured, later once in
        `LOOK_EVERY_S` while those of new kinds and the slowest are. Raises StorageError."""
        with self._lock:
            if self._look_at is None or self._now() >= self._look_at:
                self._least_s = max(REFUSAL_S, SLACK * max(self._works(), default=0.0))
                self._look_at = self._now() + LOOK_EVERY_S
            return self._least_s

    def _works(self) -> list[float]:
        """Of each kind that is kept now."""
        samples = {parameters_of(hash_): hash_ for hash_ in self._foreign()}
        new = [kind for kind in samples if kind not in self._known]
        for kind in new[:MOST_KINDS]:
            self._known[kind] = self._work_s(samples[kind])
        works = {kind: self._known[kind] for kind in samples if kind in self._known}
        if works:  # the slowest again: it may have been measured while the machine was busy
            slowest = max(works, key=works.__getitem__)
            works[slowest] = self._known[slowest] = min(works[slowest], self._work_s(samples[slowest]))
        return [*works.values()]
