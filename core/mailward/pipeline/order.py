"""In which order do the plugins of one hook run, and whose work may each of them see? Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from mailward.api.hooks import HookOptions
from mailward.pipeline.plugins import LoadedPlugin
from mailward.pipeline.stages import PLACES

EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Order:
    """sequence: the plugins of the hook, each behind those it waits for. waits_for: plugin -> plugins of the same hook.

    sees: plugin -> every plugin named in its `needs` and `after`, those that answered an earlier hook included.
    """

    sequence: tuple[str, ...]
    waits_for: Mapping[str, frozenset[str]]
    sees: Mapping[str, frozenset[str]]


class OrderError(Exception):
    """`needs` and `after` cannot be kept; plugin says whose they are, needed what it has not, "" when that is not the reason."""

    def __init__(self, plugin: str, text: str, needed: str = "") -> None:
        super().__init__(text)
        self.plugin = plugin
        self.needed = needed


def arrange(hook: str, options: Mapping[str, HookOptions], enabled: Mapping[str, int]) -> Order:
    """Order the plugins that implement `hook`. Raises OrderError.

    options: implementing plugin -> what its @hookimpl said. enabled: every enabled plugin -> its place among equals
    (the policy's `order`); where that is the same too, the name decides, so that the order never changes by itself.
    """
    last = {name for name, own in options.items() if EVERYBODY in own.after}
    waits: dict[str, frozenset[str]] = {}
    sees: dict[str, frozenset[str]] = {}
    for name, own in options.items():
        for needed in own.needs:
            if needed not in enabled:
                raise OrderError(name, f"its {hook} needs the plugin '{needed}', which does not count here", needed)
        named = set(own.needs) | (set(own.after) & enabled.keys())
        if name in last:
            named |= options.keys() - last
        if name in named:
            raise OrderError(name, f"its {hook} names itself in needs or after")
        sees[name] = frozenset(named)
        waits[name] = frozenset(named & options.keys())
    return Order(_sequence(hook, waits, enabled), waits, sees)


def arrange_all(plugins: Mapping[str, LoadedPlugin], enabled: Mapping[str, int]) -> dict[str, Order]:
    """The order of every hook. enabled: as for `arrange`; plugins: at least these. Raises OrderError."""
    return {hook: arrange(hook, _options(hook, plugins, enabled), enabled) for hook in PLACES}


def _options(hook: str, plugins: Mapping[str, LoadedPlugin], enabled: Mapping[str, int]) -> dict[str, HookOptions]:
    return {name: plugins[name].implementations[hook].options for name in enabled if hook in plugins[name].implementations}


def _sequence(hook: str, waits: Mapping[str, frozenset[str]], enabled: Mapping[str, int]) -> tuple[str, ...]:
    sorter = TopologicalSorter(waits)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise OrderError(error.args[1][0], f"needs and after of {hook} go in a circle: {circle}") from error
    sequence: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready += sorter.get_ready()
        # One at a time: whoever becomes free by it competes with the others on equal terms.
        ready.sort(key=lambda name: (enabled.get(name, 0), name))
        first = ready.pop(0)
        sequence.append(first)
        sorter.done(first)
    return tuple(sequence)
