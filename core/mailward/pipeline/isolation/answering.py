"""What may a plugin in a process of its own ask of the worker? The services it has declared, by plain values."""

import asyncio
import inspect
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import fields
from typing import Any

from mailward.api.services import HttpFailed, Services
from mailward.formats.text import clean
from mailward.model.metrics import Counter, Gauge, Histogram

ASKABLE: Mapping[str, frozenset[str]] = {
    "resolver": frozenset({"resolve"}),
    "http": frozenset({"get"}),
    "kv": frozenset({"get_many", "put_many", "add_many", "counters", "find", "remove", "change"}),
    "secrets": frozenset({"names", "read"}),
    "credentials": frozenset({"check"}),
    "submit": frozenset({"__call__"}),
}
"""Service -> its methods. The others are in the plugin's process itself."""

AT_ONCE: Mapping[str, int] = {"http": 16, "kv": 4}
"""Service -> questions of one process that are worked on at a time, where an answer may be large."""
MAX_KEYS = 10_000
MAX_FOUND = 1000
MAX_FETCHED_OCTETS = 3 * 1024 * 1024
MAX_FETCH_S = 60.0

HERE = frozenset({field.name for field in fields(Services)}) - set(ASKABLE)


class Bounds:
    """What one process may have worked on at a time."""

    def __init__(self) -> None:
        self._turns = {service: asyncio.Semaphore(number) for service, number in AT_ONCE.items()}

    def of(self, service: str) -> AbstractAsyncContextManager[None]:
        """Entered when there is room for another question."""
        return self._turns.get(service) or nullcontext()


def bounded(service: str, method: str, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Mapping[str, Any]:
    """The named arguments, with limits that the worker can bear. Raises ValueError for more keys than are looked up at once."""
    match service, method:
        case "kv", "find":
            return {**named, "limit": max(0, min(int(named.get("limit", MAX_FOUND)), MAX_FOUND))}
        case "kv", "get_many" if len(arguments[0]) > MAX_FOUND:
            raise ValueError(f"{len(arguments[0])} keys; at most {MAX_FOUND} at once are looked up for a process")
        case "kv", "counters" if len(arguments[0]) > MAX_KEYS:
            raise ValueError(f"{len(arguments[0])} keys; at most {MAX_KEYS} counters at once are looked up for a process")
        case "http", "get":
            octets, limit_s = min(int(named["limit_octets"]), MAX_FETCHED_OCTETS), float(named["limit_s"])
            return {**named, "limit_octets": octets, "limit_s": limit_s if 0 < limit_s <= MAX_FETCH_S else MAX_FETCH_S}
    return named


async def answer(services: Services, service: str, method: str, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> object:
    """What the service says. Raises what it raises, and LookupError for what nobody may ask.

    services: those the plugin has declared; the others raise.
    """
    if method not in ASKABLE.get(service, ()):
        raise LookupError(f"there is no service {clean(service, 40)}.{clean(method, 40)}")
    answered = getattr(getattr(services, service), method)(*arguments, **named)
    return await answered if inspect.isawaitable(answered) else answered


def told(error: BaseException) -> tuple[str, str, bool]:
    """An exception of a service as it crosses: class, text, and whether it is about a certificate."""
    return type(error).__name__, str(error)[:1000], isinstance(error, HttpFailed) and error.is_certificate


def measure(services: Services, method: str, metric: object, value: float, labels: Mapping[str, str]) -> None:
    """Count or note what the plugin says. Raises ValueError for what is no metric, and for what the service refuses."""
    match method, metric:
        case "count", Counter():
            services.metrics.count(metric, value, **labels)
        case "set", Gauge():
            services.metrics.set(metric, value, **labels)
        case "observe", Histogram():
            services.metrics.observe(metric, value, **labels)
        case _:
            raise ValueError("a number for no metric")


def log(services: Services, level: str, event: str, values: Mapping[str, object]) -> None:
    """Write a line of the plugin, without control characters and of a bounded length."""
    plain: dict[str, str | int | float | bool | None] = {}
    for name, value in list(values.items())[:20]:
        fits = value is None or isinstance(value, (int, float, bool))
        plain[clean(str(name), 60)] = value if fits else clean(str(value), 1000)  # type: ignore[assignment]
    plain.pop("event", None)
    (services.log.warning if level == "warning" else services.log.info)(clean(event, 200), **plain)
