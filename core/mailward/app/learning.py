"""What do the plugins learn when a person says of a message what it is? For commands, which wait for the answer.

Hooks that watch answer nothing, so whether something was learnt is seen from what plugins keep: one that knew the message
already, with the same lesson, writes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from mailward.api.hooks import MessageClassified
from mailward.api.services import KeyValue, Services
from mailward.app.config import Config
from mailward.app.filters import load_filters
from mailward.app.judging import PluginServices
from mailward.pipeline.events import Events
from mailward.pipeline.judge import chain_of

Lesson = Literal["learnt", "known", "failed"]


class Learning:
    """The plugins of the inbound policy that learn; `learners` names them.

    Raises ConfigError when policy or plugins cannot be used.
    """

    def __init__(self, config: Config) -> None:
        filters = load_filters(config)
        self._services = PluginServices(config)
        self._writes = 0
        chain = chain_of(filters.policies["inbound"], filters.host, self._watched_services)
        self.learners = tuple(one.name for one in chain.enforced("on_classified"))
        self._events = Events(lambda: chain)

    async def classified(self, classified: MessageClassified) -> Lesson:
        """Tell them of one message. One at a time: two lessons at once could count the same message twice."""
        writes, failed = self._writes, self._events.failed
        self._events.classified(classified)
        await self._events.drain()
        if self._events.failed > failed:
            return "failed"
        return "learnt" if self._writes > writes else "known"

    async def close(self) -> None:
        await self._events.stop()
        self._services.close()

    def _watched_services(self, plugin: str) -> Services:
        services = self._services.of(plugin)
        return replace(services, kv=_WatchedKeyValue(services.kv, self._note_write))

    def _note_write(self) -> None:
        self._writes += 1


class _WatchedKeyValue:
    """Passes everything on, and tells of what is written."""

    def __init__(self, kept: KeyValue, note: Callable[[], None]) -> None:
        self._kept = kept
        self._note = note

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return await self._kept.get_many(keys)

    async def counters(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        return await self._kept.counters(keys)

    async def put_many(self, values: Mapping[bytes, bytes]) -> None:
        await self._kept.put_many(values)
        self._note()

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]]) -> None:
        await self._kept.add_many(amounts)
        self._note()

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        changed = await self._kept.change(key, expected, value)
        if changed:
            self._note()
        return changed
