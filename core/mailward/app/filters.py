"""Policies and the plugins they name, loaded together and replaced together."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import get_type_hints

import structlog

from mailward.api.plugin import Plugin
from mailward.app.config import Config
from mailward.model.errors import ConfigError, PluginError, PolicyError
from mailward.pipeline.plugins import PluginHost
from mailward.policy import Policy, Stage, load_policy, plugins_named

log = structlog.get_logger("mailward.filters")


@dataclass(frozen=True, slots=True)
class Filters:
    """The checked inbound policy and the host of its plugins. Immutable: a reload makes a new one."""

    policy: Policy
    host: PluginHost


def load_filters(config: Config) -> Filters:
    """The filters of a configuration. Raises ConfigError (PolicyError, PluginError) when any of it cannot be used."""
    path = config.policies / "inbound.yaml"
    if not path.is_file():
        raise ConfigError(f"there is no policy {path}; the shortest one is: version: 1, extends: mailward/inbound")
    host = PluginHost(config.plugins)
    return Filters(_load(config, path, host), host)


def _load(config: Config, path: Path, host: PluginHost) -> Policy:
    """A plugin that cannot be loaded is the policy's problem where it is named, unless it is `optional`."""
    installed = {available.name for available in host.available()}
    declarations: dict[str, Plugin] = {}
    stages: dict[str, Stage] = {}
    broken: list[PluginError] = []
    for name in plugins_named(path):
        if name in installed:
            try:
                loaded = host.load(name)
            except PluginError as problem:
                broken.append(problem)
                continue
            declarations[name] = loaded.declaration
            stages[name] = "message" if "inspect_message" in loaded.implementations else "mail"
    shown_as = str(path.relative_to(config.folder)) if path.is_relative_to(config.folder) else str(path)
    try:
        policy = load_policy(path, declarations, stages=stages, shown_as=shown_as)
    except PolicyError:
        if broken:  # it says why the policy misses the plugin
            raise broken[0] from None
        raise
    for error in broken:
        log.warning("plugin left out", reason=str(error))
    return policy


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
                (*facts, ("status", "str")),
                tuple(
                    (f.name, repr(f.default) if f.default is not MISSING else "(see its README)") for f in fields(plugin.settings)
                ),
                tuple(loaded.implementations),
            )
        )
    return tuple(found)


def _type_name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and "[" not in str(kind) else str(kind)
