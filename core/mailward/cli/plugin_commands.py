"""Which commands do plugins bring? The configuration says, and its policies; where none can be read, the shipped presets, so that
`--help` always works.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from mailward.api import AccountCommand, ServerCommand, Services
from mailward.app.filters import Filters, load_filters, preset_filters
from mailward.cli.options import config_of
from mailward.cli.output import warn
from mailward.model.errors import ConfigError
from mailward.pipeline.collecting import Collected, Collecting
from mailward.services.clock import SystemClock

PluginCommands = Collected[AccountCommand | ServerCommand]

_NONE: dict[str, Any] = {service.name: None for service in fields(Services)}
_NO_SERVICES = Services(**{**_NONE, "clock": SystemClock()})
"""That hook is given none; a plugin in a process of its own is told the time with each call."""


def plugin_commands(config: Path | None, *, presets_only: bool) -> Iterator[PluginCommands]:
    """config: the file named by -c. presets_only: no configuration is looked for."""
    filters = preset_filters() if presets_only else _filters(config)
    collecting = Collecting(filters.policies, filters.host, lambda _: _NO_SERVICES)
    return sound(asyncio.run(collecting.commands()))


def sound(collected: Iterable[PluginCommands]) -> Iterator[PluginCommands]:
    """Those of plugins that could be asked; of the others it is told on standard error."""
    for one in collected:
        if one.problem:
            warn(f"the commands of the plugin '{one.plugin}' are left out: {one.problem}")
        else:
            yield one


def _filters(config: Path | None) -> Filters:
    try:
        return load_filters(config_of(config, quiet=True))
    except ConfigError:
        return preset_filters()  # the command itself says what is wrong, when it is called
