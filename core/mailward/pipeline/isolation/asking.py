"""The services as a plugin in a process of its own sees them: each is a question to the worker, which has them and checks."""

import asyncio
import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from datetime import datetime
from typing import Any, cast

from mailward.api.logins import LoginAttempt, Secret
from mailward.api.plugin import Facts
from mailward.api.services import Clock, DnsTemporaryError, HttpAnswer, HttpFailed, RunBlocking, Services
from mailward.model.dns import DnsAnswer, RecordType
from mailward.model.errors import LocalError, StorageError
from mailward.model.identity import Identity
from mailward.model.metrics import Counter, Gauge, Histogram, Metric, label_values
from mailward.pipeline.isolation.values import Packing

Send = Callable[[Sequence[object], Sequence[bytes]], None]

within: ContextVar[int] = ContextVar("within", default=0)
"""The number of the call that asks; 0: none does."""

RAISED: Mapping[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (DnsTemporaryError, HttpFailed, LocalError, StorageError, ValueError, FileNotFoundError, PermissionError, OSError)
}
"""What a service may raise in the worker and is raised here again; anything else comes as a RuntimeError."""


class Asking:
    """Questions under way. From any thread."""

    def __init__(self, send: Send, own_facts: type[Facts]) -> None:
        self._send = send
        self._own_facts = own_facts
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}

    def ask(self, service: str, method: str, *arguments: object, **named: object) -> Future[Any]:
        """The answer to come. Raises ValueError for what is too large to be sent."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # whoever asked may be cancelled; the answer comes nevertheless
        packing = Packing(self._own_facts)
        values, keywords = packing.pack(arguments), packing.pack(named)
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = future
        self._send(["ask", number, within.get(), service, method, values, keywords], packing.blobs)
        return future

    def tell(self, level: str, event: str, values: Mapping[str, object]) -> None:
        """A line for the log."""
        self._send(["log", level, str(event)[:200], {str(key)[:60]: _scalar(value) for key, value in values.items()}], ())

    def measure(self, method: str, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """A number for a metric. Raises ValueError for labels that it does not have, and for no number."""
        label_values(metric, labels)
        if not math.isfinite(value) or (method == "count" and value < 0):
            raise ValueError(f"metric {metric.name!r}: {value} is no value")
        self._send(["measure", method, Packing(self._own_facts).pack(metric), float(value), dict(labels)], ())

    def answered(self, number: int, is_value: bool, value: Any) -> None:
        with self._lock:
            future = self._waiting.pop(number)
        if is_value:
            future.set_result(value)
        else:
            future.set_exception(_raised(*value))


def _scalar(value: object) -> object:
    return value[:1000] if isinstance(value, str) else value if isinstance(value, (int, float, bool)) else None


def _raised(kind: str, text: str, is_certificate: bool) -> Exception:
    if kind == "HttpFailed":
        return HttpFailed(text, is_certificate=is_certificate)
    made = RAISED.get(kind)
    return made(text) if made is not None else RuntimeError(f"{kind}: {text}")


def services_by(asking: Asking, clock: Clock, run_blocking: RunBlocking) -> Services:
    """All of them; what keeps nothing is here itself."""
    one: Any = asking
    return Services(
        _Resolver(one),
        clock,
        _KeyValue(one),
        _Log(one),
        run_blocking,
        _Secrets(one),
        _Credentials(one),
        _Submit(one),
        _Http(one),
        _Metrics(one),
    )


class _Asker:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking


class _Resolver(_Asker):
    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        return cast(DnsAnswer, await asyncio.wrap_future(self._asking.ask("resolver", "resolve", name, record_type)))


class _Http(_Asker):
    async def get(self, url: str, *, limit_octets: int, limit_s: float) -> HttpAnswer:
        asked = self._asking.ask("http", "get", url, limit_octets=limit_octets, limit_s=limit_s)
        return cast(HttpAnswer, await asyncio.wrap_future(asked))


class _KeyValue(_Asker):
    async def _ask(self, method: str, *arguments: object, **named: object) -> Any:
        return await asyncio.wrap_future(self._asking.ask("kv", method, *arguments, **named))

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return cast(Mapping[bytes, bytes], await self._ask("get_many", list(keys)))

    async def put_many(self, values: Mapping[bytes, bytes], *, expires_after_s: float | None = None) -> None:
        await self._ask("put_many", dict(values), expires_after_s=expires_after_s)

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]], *, expires_after_s: float | None = None) -> None:
        await self._ask("add_many", dict(amounts), expires_after_s=expires_after_s)

    async def counters(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        return cast(Mapping[bytes, tuple[int, ...]], await self._ask("counters", list(keys)))

    async def find(self, prefix: bytes, *, after: bytes = b"", limit: int = 1000) -> Mapping[bytes, bytes]:
        return cast(Mapping[bytes, bytes], await self._ask("find", prefix, after=after, limit=limit))

    async def remove(self, first: bytes, end: bytes) -> None:
        await self._ask("remove", first, end)

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        return bool(await self._ask("change", key, expected, value))


class _Log(_Asker):
    def info(self, event: str, **values: str | int | float | bool | None) -> None:
        self._asking.tell("info", event, values)

    def warning(self, event: str, **values: str | int | float | bool | None) -> None:
        self._asking.tell("warning", event, values)


class _Metrics(_Asker):
    def count(self, counter: Counter, amount: float = 1, /, **labels: str) -> None:
        self._asking.measure("count", counter, amount, labels)

    def set(self, gauge: Gauge, value: float, /, **labels: str) -> None:
        self._asking.measure("set", gauge, value, labels)

    def observe(self, histogram: Histogram, value: float, /, **labels: str) -> None:
        self._asking.measure("observe", histogram, value, labels)


class _Secrets(_Asker):
    def names(self, folder: str = "") -> tuple[str, ...]:
        return cast(tuple[str, ...], self._asking.ask("secrets", "names", folder).result())

    def read(self, name: str) -> bytes:
        return cast(bytes, self._asking.ask("secrets", "read", name).result())


class _Credentials(_Asker):
    async def check(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        return cast(Identity | None, await asyncio.wrap_future(self._asking.ask("credentials", "check", attempt, secret)))


class _Submit(_Asker):
    async def __call__(
        self, forward_path: str, octets: bytes, *, key: str, not_before: datetime | None = None, tls_optional: bool = False
    ) -> bool:
        named = {"key": key, "not_before": not_before, "tls_optional": tls_optional}
        return bool(await asyncio.wrap_future(self._asking.ask("submit", "__call__", forward_path, octets, **named)))
