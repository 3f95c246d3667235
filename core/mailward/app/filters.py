"""Policies and the plugins they name, loaded together and replaced together."""

import contextlib
import json
import os
import pwd
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import structlog

from mailward.api.plugin import Facts, Plugin, Settings
from mailward.app.config import Config
from mailward.formats.duration import duration_text
from mailward.lists import ListStore
from mailward.model.errors import ConfigError, PluginError, PolicyError, Problem
from mailward.model.verdict import Verdict
from mailward.pipeline.order import OrderError, arrange_all
from mailward.pipeline.plugins import Available, LoadedPlugin, PluginHost, stages_of
from mailward.policy import (
    DIRECTIONS,
    Direction,
    Policy,
    lists_kept,
    load_policy,
    load_preset,
    plugins_named,
    plugins_of_preset,
)
from mailward.policy.entries import ListType
from mailward.policy.facts import type_name

log = structlog.get_logger("mailward.filters")

OWN_PACKAGE = "mailward "
"""How the origin of a bundled plugin begins: name and version of its package."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The checked policy of each direction and the host of their plugins. Immutable: a reload makes a new one."""

    policies: Mapping[Direction, Policy]
    host: PluginHost

    def isolating(self, names: Collection[str]) -> "Filters":
        """The same filters, with these plugins in processes of their own."""
        return Filters({direction: _isolated(policy, names) for direction, policy in self.policies.items()}, self.host)


def load_filters(config: Config) -> Filters:
    """The filters of a configuration. Raises ConfigError (PolicyError, PluginError) when any of it cannot be used.

    Only inbound.yaml must be there; a direction without a file has its preset.
    """
    _check_inbound(config)
    host = PluginHost(config.plugins)
    policies = {direction: _load(config, direction, host) for direction in DIRECTIONS}
    return Filters(policies, host).isolating(config.isolated_plugins)


def _isolated(policy: Policy, names: Collection[str]) -> Policy:
    """The same policy that gives these plugins processes of their own."""
    moved = {name: replace(policy.plugins[name], isolated=True) for name in names if name in policy.plugins}
    return replace(policy, plugins={**policy.plugins, **moved}) if moved else policy


def _check_inbound(config: Config) -> None:
    path = policy_file(config, "inbound")
    if not path.is_file():
        raise ConfigError(f"there is no policy {path}; the shortest one is: version: 1, extends: mailward/inbound")


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


def policy_at(config: Config, direction: Direction, path: Path, *, shown_as: str = "") -> Policy:
    """The policy alone of `filters_at`."""
    return filters_at(config, direction, path, shown_as=shown_as).policies[direction]


def filters_at(config: Config, direction: Direction, path: Path, *, shown_as: str = "") -> Filters:
    """One policy of this configuration's plugins that is not in force: of a file, or of a folder like `policies`.

    shown_as: how problems call it, its path by default. Raises PolicyError or PluginError when it cannot be used.
    """
    try:
        file = path / f"{direction}.yaml" if path.is_dir() else path
        file.open("rb").close()
    except OSError as error:
        user = pwd.getpwuid(os.geteuid()).pw_name
        raise ConfigError(f"cannot read the policy {path} as user {user}: {error.strerror}") from error
    host = PluginHost(config.plugins)
    return Filters({direction: _load(config, direction, host, file, shown_as)}, host).isolating(config.isolated_plugins)


def _load(config: Config, direction: Direction, host: PluginHost, file: Path | None = None, called: str = "") -> Policy:
    """A plugin that cannot be loaded is the policy's problem where it is named, unless it is `optional`."""
    path = file or policy_file(config, direction)
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
    shown_as = called or _shown_as(config, path)
    try:
        if has_file:
            policy = load_policy(
                path,
                declarations,
                stages=stages,
                direction=direction,
                shown_as=shown_as,
                listeners=_listeners(config),
                kept=ListStore(config.lists_file),
            )
        else:
            policy = load_preset(direction, declarations, stages=stages)
    except PolicyError:
        if broken:  # it says why the policy misses the plugin
            raise broken[0] from None
        raise
    for error in broken:
        log.warning("plugin left out", reason=str(error))
    _check_order(policy, found)
    if direction == "access":
        _check_second_factor(policy, found, shown_as if has_file else "mailward/access.yaml")
    return policy


