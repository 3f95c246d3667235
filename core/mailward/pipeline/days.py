"""Which plugins have not yet been told that a day has ended? `on_day`, for each day until the plugin has done its work.

What is kept is the last day that a plugin was told of, so days that end while the server is down are told after the next start.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from mailward.api.services import Clock, KeyValue
from mailward.pipeline.called import Enabled
from mailward.pipeline.chain import Chain
from mailward.pipeline.collecting import ORDER
from mailward.pipeline.enabling import ServicesOf, chain_of
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.stages import DAY_S
from mailward.policy import Direction, Policy

MOST_DAYS = 7
"""So many days that are over are told; of what was before, nobody wants to hear."""
_ONE = timedelta(days=1)


def chains_to_tell(
    made: Mapping[Direction, Chain], policies: Mapping[Direction, Policy], host: PluginHost, services_of: ServicesOf
) -> tuple[Chain, ...]:
    """Those whose plugins are told, in the order in which their settings hold.

    A policy has its part where it brings somebody who wants to hear and whom none before it brings. made: the chains by which
    this process asks plugins anyway, since what those keep in memory is there. Raises PluginError.
    """
    chains: list[Chain] = []
    told: set[str] = set()
    for direction in ORDER:
        counting = {name for name, entry in policies[direction].plugins.items() if entry.counts and entry.declaration is not None}
        wanting = {name for name in counting if "on_day" in host.load(name).implementations}
        if not wanting <= told:
            chains.append(made.get(direction) or chain_of(policies[direction], host, services_of))
            told |= wanting
    return tuple(chains)


class Days:
    """chains: asked each time, so that a reload brings their plugins; of several of one name the first is told.

    kept: plugin -> the last day it has been told of.
    """

    def __init__(self, chains: Callable[[], Sequence[Chain]], kept: KeyValue, clock: Clock) -> None:
        self._chains = chains
        self._kept = kept
        self._clock = clock

    async def tell_due(self) -> None:
        """Tell every plugin of the days that have ended since it was told.

        What is interrupted is told again. Raises StorageError.
        """
        yesterday = self._clock.now().date() - _ONE
        wanting: dict[str, tuple[Chain, Enabled]] = {}
        for chain in self._chains():
            for one in chain.enforced("on_day"):
                wanting.setdefault(one.name, (chain, one))
        for chain, one in wanting.values():
            await self._tell(chain, one, yesterday)

    async def _tell(self, chain: Chain, one: Enabled, yesterday: date) -> None:
        key = one.name.encode("ascii")
        mark = (await self._kept.get_many([key])).get(key)
        told = None if mark is None else date.fromisoformat(mark.decode("ascii"))
        if told is None or told > yesterday:  # its first day has not ended; or the clock was wrong, and is set back
            await self._kept.change(key, mark, _written(yesterday))
            return
        day = max(told + _ONE, yesterday - (MOST_DAYS - 1) * _ONE)
        while day <= yesterday:
            if not await chain.watch(one, "on_day", {"day": day}, time.monotonic() + DAY_S):
                return
            await self._kept.change(key, mark, _written(day))
            mark, day = _written(day), day + _ONE


def _written(day: date) -> bytes:
    return day.isoformat().encode("ascii")
