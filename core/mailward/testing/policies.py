"""A policy of a few plugins, made for one test."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import yaml

from mailward.pipeline.plugins import PluginHost, stages_of
from mailward.policy import Direction, Policy, load_policy

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
    declarations = host.enable(names)
    stages = stages_of(direction, (host.load(name) for name in names))
    text = yaml.safe_dump({"version": 1, **keys, "plugins": {name: dict(settings.get(name, {})) for name in names}})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{direction}.yaml"
        file.write_text(text, encoding="utf-8")
        return load_policy(file, declarations, stages=stages), host


def name_of(plugin: Named) -> str:
    """The word by which a policy names it."""
    return plugin if isinstance(plugin, str) else plugin.__name__.rpartition(".")[2]
