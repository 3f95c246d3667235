"""The stores that storecheck runs over. A new backend is a class here and a line in BACKENDS."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from mailward.store.base import AccountStore
from mailward.store.embedded import EmbeddedStore
from support.memory_store import MemoryStore
from support.storecheck import NOW_S, Backend
from support.stores import ALICE, embedded


class MemoryBackend:
    """The oracle, checked as all others are."""

    def __init__(self) -> None:
        self._store = MemoryStore(now_s=lambda: NOW_S)

    def open(self) -> AccountStore:
        return self._store.open(ALICE)

    def close(self) -> None:
        return


class EmbeddedBackend:
    """SQLite and packs in a folder of its own; each opening is another process's view of the same files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mw"))
        self._opened: list[EmbeddedStore] = []

    def open(self) -> AccountStore:
        self._opened.append(embedded(self.folder))
        return self._opened[-1].open(ALICE)

    def close(self) -> None:
        for store in self._opened:
            store.close()
        shutil.rmtree(self.folder)


BACKENDS: Mapping[str, Callable[[], Backend]] = {"memory": MemoryBackend, "embedded": EmbeddedBackend}
