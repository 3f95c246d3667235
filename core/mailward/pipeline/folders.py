"""Into which folder does a copy go? The hook before it is stored, under the inbound policy.

A failure raises HooksUnavailable: the caller keeps the copy queued, since mail that lies where nobody looks is hard to find.
"""

import time
from dataclasses import dataclass
from functools import partial

from mailward.api.delivering import Delivery, FolderChoice
from mailward.formats.message import MessageView
from mailward.pipeline.answers import read_folder
from mailward.pipeline.chain import Chain
from mailward.pipeline.stages import DELIVER_STAGE_S


@dataclass(frozen=True, slots=True)
class Chosen:
    """plugin: whose answer it is, or "the server" where plugins have failed for too long."""

    plugin: str
    choice: FolderChoice


class Folders:
    """Immutable: a reload makes a new one. chain: the plugins of the direction inbound."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    @property
    def asks_anybody(self) -> bool:
        """Is there a plugin that chooses folders?"""
        return bool(self._chain.enforced("provide_folder"))

    async def choose(self, delivery: Delivery, octets: bytes) -> Chosen | None:
        """The first answer, None when nobody has one. octets: as they were received. Raises HooksUnavailable."""
        arguments = {"delivery": delivery, "message": MessageView(octets)}
        deadline = time.monotonic() + DELIVER_STAGE_S
        called = await self._chain.provide("provide_folder", arguments, partial(read_folder, delivery=delivery), deadline)
        return None if called is None or called.value is None else Chosen(called.call.plugin, called.value)
