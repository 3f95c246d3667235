"""The journal against a plain model: whatever is marked and ordered in whatever order, across restarts, a reader sees the model."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailward.disk import Disk
from mailward.model.decision import utc_text
from mailward.model.ids import QueueId
from mailward.queue.schedule import HOLD_AFTER
from mailward.queue.spool import Recipient, Spool
from support.spooling import NOW, commit, flush

MESSAGES, RECIPIENTS = 2, 2
indexes = st.integers(0, MESSAGES * RECIPIENTS - 1)


@dataclass
class Modelled:
    """What should be true of one recipient."""

    failures: int = 0
    begun: int = 0
    next_at: str = ""
    held: str = ""
    under_way: bool = False

    @property
    def hold_reason(self) -> str:
        poison = f"{self.begun} attempts ended with the process" if self.begun >= HOLD_AFTER and not self.under_way else ""
        return self.held or poison


class QueueModel(RuleBasedStateMachine):
    """Each rule does the same to the spool and to the model."""

    @initialize()
    def take_mail(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="queue-model-"))
        self.ids: list[QueueId] = asyncio.run(self._received())
        self.model = {(id, index): Modelled() for id in self.ids for index in range(RECIPIENTS)}
        self.spool = self._opened()

    async def _received(self) -> list[QueueId]:
        worker = Spool(self.folder / "spool", Disk(), owner="smtp", in_memory_octets=50)
        items = [await commit(worker, octets, RECIPIENTS) for octets in (b"small", b"large" * 20)]
        await worker.close()
        return [item.id for item in items]

    def _opened(self) -> Spool:
        spool = Spool(self.folder / "spool", Disk(), owner="queue")
        spool.adopt()
        return spool

    def _recipient(self, number: int) -> Recipient:
        return self.ids[number // RECIPIENTS], number % RECIPIENTS

    @rule(number=indexes)
    def begin(self, number: int) -> None:
        recipient = self._recipient(number)
        state = self.model.get(recipient)
        allowed = state is not None and not state.hold_reason and not state.under_way
        assert self.spool.begin_attempts([recipient]) == ({recipient} if allowed else set())
        if state is not None and allowed:
            state.begun += 1
            state.under_way = True

    @rule(number=indexes, delivered=st.booleans())
    def end(self, number: int, delivered: bool) -> None:
        recipient = self._recipient(number)
        state = self.model.get(recipient)
        if state is None or not state.under_way:
            return
        if delivered:
            self.spool.done(*recipient, "delivered")
            del self.model[recipient]
        else:
            self.spool.failed_attempt(*recipient, "no", NOW)
            state.failures, state.begun, state.next_at, state.under_way = state.failures + 1, 0, utc_text(NOW), False

    @rule(number=indexes, reason=st.sampled_from(["one", "two"]))
    def hold(self, number: int, reason: str) -> None:
        recipient = self._recipient(number)
        state = self.model.get(recipient)
        assert self.spool.hold([recipient], reason) == (set() if state is None else {recipient})
        if state is not None:
            state.held = reason

    @rule(number=indexes)
    def release(self, number: int) -> None:
        recipient = self._recipient(number)
        state = self.model.get(recipient)
        assert self.spool.release([recipient]) == (set() if state is None else {recipient})
        if state is not None:
            state.held = state.next_at = ""
            state.begun = state.begun if state.under_way else 0

    @rule(number=indexes)
    def retry(self, number: int) -> None:
        recipient = self._recipient(number)
        state = self.model.get(recipient)
        allowed = state is not None and not state.hold_reason
        assert self.spool.retry_now([recipient]) == ({recipient} if allowed else set())
        if state is not None and allowed:
            state.next_at = ""

    @rule(numbers=st.sets(indexes))
    def drop(self, numbers: set[int]) -> None:
        recipients = [self._recipient(number) for number in sorted(numbers)]
        expected = {r for r in recipients if r in self.model and not self.model[r].under_way}
        assert self.spool.drop(recipients, "not wanted") == expected
        for recipient in expected:
            del self.model[recipient]

    @rule(doubted=st.booleans())
    @precondition(lambda self: self.model)
    def restart(self, doubted: bool) -> None:
        """The process ends, with whatever attempts are under way, and another takes over: where the mail lies, or by moving it."""
        asyncio.run(self.spool.close())
        for segment in (self.folder / "spool").glob("*.seg"):
            segment.chmod(0o700 if doubted else 0o600)
        self.spool = self._opened()
        for state in self.model.values():
            state.under_way = False

    @invariant()
    def the_spool_says_what_the_model_says(self) -> None:
        flush(self.spool)
        found = {
            (id, index): Modelled(state.failures, state.begun, state.next_at, state.held, not state.waiting)
            for id in self.ids
            for index, state in self.spool.open_recipients(id).items()
        }
        assert found == self.model
        assert all(self.spool.open_recipients(id)[index].hold_reason == s.hold_reason for (id, index), s in self.model.items())

    def teardown(self) -> None:
        asyncio.run(self.spool.close())
        assert self.model or not list((self.folder / "spool").iterdir())
        shutil.rmtree(self.folder)


TestQueueModel = QueueModel.TestCase
TestQueueModel.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
