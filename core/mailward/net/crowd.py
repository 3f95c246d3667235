"""How many connections go to one network at once? Whoever has many domains there must not have them all (T-Q-16)."""

from collections.abc import Callable
from functools import partial

from mailward.delivery.ports import HostFailed, HostFault
from mailward.formats.network import network_of

MOST = 100
"""To a /24 of IPv4 or a /48 of IPv6; those that answer and those that are silent together, a fifth of all."""


class Crowd:
    """Counts what is open. Belongs to one event loop."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._open: dict[str, set[object]] = {}

    def enter(self, address: str) -> Callable[[], None]:
        """One more, until what is returned is called, once or more often. Raises HostFailed when that is one too many."""
        network, one = network_of(address), object()
        others = self._open.setdefault(network, set())
        if len(others) >= self._most:
            raise HostFailed(HostFault.CROWDED, f"{self._most} connections to its network are open already")
        others.add(one)
        return partial(self._leave, network, one)

    def _leave(self, network: str, one: object) -> None:
        others = self._open.get(network, set())
        others.discard(one)
        if not others:
            self._open.pop(network, None)
