"""Policies and the plugins they name, loaded together and replaced together."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import get_type_hints

import structlog

from mailward.api.plugin import Plugin
from mailward.app.config import Config
from mailward.model.errors import ConfigError, PluginError, PolicyError
from mailward.pipeline.plugins import Available, LoadedPlugin, PluginHost, stages_of
from mailward.policy import (
    DIRECTIONS,
    Direction,
    Policy,
    load_policy,
    load_preset,
    plugins_named,
    plugins_of_preset,
)

log = structlog.get_logger("mailward.filters")

OWN_PACKAGE = "mailward "
"""How the origin of a bundled plugin begins: name and version of its package."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The checked policy of each direction and the host of their plugins. Immutable: a reload makes a new one."""

    policies: Mapping[Direction, Policy]
    host: PluginHost


def load_filters(config: Config) -> Filters:
    """The filters of a configuration. Raises ConfigError (PolicyError, PluginError) when any of it cannot be used.

    Only inbound.yaml must be there; a direction without a file has its preset.
    """
    path = policy_file(config, "inbound")
    if not path.is_file():
        raise ConfigError(f"there is no policy {path}; the shortest one is: version: 1, extends: mailward/inbound")
    host = PluginHost(config.plugins)
    return Filters({direction: _load(config, direction, host) for direction in DIRECTIONS}, host)


def preset_filters() -> Filters:
    """The shipped presets and their plugins, as they hold where nothing is configured."""
    host = PluginHost()
    policies = {}
    for direction in DIRECTIONS:
        loaded = {name: host.load(name) for name in plugins_of_preset(direction)}
        declarations = {name: one.declaration for name, one in loaded.items()}
        policies[direction] = load_preset(direction, declarations, stages=stages_of(direction, loaded.values()))
    return Filters(policies, host)


def policy_file(config: Config, direction: Direction) -> Path:
    """Where the policy of a direction is, if there is one."""
    return config.policies / f"{direction}.yaml"


def _load(config: Config, direction: Direction, host: PluginHost) -> Policy:
    """A plugin that cannot be loaded is the policy's problem where it is named, unless it is `optional`."""
    path = policy_file(config, direction)
    has_file = path.exists()
    installed = {available.name for available in host.available()}
    found: list[LoadedPlugin] = []
    broken: list[PluginError] = []
    for name in plugins_named(path) if has_file else plugins_of_preset(direction):
        if name in installed:
            try:
                found.append(host.load(name))
            except PluginError as problem:
                broken.append(problem)
    declarations = {loaded.name: loaded.declaration for loaded in found}
    stages = stages_of(direction, found)
    shown_as = str(path.relative_to(config.folder)) if path.is_relative_to(config.folder) else str(path)
    try:
        if has_file:
            policy = load_policy(path, declarations, stages=stages, shown_as=shown_as)
        else:
            policy = load_preset(direction, declarations, stages=stages)
    except PolicyError:
        if broken:  # it says why the policy misses the plugin
            raise broken[0] from None
        raise
    for error in broken:
        log.warning("plugin left out", reason=str(error))
    return policy


@dataclass(frozen=True, slots=True)
class Known:
    """A plugin as `mailward plugins` shows it. modes: what the policies that name it say, none when no policy does.

    facts: ("result", "str") pairs. settings: ("timeout", default as text) pairs. problem: why it cannot be used, or "".
    """

    name: str
    modes: Mapping[Direction, str]
    origin: str
    problem: str
    plugin: Plugin | None
    facts: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    hooks: tuple[str, ...] = ()


def known_plugins(config: Config) -> tuple[Known, ...]:
    """Every plugin there is. One that neither a policy names nor this package brings is not imported for it (T-PLUG-02)."""
    host = PluginHost(config.plugins)
    policies = _policies(config)
    found = []
    for available in host.available():
        modes = _modes(policies, available.name)
        if not modes and not available.origin.startswith(OWN_PACKAGE):
            unread = f"not read before a policy names it; mailward plugins info {available.name} reads it"
            found.append(Known(available.name, modes, available.origin, available.problem or unread, None))
        else:
            found.append(_known(host, available, modes))
    return tuple(found)


def known_plugin(config: Config, name: str) -> Known | None:
    """One plugin, imported for it whether or not a policy names it; None when there is none of that name."""
    host = PluginHost(config.plugins)
    available = next((one for one in host.available() if one.name == name), None)
    return None if available is None else _known(host, available, _modes(_policies(config), name))


def _policies(config: Config) -> Mapping[Direction, Policy]:
    try:
        return load_filters(config).policies
    except (PolicyError, PluginError):
        return {}


def _modes(policies: Mapping[Direction, Policy], name: str) -> dict[Direction, str]:
    return {direction: policy.plugins[name].mode for direction, policy in policies.items() if name in policy.plugins}


def _known(host: PluginHost, available: Available, modes: Mapping[Direction, str]) -> Known:
    try:
        loaded = host.load(available.name)
    except PluginError as error:
        return Known(available.name, modes, available.origin, str(error), None)
    plugin = loaded.declaration
    facts = [(f.name, _type_name(get_type_hints(plugin.facts)[f.name])) for f in fields(plugin.facts)]
    settings = [(f.name, repr(f.default) if f.default is not MISSING else "(see its README)") for f in fields(plugin.settings)]
    return Known(
        available.name,
        modes,
        available.origin,
        "",
        plugin,
        (*facts, ("status", "str")),
        tuple(settings),
        tuple(loaded.implementations),
    )


def _type_name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and "[" not in str(kind) else str(kind)
