"""What may a plugin in a process of its own ask of the worker? The services it has declared, by plain values."""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mailward.api.services import HttpFailed, Services
from mailward.formats.text import clean

ASKABLE: Mapping[str, frozenset[str]] = {
    "resolver": frozenset({"resolve"}),
    "http": frozenset({"get"}),
    "kv": frozenset({"get_many", "put_many", "add_many", "counters", "find", "remove", "change"}),
    "secrets": frozenset({"names", "read"}),
    "credentials": frozenset({"check"}),
    "submit": frozenset({"__call__"}),
}
"""Service -> its methods. The others are in the plugin's process itself."""

HERE = frozenset({field.name for field in fields(Services)}) - set(ASKABLE)


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


def log(services: Services, level: str, event: str, values: Mapping[str, object]) -> None:
    """Write a line of the plugin, without control characters and of a bounded length."""
    plain: dict[str, str | int | float | bool | None] = {}
    for name, value in list(values.items())[:20]:
        fits = value is None or isinstance(value, (int, float, bool))
        plain[clean(str(name), 60)] = value if fits else clean(str(value), 1000)  # type: ignore[assignment]
    plain.pop("event", None)
    (services.log.warning if level == "warning" else services.log.info)(clean(event, 200), **plain)
