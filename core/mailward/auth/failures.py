"""How long must this login attempt wait? One count of failures for each account, network and pair of both (T-AUTH-01).

Attempts take slots: the next one on a key may start only a delay after the last, and the delay doubles with each failure. So
a hundred connections at once guess no faster than one. Memory is bounded: the keys used longest ago are forgotten, and with the
process all of them.
"""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailureLimits:
    """free: failures without a delay. first_delay_s doubles up to longest_delay_s. forget_s: a key without failures starts anew.

    longest_wait_s: an attempt that would have to wait longer is refused unseen. keys: how many are remembered of each kind.
    """

    free: int = 3
    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    longest_wait_s: float = 30.0
    forget_s: float = 900.0
    keys: int = 50_000


@dataclass(slots=True)
class _Count:
    failures: int = 0
    last_at: float = 0.0
    free_at: float = 0.0


class _Counts:
    """One kind of key, least recently used first."""

    def __init__(self, limits: FailureLimits) -> None:
        self._limits = limits
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def slot(self, key: str, now: float) -> float:
        """When an attempt that comes now may start; the slot is taken."""
        count = self._counts.get(key)
        if count is None:
            return now
        if now - count.last_at > self._limits.forget_s and count.free_at <= now:
            del self._counts[key]
            return now
        start = max(now, count.free_at)
        if start - now <= self._limits.longest_wait_s:
            count.free_at = start + self._delay(count.failures)
        return start

    def failed(self, key: str, now: float) -> None:
        count = self._counts.pop(key, None) or _Count()
        count.failures += 1
        count.last_at = now
        count.free_at = max(count.free_at, now + self._delay(count.failures))
        self._counts[key] = count
        while len(self._counts) > self._limits.keys:
            self._counts.popitem(last=False)

    def forget(self, key: str) -> None:
        self._counts.pop(key, None)

    def forget_all(self, prefix: str = "") -> None:
        for key in [key for key in self._counts if key.startswith(prefix)]:
            del self._counts[key]

    def __contains__(self, key: str) -> bool:
        return key in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def _delay(self, failures: int) -> float:
        over = failures - self._limits.free
        if over <= 0:
            return 0.0
        return min(self._limits.first_delay_s * 2.0 ** min(over - 1, 30), self._limits.longest_delay_s)


class Failures:
    """All counts of the server.

    A network that has logged in to an account before has a count of its own for that account: strangers who guess at the
    account slow each other down, not its owner. Networks that are new, and have not failed anywhere, have one of their own, too:
    who guesses from a few networks does not hold up an owner who has moved (T-AUTH-01).
    """

    def __init__(self, limits: FailureLimits | None = None) -> None:
        self._limits = limits or FailureLimits()
        self._accounts = _Counts(self._limits)
        self._networks = _Counts(self._limits)
        self._pairs = _Counts(self._limits)
        self._friends: OrderedDict[str, None] = OrderedDict()

    def wait_s(self, account: str, network: str, now: float) -> float | None:
        """Seconds this attempt must wait, 0.0 mostly; None when it is to be refused without a look at the password."""
        start = max(counts.slot(key, now) for counts, key in self._keys(account, network))
        wait = start - now
        return None if wait > self._limits.longest_wait_s else wait

    def failed(self, account: str, network: str, now: float) -> None:
        keys = self._keys(account, network)
        if self.is_new(account, network):
            keys += ((self._accounts, account), (self._networks, network))
        for counts, key in keys:
            counts.failed(key, now)

    def succeeded(self, account: str, network: str) -> None:
        """The network's count stays: one good account must not pay for guesses at others."""
        pair = _pair(account, network)
        self._friends.pop(pair, None)
        self.befriend(account, network)
        self._accounts.forget(account)
        self._accounts.forget(_newcomers(account))
        self._pairs.forget(pair)

    def knows(self, account: str, network: str) -> bool:
        """Has this network logged in to the account before?"""
        return _pair(account, network) in self._friends

    def is_new(self, account: str, network: str) -> bool:
        """Neither has this network logged in to the account before, nor has it failed anywhere."""
        return not self.knows(account, network) and network not in self._networks

    def befriend(self, account: str, network: str) -> None:
        """It is known from an earlier run that this network has logged in to the account."""
        pair = _pair(account, network)
        self._friends[pair] = None
        while len(self._friends) > self._limits.keys:
            self._friends.popitem(last=False)

    def unlock(self, account: str) -> None:
        """Forget every failure of an account, and those of all networks: who asks for this does not know from which network the
        owner failed, and whoever guesses gains a handful of attempts by it."""
        self._accounts.forget(account)
        self._accounts.forget(_newcomers(account))
        self._pairs.forget_all(_pair(account, ""))
        self._networks.forget_all()

    def _keys(self, account: str, network: str) -> tuple[tuple[_Counts, str], ...]:
        if self.knows(account, network):
            return ((self._pairs, _pair(account, network)),)
        if self.is_new(account, network):
            return ((self._accounts, _newcomers(account)),)
        return ((self._accounts, account), (self._networks, network))


def _newcomers(account: str) -> str:
    return f"{account}\0new"


def _pair(account: str, network: str) -> str:
    return f"{account}\0{network}"
