"""What would another policy have made of mail that came? Its plugins are run again where they can; else what they found holds."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from mailward.app.copies import Copies
from mailward.app.rerunning import Arrived, Rerun, Rerunner
from mailward.decisions import DecisionStore
from mailward.formats.arrived import as_arrived
from mailward.model.decision import DecisionRecord
from mailward.model.errors import StorageError
from mailward.model.verdict import Verdict
from mailward.policy.replay import NO_KEY, Replay, Replayed

AT_ONCE = 4
"""Messages that plugins look at beside each other: while one waits for a scanner, another is computed."""
PORTION = 64

REFUSED = "refused, and so not stored"
GONE = "no copy is stored here, or none any more"
NO_RECEIPT = "what DNS said when it came is not kept"
ALTERED = "its copy is no longer as it came"
DAMAGED = "its copy cannot be read"

_UNSTORED = frozenset({Verdict.REJECT.value, Verdict.TEMPFAIL.value})


@dataclass(slots=True)
class Reruns:
    """Messages. again: on which plugins were run. from_evidence: why on others not -> how many. anew: that asked DNS anew.

    questions: which, and of how many messages. otherwise: plugin -> of how many messages it found something else.
    """

    again: int = 0
    from_evidence: Counter[str] = field(default_factory=Counter)
    anew: int = 0
    questions: Counter[str] = field(default_factory=Counter)
    otherwise: Counter[str] = field(default_factory=Counter)

    def add(self, rerun: Rerun) -> None:
        """Count one message that was run again."""
        self.again += 1
        self.otherwise.update(rerun.otherwise)
        if rerun.anew:
            self.anew += 1
            self.questions.update(rerun.anew)


class DeepReplay:
    """One policy, asked about many records. make: of one rerunner, on a running event loop."""

    def __init__(self, store: DecisionStore, copies: Copies, evidence: Replay, make: Callable[[], Rerunner]) -> None:
        self.reruns = Reruns()
        self._store = store
        self._copies = copies
        self._evidence = evidence
        self._make = make

    def judged(self, records: Iterator[DecisionRecord]) -> Iterator[tuple[DecisionRecord, Replayed]]:
        """What the recipients of each would have got, in order."""
        with asyncio.Runner() as runner:
            rerunners = runner.run(_made(self._make))
            try:
                while portion := list(islice(records, PORTION)):
                    yield from runner.run(self._portion(portion, rerunners))
            finally:
                for one in rerunners:
                    one.close()

    async def _portion(
        self, records: Sequence[DecisionRecord], rerunners: Sequence[Rerunner]
    ) -> list[tuple[DecisionRecord, Replayed]]:
        free: asyncio.Queue[Rerunner] = asyncio.Queue()
        for one in rerunners:
            free.put_nowait(one)
        return await asyncio.gather(*map(partial(self._one, free), records))

    async def _one(self, free: "asyncio.Queue[Rerunner]", record: DecisionRecord) -> tuple[DecisionRecord, Replayed]:
        rerunner = await free.get()
        try:
            arrived = await asyncio.to_thread(self._arrived, record)
            if isinstance(arrived, Arrived):
                rerun = await rerunner.run(arrived)
                self.reruns.add(rerun)
                return record, rerun.replayed
        finally:
            free.put_nowait(rerunner)
        self.reruns.from_evidence[arrived] += 1
        return record, self._evidence.judged(record)

    def _arrived(self, record: DecisionRecord) -> Arrived | str:
        """The message as it came, else why plugins cannot be run on it."""
        if self._evidence.lacks_key:
            return NO_KEY
        if "message.size_octets" not in record.facts or all(one.verdict in _UNSTORED for one in record.recipients):
            return REFUSED
        why = GONE
        try:
            receipt = self._store.receipt(record.id)
            for octets in self._copies.of(record):
                if receipt is None:
                    return NO_RECEIPT
                came = as_arrived(octets, record.size_octets, receipt.header, receipt.whole, receipt.removed)
                if came is not None:
                    return Arrived(record, receipt, came)
                why = ALTERED
        except StorageError:
            return DAMAGED
        return why


async def _made(make: Callable[[], Rerunner]) -> list[Rerunner]:
    return [make() for _ in range(AT_ONCE)]
