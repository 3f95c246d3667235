"""The world around the plugins of one test: every service of `mailward.api`, faked, and kept between its calls."""

from collections import defaultdict
from functools import partial

from mailward.api import Memory, RunBlocking, Services
from mailward.services.kv_memory import MemoryKeyValue
from mailward.testing.fakes import (
    FakeClock,
    FakeCredentials,
    FakeHttp,
    FakeZone,
    MemoryLog,
    MemoryMetrics,
    MemorySecrets,
    RunDirectly,
    SentMail,
)


class FakeServices:
    """zone, clock, http, credentials and sent are shared by all plugins; the others are each's own, by name."""

    def __init__(self, zone: FakeZone | None = None, clock: FakeClock | None = None) -> None:
        self.zone = zone or FakeZone()
        self.clock = clock or FakeClock()
        self.http = FakeHttp()
        self.credentials = FakeCredentials()
        self.sent = SentMail()
        self.run_blocking: RunBlocking = RunDirectly()
        self.kv: defaultdict[str, MemoryKeyValue] = defaultdict(partial(MemoryKeyValue, self.clock))
        self.log: defaultdict[str, MemoryLog] = defaultdict(MemoryLog)
        self.metrics: defaultdict[str, MemoryMetrics] = defaultdict(MemoryMetrics)
        self.memory: defaultdict[str, Memory] = defaultdict(Memory)
        self.secrets: defaultdict[str, MemorySecrets] = defaultdict(MemorySecrets)

    def of(self, plugin: str) -> Services:
        """What one plugin may use."""
        return Services(
            resolver=self.zone,
            clock=self.clock,
            kv=self.kv[plugin],
            log=self.log[plugin],
            run_blocking=self.run_blocking,
            secrets=self.secrets[plugin],
            credentials=self.credentials,
            submit=self.sent,
            http=self.http,
            metrics=self.metrics[plugin],
            memory=self.memory[plugin],
        )
