"""What may an admin write for a setting: what has the wrong type, and what has the right one and yet makes no sense?"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any, get_type_hints

from mailward.api import Plugin
from mailward.policy.schema import CORE_KEYS

_TEMPTING: Mapping[object, tuple[object, ...]] = {
    bool: (True, False),
    int: (-1, 0, 1 << 40),
    float: (-1.0, 0.0, 1e300, float("nan")),
    str: ("", "\u202e\x07", "x" * 10_000),
    timedelta: ("0s", "36500d"),
}
"""By type: values that the type allows, as a policy writes them."""


def wrong_values(plugin: Plugin) -> Iterator[tuple[str, object]]:
    """For each setting a value of another type; and a key that is none."""
    for name, kind in _types(plugin).items():
        yield name, "seven" if kind in (bool, int, float) else {"no such": ["thing"]}
    yield "no_such_setting", 1


def tempting_values(plugin: Plugin) -> Iterator[tuple[str, object]]:
    """For each setting values of its type that nobody thought of."""
    for name, kind in _types(plugin).items():
        for value in _TEMPTING.get(kind, ()):
            yield name, value


def other_settings(
    plugin: Plugin, given: Mapping[str, object], is_accepted: Callable[[Mapping[str, object]], bool]
) -> dict[str, object]:
    """Settings that differ from the given ones in every bool and number for which the plugin accepts another."""
    other = dict(given)
    defaults = {field.name: field.default for field in fields(plugin.settings)}
    for name, kind in _types(plugin).items():
        if name in given:
            continue
        changed = {**other, name: _another(kind, defaults[name])}
        if changed[name] is not None and is_accepted(changed):
            other = changed
    return other


def _another(kind: object, default: Any) -> object:
    if kind is bool:
        return not default
    if kind in (int, float) and isinstance(default, (int, float)):
        return default + 1
    if kind is timedelta and isinstance(default, timedelta):
        return f"{int(default.total_seconds()) + 1}s"
    return None


def _types(plugin: Plugin) -> Mapping[str, object]:
    return {name: kind for name, kind in get_type_hints(plugin.settings).items() if name not in CORE_KEYS}
