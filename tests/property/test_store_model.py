"""The embedded store beside the oracle of `storecheck`, under random lists of ops."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from mailward.disk import Disk
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore
from support.storecheck import StoreMachine


class EmbeddedMachine(StoreMachine):
    """A store in a folder of its own; reopening it is another process's view of the same files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mw"))
        self.hints = Hints(self.folder / "run")
        self.opened: list[EmbeddedStore] = []
        super().__init__()

    def open_store(self) -> AccountStore:
        # The clock stands still: UIDVALIDITY must rise all the same.
        store = EmbeddedStore(self.folder / "mail", Disk(), self.hints, now_s=lambda: 1_800_000_000.0)
        self.opened.append(store)
        return store.open(AccountId("a1"))

    def teardown(self) -> None:
        for store in self.opened:
            store.close()
        shutil.rmtree(self.folder)


TestEmbeddedStore = EmbeddedMachine.TestCase
TestEmbeddedStore.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