def _listeners(config: Config) -> dict[str, tuple[Direction, ...]]:
    """The directions that judge what comes by each listener: mail, logins, or both."""
    judged: dict[str, tuple[Direction, ...]] = {
        **dict.fromkeys(("smtp", "lmtp"), ("inbound",)),
        "submission": ("submission", "access"),
        **dict.fromkeys(("imap", "pop3", "managesieve"), ("access",)),
    }
    return {one.name: judged[one.protocol] for one in config.listeners}


def _shown_as(config: Config, path: Path) -> str:
    return str(path.relative_to(config.folder)) if path.is_relative_to(config.folder) else str(path)


def lists_in_database(config: Config) -> dict[str, dict[Direction, ListType]]:
    """The lists that policies want commands to keep, with the type that each of them says. The rest of a policy may be wrong.

    Raises PolicyError.
    """
    found: dict[str, dict[Direction, ListType]] = {}
    for direction in DIRECTIONS:
        path = policy_file(config, direction)
        if path.exists():
            for name, type in lists_kept(path, _shown_as(config, path)).items():
                found.setdefault(name, {})[direction] = type
    return found


def _check_order(policy: Policy, found: Iterable[LoadedPlugin]) -> None:
    """Those that always count must get along by themselves, each canary with them, and what is in shadow with all. Raises
    PolicyError."""
    plugins = {one.name: one for one in found}
    there = {name: entry for name, entry in policy.plugins.items() if name in plugins and entry.mode != "off"}
    counting = {name for name, entry in there.items() if entry.counts}
    canaries = [{*counting, name} for name, entry in there.items() if entry.canary is not None]
    problems: dict[str, Problem] = {}
    for names in (counting, *canaries, set(there)):
        try:
            arrange_all(plugins, {name: there[name].order for name in there if name in names})
        except OrderError as error:
            culprit = policy.plugins.get(error.needed) or there[error.plugin]
            hint = "" if not error.needed else f"It is {culprit.mode if error.needed in policy.plugins else 'not named'} here."
            path = f"plugins.{error.plugin}"
            problems.setdefault(path, Problem(culprit.where, path, str(error), hint))
    if problems:
        raise PolicyError(list(problems.values()))


def _check_second_factor(policy: Policy, found: Iterable[LoadedPlugin], file: str) -> None:
    """A second factor must not be lost by a line that is not there (T-2FA-04). Raises PolicyError."""
    entries = policy.plugins
    named = [one.name for one in found if "provide_second_factor" in one.implementations and one.name in entries]
    asking = [name for name in named if entries[name].counts]
    lax = [entries[name] for name in asking if entries[name].on_error is Verdict.ACCEPT]
    problems = [
        Problem(one.where, f"plugins.{one.name}.on_error", "accept lets people in without their second factor", "Use tempfail.")
        for one in lax
    ]
    if not asking and not ("totp" in entries and entries["totp"].mode == "off"):
        text = "no plugin asks for a second factor: accounts that have one would get in without it"
        problems.append(Problem(f"{file}:1:1", "plugins", text, "Write totp: {}, or totp: {mode: off} if that is what you want."))
    if problems:
        raise PolicyError(problems)


@dataclass(frozen=True, slots=True)
class Word:
    """A fact or a setting of a plugin. kind: the type of a fact ("text"), the default of a setting as a policy writes it.

    meaning: as the plugin's author wrote it, "" for nothing.
    """

    name: str
    kind: str
    meaning: str


STATUS = Word("status", "text", "ok, off, shadow, skipped or failed")
"""What every plugin has."""


@dataclass(frozen=True, slots=True)
class Known:
    """A plugin as `mailward plugins` shows it. modes: what the policies that name it say, none when no policy does.

    problem: why it cannot be used, or "". isolated: the policies that give it a process of its own.
    """

    name: str
    modes: Mapping[Direction, str]
    origin: str
    problem: str
    plugin: Plugin | None
    facts: tuple[Word, ...] = ()
    settings: tuple[Word, ...] = ()
    hooks: tuple[str, ...] = ()
    version: str = ""
    isolated: tuple[Direction, ...] = ()


