"""Which plugins are there, and what does each of them implement? Finds, loads and checks them; runs none of their hooks.

A plugin is an entry point of the group `mailward.plugins` or a drop-in file. Installed is not enabled: only a plugin that a
policy names is ever imported. pluggy holds the specifications and checks every implementation against them; order, time limits
and failures belong to `chain.py`.
"""

import difflib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy
import structlog

from mailward.api import hooks as specifications
from mailward.api.hooks import PROJECT, HookOptions, options_of
from mailward.api.plugin import PLUGIN_NAME, Plugin
from mailward.model.errors import PluginError
from mailward.pipeline import dropins
from mailward.pipeline.capabilities import undeclared
from mailward.pipeline.stages import PLACES
from mailward.policy import RULES, Direction, Stage

ENTRY_POINT_GROUP = "mailward.plugins"

_log = structlog.get_logger()

Way = Literal["loop", "thread", "inline"]
"""How a hook is called: awaited on the event loop, in a thread, or directly."""


@dataclass(frozen=True, slots=True)
class Implementation:
    """One hook of one plugin. arguments: the names it wants, all known to the specification."""

    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    options: HookOptions
    way: Way


@dataclass(frozen=True, slots=True)
class Source:
    """How another process gets the same module: by its name, or by the text it was made of. file: where that was read."""

    module: str
    file: str = ""
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that was imported and checked. origin: "acme-dlp 1.2" or the path of a drop-in."""

    name: str
    declaration: Plugin
    version: str
    origin: str
    implementations: Mapping[str, Implementation]
    source: Source


_BEFORE_MAIL = frozenset({"inspect_connect", "inspect_helo"})
"""What they find is known from MAIL on, when policies are first asked."""


def stages_of(direction: Direction, plugins: Iterable[LoadedPlugin]) -> dict[str, Stage]:
    """The last stage of the direction at which what each of them finds becomes known; none for one that never looks."""
    return {
        plugin.name: stage
        for plugin in plugins
        for stage in RULES[direction].stages
        if f"inspect_{stage}" in plugin.implementations or (stage == "mail" and _BEFORE_MAIL & plugin.implementations.keys())
    }


@dataclass(frozen=True, slots=True)
class Available:
    """A plugin that a policy could name. problem: why it could not be loaded, as far as that is known without importing it."""

    name: str
    origin: str
    version: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    origin: str
    version: str
    load: Callable[[], tuple[object, Source]]


class PluginHost:
    """All plugins of one configuration. A reload makes a new host, so that changed drop-ins are read again.

    dropins_folder: `<config dir>/plugins`, None for no drop-ins. service_uid: the user the server runs as; besides root the
    only one who may own drop-ins (default: the current user). modules: plugins given as modules, for tests.
    """

    def __init__(
        self,
        dropins_folder: Path | None = None,
        *,
        service_uid: int | None = None,
        modules: Mapping[str, ModuleType] | None = None,
    ) -> None:
        self._dropins_folder = dropins_folder
        self._service_uid = os.geteuid() if service_uid is None else service_uid
        self._candidates = self._find(modules or {})
        self._loaded: dict[str, LoadedPlugin] = {}
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(specifications)

    def available(self) -> tuple[Available, ...]:
        """Every plugin there is, by name. Nothing is imported for this."""
        return tuple(
            Available(name, " and ".join(c.origin for c in found), found[0].version, _clash(found))
            for name, found in sorted(self._candidates.items())
        )

    def load(self, name: str) -> LoadedPlugin:
        """The plugin of this name, imported and checked the first time. Raises PluginError."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def homes(self) -> dict[str, str]:
        """Loaded plugin -> the file of its module, or the folder of its package: where its code is."""
        found = {}
        for name, one in self._loaded.items():
            file = one.source.file or getattr(sys.modules.get(one.source.module), "__file__", None) or ""
            found[name] = str(Path(file).parent) if Path(file).name == "__init__.py" else file
        return {name: home for name, home in found.items() if home}

    def enable(self, names: Iterable[str], *, optional: Collection[str] = ()) -> Mapping[str, Plugin]:
        """Load the plugins a policy names; name -> declaration. Raises PluginError for the first that cannot be loaded.

        One in `optional` is left out with a warning instead.
        """
        declarations = {}
        for name in names:
            try:
                declarations[name] = self.load(name).declaration
            except PluginError as error:
                if name not in optional:
                    raise
                _log.warning("plugin left out", plugin=name, reason=str(error))
        return declarations

    def _find(self, modules: Mapping[str, ModuleType]) -> dict[str, list[_Candidate]]:
        found: dict[str, list[_Candidate]] = {}
        for name, module in modules.items():
            found.setdefault(name, []).append(_Candidate(f"module {module.__name__}", "", partial(_given, module)))
        if self._dropins_folder is not None:
            folder = self._dropins_folder
            for name in dropins.names_in(folder):
                load = partial(_dropped_in, folder, name, self._service_uid)
                found.setdefault(name, []).append(_Candidate(str(folder / f"{name}.py"), "", load))
        for point in _entry_points():
            if point.name in modules:
                continue  # a test hands in its own version of an installed plugin
            version = point.dist.version if point.dist else ""
            origin = f"{point.dist.name} {version}" if point.dist else point.value
            found.setdefault(point.name, []).append(_Candidate(origin, version, partial(_installed, point)))
        return found

    def _load(self, name: str) -> LoadedPlugin:
        found = self._candidates.get(name)
        if not found:
            raise PluginError(name, f"is not installed, and no drop-in has that name.{_nearest(name, self._candidates)}")
        if clash := _clash(found):
            raise PluginError(name, clash)
        candidate = found[0]
        try:
            module, source = candidate.load()
        except (KeyboardInterrupt, PluginError):
            raise
        except BaseException as error:
            # A foreign module may do anything while it is imported, sys.exit included; that is its failure, not ours.
            raise PluginError(name, f"cannot be loaded from {candidate.origin}: {type(error).__name__}: {error}") from error
        return self._check(name, module, source, candidate)

    def _check(self, name: str, module: object, source: Source, candidate: _Candidate) -> LoadedPlugin:
        declaration = getattr(module, "plugin", None)
        if not isinstance(module, ModuleType) or not isinstance(declaration, Plugin):
            raise PluginError(name, f"{candidate.origin}: its module must carry `plugin = Plugin(api=1, ...)`")
        problems = declaration.problems()
        if not PLUGIN_NAME.fullmatch(name):
            problems.insert(0, "a plugin's name is small letters, digits and underscores, a letter first")
        implementations = {}
        for attribute, function in sorted(vars(module).items()):
            if not inspect.isroutine(function):
                continue
            marked = self._manager.parse_hookimpl_opts(module, attribute) is not None
            if attribute in PLACES and not marked:
                problems.append(f"{attribute} is not marked; write @hookimpl above it")
            elif marked:
                wrong = _signature_problems(attribute, function)
                problems += wrong
                if not wrong:
                    implementations[attribute] = _implementation(attribute, function)
        if not problems:
            problems += undeclared(declaration.capabilities, {name: one.arguments for name, one in implementations.items()})
        if not implementations and not problems:
            problems.append(f"it implements no hook; the hooks are {', '.join(PLACES)}")
        if problems:
            raise PluginError(name, "; ".join(problems))
        try:
            self._manager.register(module, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(name, str(error)) from error
        version = declaration.version if declaration.version != "0" or not candidate.version else candidate.version
        return LoadedPlugin(name, declaration, version, candidate.origin, implementations, source)


def _given(module: ModuleType) -> tuple[ModuleType, Source]:
    file = Path(module.__file__ or "")
    if module.__spec__ is None and file.is_file():
        return module, Source(module.__name__, str(file), file.read_bytes())
    return module, Source(module.__name__)


def _installed(point: metadata.EntryPoint) -> tuple[object, Source]:
    return point.load(), Source(point.module)


def _dropped_in(folder: Path, name: str, service_uid: int) -> tuple[ModuleType, Source]:
    text, path = dropins.read(folder, name, service_uid=service_uid)
    module = dropins.module_name(name)
    return dropins.run(text, str(path), module), Source(module, str(path), text)


def _entry_points() -> list[metadata.EntryPoint]:
    """The entry points of our group; a distribution that is on the path twice counts once."""
    unique = {(p.name, p.value, p.dist.name if p.dist else ""): p for p in metadata.entry_points(group=ENTRY_POINT_GROUP)}
    return list(unique.values())


def _clash(found: list[_Candidate]) -> str:
    return "" if len(found) == 1 else f"two plugins have this name: {' and '.join(c.origin for c in found)}; remove one"


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def spec_arguments(hook: str) -> tuple[str, ...]:
    """The arguments a hook may name, in the order of its specification."""
    return tuple(inspect.signature(getattr(specifications, hook)).parameters)


def _signature_problems(name: str, function: Callable[..., Any]) -> list[str]:
    if name not in PLACES:
        return [f"there is no hook '{name}'.{_nearest(name, PLACES)}"]
    if inspect.isasyncgenfunction(function):
        return [f"{name} is an async generator; return the findings instead of yielding them"]
    options = options_of(function)
    if inspect.iscoroutinefunction(function) and options.inline:
        return [f"{name} cannot be both async and inline"]
    known = spec_arguments(name)
    problems = []
    for argument in inspect.signature(function).parameters.values():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD, argument.POSITIONAL_ONLY):
            problems.append(f"{name} must name its arguments plainly, without *, ** or /")
        elif argument.name not in known and argument.default is argument.empty:
            near = _nearest(argument.name, known)
            problems.append(f"{name} asks for the argument '{argument.name}'; it may ask for {', '.join(known)}.{near}")
    return problems


def _implementation(name: str, function: Callable[..., Any]) -> Implementation:
    known = spec_arguments(name)
    wanted = tuple(argument for argument in inspect.signature(function).parameters if argument in known)
    options = options_of(function)
    way: Way = "inline" if options.inline else "loop" if inspect.iscoroutinefunction(function) else "thread"
    return Implementation(name, function, wanted, options, way)
