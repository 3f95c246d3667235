"""A policy of a few plugins, made for one test."""

from collections.abc import Mapping, Sequence
from types import ModuleType

from mailward.app.alone import policy_of
from mailward.pipeline.plugins import PluginHost
from mailward.policy import Direction, Policy

Named = ModuleType | str
"""A plugin: its module, or the name of an installed one."""

Settings = Mapping[str, Mapping[str, object]]
"""plugin -> keys as in the policy, those of the core included."""


def made_policy(
    direction: Direction, plugins: Sequence[Named], settings: Settings, keys: Mapping[str, object]
) -> tuple[Policy, PluginHost]:
    """The checked policy and the host of its plugins. keys: of the file, beside `plugins`. Raises PluginError and PolicyError."""
    modules = {name_of(one): one for one in plugins if isinstance(one, ModuleType)}
    names = [name_of(one) for one in plugins]
    host = PluginHost(modules=modules)
    return policy_of(direction, names, host, settings, keys), host


def name_of(plugin: Named) -> str:
    """The word by which a policy names it."""
    return plugin if isinstance(plugin, str) else plugin.__name__.rpartition(".")[2]