def known_plugins(config: Config) -> tuple[tuple[Known, ...], tuple[Direction, ...]]:
    """Every plugin there is, and the directions whose policy is wrong, so that it is not known what they enable.

    A plugin that neither a policy names nor this package brings is not imported for it (T-PLUG-02).
    """
    host = PluginHost(config.plugins)
    policies, wrong = _sound_policies(config, host)
    found = []
    for available in host.available():
        modes = _modes(policies, available.name)
        if not modes and not available.origin.startswith(OWN_PACKAGE):
            unread = f"not read before a policy names it; mailward plugins info {available.name} reads it"
            found.append(Known(available.name, modes, available.origin, available.problem or unread, None))
        else:
            found.append(_known(host, available, modes, _isolating(policies, available.name)))
    return tuple(found), wrong


def known_plugin(config: Config, name: str) -> tuple[Known | None, tuple[Direction, ...]]:
    """One plugin, imported for it whether or not a policy names it; None when there is none of that name. Else as above."""
    host = PluginHost(config.plugins)
    available = next((one for one in host.available() if one.name == name), None)
    policies, wrong = _sound_policies(config, host)
    return None if available is None else _known(host, available, _modes(policies, name), _isolating(policies, name)), wrong


def _sound_policies(config: Config, host: PluginHost) -> tuple[Mapping[Direction, Policy], tuple[Direction, ...]]:
    _check_inbound(config)
    sound: dict[Direction, Policy] = {}
    for direction in DIRECTIONS:
        with contextlib.suppress(PolicyError, PluginError):
            sound[direction] = _load(config, direction, host)
    return sound, tuple(direction for direction in DIRECTIONS if direction not in sound)


def _modes(policies: Mapping[Direction, Policy], name: str) -> dict[Direction, str]:
    return {direction: policy.plugins[name].mode for direction, policy in policies.items() if name in policy.plugins}


def _isolating(policies: Mapping[Direction, Policy], name: str) -> tuple[Direction, ...]:
    return tuple(direction for direction, policy in policies.items() if name in policy.plugins and policy.plugins[name].isolated)


def _known(host: PluginHost, available: Available, modes: Mapping[Direction, str], isolated: tuple[Direction, ...]) -> Known:
    try:
        loaded = host.load(available.name)
    except PluginError as error:
        return Known(available.name, modes, available.origin, str(error), None)
    plugin = loaded.declaration
    facts = _words(plugin.facts, type_name)
    settings = _words(plugin.settings, _as_written)
    return Known(
        available.name,
        modes,
        available.origin,
        "",
        plugin,
        (*facts, STATUS),
        settings,
        tuple(loaded.implementations),
        loaded.version,
        isolated,
    )


def _words(kind: type[Facts | Settings], written: Callable[[object], str]) -> tuple[Word, ...]:
    """Its fields, with what its docstring says of each: "name: meaning. other_name: meaning.", as bundled plugins have it."""
    meanings: dict[str, str] = {}
    for paragraph in (kind.__doc__ or "").split("\n\n"):
        text = " ".join(paragraph.split())
        marks = list(re.finditer(r"(?:^|(?<=[.;] ))((?:[a-z_0-9]+, )*[a-z_0-9]+): ", text))
        for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)], strict=False):
            meanings.update(dict.fromkeys(mark[1].split(", "), text[mark.end() : end].strip(" .;")))
    return tuple(Word(f.name, written(_default(f)), meanings.get(f.name, "")) for f in fields(kind))


def _default(field: Field[Any]) -> object:
    """What holds when nothing is said; MISSING where something must be."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _as_written(value: object) -> str:
    """A default as a policy would write it."""
    if value is MISSING:
        return "(must be given)"
    if value is None:
        return "(not set)"
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_as_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list | frozenset):
        return "[" + ", ".join(_as_written(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | int | float | str) else str(value)
