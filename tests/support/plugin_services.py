"""What a hook gets from the server, for tests that call hooks: DNS from a mapping, a fixed clock, a real key-value store."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from mailward.api import (
    Address,
    EnvelopeView,
    Evidence,
    Facts,
    Finding,
    Relaying,
    RelayingAttempt,
    ReversePath,
    Role,
    Services,
    SessionView,
    TlsSession,
)
from mailward.model.ids import QueueId, new_session_id
from mailward.services.credentials import NoCredentials
from mailward.services.kv import SqliteKeyValue
from mailward.services.log import PluginLog
from mailward.services.secrets import FolderSecrets
from mailward.testing import FakeClock, FakeHttp, MemoryKeyValue, SentMail
from mailward.testing.fakes import FakeCredentials, FakeZone, MemoryLog, MemoryMetrics, MemorySecrets, RunDirectly
from support.fake_dns import FakeDns

T = TypeVar("T")


async def run_blocking(function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


def services(folder: Path, zone: Mapping[str, Mapping[str, Sequence[str]]] | None = None) -> Services:
    kv = SqliteKeyValue(folder / "kv.sqlite")
    return Services(
        resolver=FakeDns(zone or {}),
        clock=FakeClock(datetime.now(UTC)),
        kv=kv,
        log=PluginLog("test"),
        run_blocking=run_blocking,
        secrets=FolderSecrets(folder / "secrets"),
        credentials=NoCredentials(),
        submit=SentMail(),
        http=FakeHttp(),
        metrics=MemoryMetrics(),
    )


def memory_services() -> Services:
    """Of which nothing is kept and nothing leaves."""
    kept = MemoryKeyValue(), MemoryLog(), RunDirectly(), MemorySecrets()
    return Services(FakeZone(), FakeClock(), *kept, FakeCredentials(), SentMail(), FakeHttp(), MemoryMetrics())


def attempt(
    *sessions: TlsSession,
    domain: str = "example.net",
    at: datetime = datetime(2026, 11, 27, 12, tzinfo=UTC),
    tls_optional: bool = False,
) -> RelayingAttempt:
    path = (f"b@{domain}",)
    relaying = Relaying(QueueId("a" * 16), domain, "submission", "a@example.org", "a@example.org", path, tls_optional)
    return RelayingAttempt(relaying, at, sessions, ())


def session(peer_ip: str = "192.0.2.1", helo: str = "mail.example.net") -> SessionView:
    return SessionView(new_session_id(), Role.MX, "mx", peer_ip, datetime.now(UTC), helo, True)


def envelope(mail_from: str) -> EnvelopeView:
    local_part, _, domain = mail_from.rpartition("@")
    return EnvelopeView(ReversePath(Address(local_part, domain) if mail_from else None))


def evidence(**findings: Finding | Sequence[Finding]) -> Evidence:
    """The evidence that these findings make, by plugin name."""
    pairs = [(name, one) for name, found in findings.items() for one in ([found] if isinstance(found, Finding) else found)]
    facts: dict[str, Facts] = {name: one.facts for name, one in pairs if one.facts is not None}
    return Evidence(facts, tuple(pairs))
