"""May this plugin do that? What it has not declared, no hook gives it and no service does for it.

Inside the server this keeps an honest plugin honest and tells an admin what it is for; no program can keep another in the same
process from anything.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, get_args

from mailward.api.plugin import Capability
from mailward.api.services import Services
from mailward.model.errors import PluginError

_BY_ARGUMENT: dict[str, Capability] = {
    "message": "body",
    "moved": "body",
    "classified": "body",
    "secret": "credentials",
    "code": "credentials",
}
_BY_HOOK: dict[str, Capability] = {
    "edit_": "edits",
    "provide_folder": "edits",
    "provide_identity": "credentials",
    "provide_second_factor": "credentials",
}
"""How the name of a hook begins -> what it needs."""
SERVICES: Mapping[str, Capability] = {
    "resolver": "network",
    "http": "network",
    "submit": "network",
    "secrets": "credentials",
    "credentials": "credentials",
}
"""Service -> what a plugin must have declared to use it; the others are for everybody."""


def needed_by(hook: str, arguments: Iterable[str]) -> frozenset[Capability]:
    """What a plugin must have declared to implement this hook with these arguments."""
    by_argument = {_BY_ARGUMENT[name] for name in arguments if name in _BY_ARGUMENT}
    return frozenset(by_argument | {needed for beginning, needed in _BY_HOOK.items() if hook.startswith(beginning)})


def undeclared(declared: Iterable[str], hooks: Mapping[str, Iterable[str]]) -> list[str]:
    """What is missing in a plugin's `capabilities`, in plain words: nothing, or one problem. hooks: name -> arguments."""
    has = frozenset(declared)
    missing = {hook: needed_by(hook, arguments) - has for hook, arguments in hooks.items()}
    if not any(missing.values()):
        return []
    reasons = ", ".join(f"{hook} needs {_listed(needed)}" for hook, needed in missing.items() if needed)
    wanted = [name for name in get_args(Capability) if name in has.union(*missing.values())]
    return [f"{reasons}; write capabilities=({', '.join(repr(name) for name in wanted)},) in its Plugin"]


def limited(services: Services, plugin: str, declared: Iterable[str]) -> Services:
    """The same services without those that the plugin has not declared: using one raises PluginError."""
    has = frozenset(declared)
    refused: dict[str, Any] = {name: _Undeclared(plugin, name, needed) for name, needed in SERVICES.items() if needed not in has}
    return replace(services, **refused) if refused else services


class _Undeclared:
    """Stands where a service would."""

    def __init__(self, plugin: str, service: str, needed: Capability) -> None:
        self._refuse: Callable[[], PluginError] = lambda: PluginError(
            plugin, f"it uses services.{service} and has not declared the capability {needed!r}"
        )

    def __getattr__(self, name: str) -> NoReturn:
        raise self._refuse()

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise self._refuse()


def _listed(names: Iterable[str]) -> str:
    return " and ".join(repr(name) for name in sorted(names))
