"""Policies and the plugins they name, loaded together and replaced together."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import get_type_hints

from mailward.api.plugin import Plugin
from mailward.app.config import Config
from mailward.model.errors import ConfigError, PluginError, PolicyError
from mailward.pipeline.plugins import PluginHost
from mailward.policy import Policy, load_policy


@dataclass(frozen=True, slots=True)
class Filters:
    """The checked inbound policy and the host of its plugins. Immutable: a reload makes a new one."""

    policy: Policy
    host: PluginHost


class _Declarations(Mapping[str, Plugin]):
    """The declarations of plugins by name, each loaded when it is first asked for: a policy names what it enables."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self._names = tuple(available.name for available in host.available())

    def __getitem__(self, name: str) -> Plugin:
        if name not in self._names:
            raise KeyError(name)
        return self._host.load(name).declaration

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def load_filters(config: Config) -> Filters:
    """The filters of a configuration. Raises ConfigError (PolicyError, PluginError) when any of it cannot be used."""
    path = config.policies / "inbound.yaml"
    if not path.is_file():
        raise ConfigError(f"there is no policy {path}; the shortest one is: version: 1, extends: mailward/inbound")
    host = PluginHost(config.plugins)
    return Filters(load_policy(path, _Declarations(host)), host)


@dataclass(frozen=True, slots=True)
class Known:
    """A plugin as `mailward plugins` shows it. mode: what the policy says, "not enabled" when it does not name it.

    facts: ("result", "str") pairs. settings: ("timeout", default as text) pairs. problem: why it cannot be used, or "".
    """

    name: str
    mode: str
    origin: str
    problem: str
    plugin: Plugin | None
    facts: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    hooks: tuple[str, ...] = ()


def known_plugins(config: Config) -> tuple[Known, ...]:
    """Every plugin there is. Loads each of them, so use it for showing only."""
    host = PluginHost(config.plugins)
    try:
        modes = {name: entry.mode for name, entry in load_filters(config).policy.plugins.items()}
    except (PolicyError, PluginError):
        modes = {}
    found = []
    for available in host.available():
        mode = modes.get(available.name, "not enabled")
        try:
            loaded = host.load(available.name)
        except PluginError as error:
            found.append(Known(available.name, mode, available.origin, str(error), None))
            continue
        plugin = loaded.declaration
        facts = [(f.name, _type_name(get_type_hints(plugin.facts)[f.name])) for f in fields(plugin.facts)]
        found.append(
            Known(
                available.name,
                mode,
                available.origin,
                "",
                plugin,
                tuple(facts) + (("status", "str"),),
                tuple((f.name, repr(f.default) if f.default is not MISSING else "(see its README)") for f in fields(plugin.settings)),
                tuple(loaded.implementations),
            )
        )
    return tuple(found)


def _type_name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and "[" not in str(kind) else str(kind)
