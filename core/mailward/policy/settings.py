"""A plugin's entry in the policy: the core's own keys, and the settings its Settings class declares."""

import enum
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from datetime import date, timedelta
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, ConfigDict, Strict

from mailward.api.plugin import Plugin, Settings
from mailward.formats.nearest import nearest
from mailward.formats.yaml_nodes import Node
from mailward.model.errors import Problem
from mailward.model.verdict import Verdict
from mailward.policy.canary import Canary
from mailward.policy.directions import RULES, Direction
from mailward.policy.schema import CORE_KEYS, Day, Duration, PluginKeys, RuleKeys, validate
from mailward.policy.scope import EVERYTHING
from mailward.policy.scoping import Scoping
from mailward.policy.values import PluginPolicy

MAX_TIMEOUT_S = 120.0
"""The message stage as a whole takes no longer (design section 7)."""

_NO_KEY = re.compile(r"there is no key '(.*)' here", re.DOTALL)


def plugin_policy(
    scoping: Scoping, name: str, entry: Node, path: str, declaration: Plugin | None, problems: list[Problem]
) -> PluginPolicy | None:
    """How the policy uses this plugin; None, with problems added, when the entry makes no sense.

    Without a declaration (the plugin is missing) its settings are not looked at.
    """
    if not isinstance(entry.value, dict) and entry.value is not None:
        problems.append(
            Problem(entry.where, path, "a mapping of settings was expected", f"Write {name}: {{}} to enable it as it is.")
        )
        return None
    known = declared_names(declaration)
    own = [key for key in entry.mapping if key not in CORE_KEYS]
    keys = validate(PluginKeys, _as_mapping(entry), path, problems, drop=own)
    if declaration is not None and (reserved := sorted(CORE_KEYS & set(known))):
        text = f"the plugin declares the setting '{reserved[0]}', which is a key of the core"
        problems.append(Problem(entry.where, path, text, "Its author must rename it."))
        return None
    if keys is None:
        return None
    _refuse_what_is_not_here(scoping.direction, entry, path, keys, problems)
    if keys.timeout.total_seconds() > MAX_TIMEOUT_S or keys.timeout <= timedelta(0):
        problems.append(
            Problem(entry.where_of(["timeout"]), f"{path}.timeout", f"from 1ms up to {MAX_TIMEOUT_S:g}s was expected")
        )
    settings = Settings() if declaration is None else _settings(declaration, entry, path, problems)
    if settings is None:
        return None
    return PluginPolicy(
        name=name,
        mode=keys.mode,
        timeout_s=keys.timeout.total_seconds(),
        on_error=Verdict(keys.on_error),
        heed=keys.heed,
        optional=keys.optional,
        order=keys.order,
        settings=settings,
        declaration=declaration,
        where=entry.where,
        isolated=keys.isolation == "process",
        canary=canary_of("plugin", name, keys, scoping, entry, path, problems),
    )


def declared_names(declaration: Plugin | None) -> Sequence[str]:
    """The names of a plugin's settings."""
    return [] if declaration is None else [setting.name for setting in fields(declaration.settings)]


def _refuse_what_is_not_here(direction: Direction, entry: Node, path: str, keys: PluginKeys, problems: list[Problem]) -> None:
    rules = RULES[direction]
    if keys.mode not in rules.modes:
        *most, last = [mode for mode in ("enforce", "shadow", "canary", "off") if mode in rules.modes]
        hint = f"Use {', '.join(most)} or {last}."
        problems.append(Problem(entry.where_of(["mode"]), f"{path}.mode", f"there is no {keys.mode} in {direction}", hint))
    if Verdict(keys.on_error) not in rules.verdicts:
        *others, final = sorted(verdict.value for verdict in rules.verdicts)
        text = f"{', '.join(others)} or {final} was expected in {direction}, '{keys.on_error}' was found"
        problems.append(Problem(entry.where_of(["on_error"]), f"{path}.on_error", text))


def canary_of(
    kind: str, name: str, keys: PluginKeys | RuleKeys, scoping: Scoping, entry: Node, path: str, problems: list[Problem]
) -> Canary | None:
    """For which mail a plugin or a rule counts that is a canary, None when it is none; what it lacks and what only a canary has
    is added to the problems. A share that is written and wrong is told elsewhere."""
    written = [key for key in ("share", "for") if key in entry.mapping]
    if keys.mode != "canary":
        texts = {"share": "only a canary has a share", "for": "only a canary is for some"}
        hint = "Write mode: canary, or put a rule under overrides:." if kind == "rule" else "Write mode: canary."
        problems += [Problem(entry.where_of([key]), f"{path}.{key}", texts[key], hint) for key in written]
        return None
    if not written:
        hint = "Write share: 5% for one sender in twenty, or for: {recipient: [example.org]}."
        problems.append(Problem(entry.where_of(["mode"]), f"{path}.mode", "a canary needs its share, or whom it is for", hint))
    scope = EVERYTHING if keys.scope is None else scoping.scope(keys.scope, entry, path)
    if scope.sender is not None and scoping.direction == "inbound":
        text = "strangers choose their senders themselves"
        hint = "Write recipient:, network: or share:."
        problems.append(Problem(entry.where_of(["for", "sender"]), f"{path}.for.sender", text, hint))
    return Canary(kind, name, keys.share, scope, entry.where_of(["for"]))


def _settings(declaration: Plugin, entry: Node, path: str, problems: list[Problem]) -> Settings | None:
    before = len(problems)
    known = set(declared_names(declaration))
    checked = validate(_checked_form(cast(Any, declaration.settings)), _as_mapping(entry), path, problems, drop=CORE_KEYS - known)
    for index in range(before, len(problems)):
        problems[index] = _with_core_keys(problems[index], known)
    if checked is None:
        return None
    try:
        return declaration.settings(**{name: getattr(checked, name) for name in known})
    except (ValueError, TypeError) as error:
        problems.append(Problem(entry.where, path, str(error)))
        return None


def _with_core_keys(problem: Problem, known: Collection[str]) -> Problem:
    """An unknown key may be meant for the plugin or for the core."""
    match = _NO_KEY.fullmatch(problem.text)
    if match is None:
        return problem
    settings = ", ".join(sorted(known)) or "none"
    hint = nearest(match[1], [*known, *CORE_KEYS]) or f"Settings: {settings}. Keys of the core: {', '.join(sorted(CORE_KEYS))}."
    return Problem(problem.where, problem.path, problem.text, hint)


def _as_mapping(entry: Node) -> Node:
    return entry if isinstance(entry.value, dict) else Node({}, entry.file, entry.line, entry.column)


@lru_cache(maxsize=256)
def _checked_form(settings: Any) -> Any:
    """A dataclass with the same fields whose types are checked strictly; the plugin's own class stays a plain dataclass."""
    hints = get_type_hints(settings, include_extras=True)
    members = [
        (member.name, _strict(hints[member.name]), field(default=member.default, default_factory=member.default_factory))
        for member in fields(settings)
    ]
    return make_dataclass(
        settings.__name__, members, frozen=True, kw_only=True, namespace={"__pydantic_config__": ConfigDict(extra="forbid")}
    )


def _strict(hint: Any) -> Any:
    """The same type without lax conversions, with timedelta written as 30s and date as 2026-12-01."""
    if hint is timedelta:
        return Duration
    if hint is date:
        return Day
    if is_dataclass(hint):
        made: Any = hint
        names = [member.name for member in fields(hint)]
        return Annotated[_checked_form(made), AfterValidator(lambda one: made(**{name: getattr(one, name) for name in names}))]
    if hint in (bool, int, float, str):
        return Annotated[hint, Strict()]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return tuple[tuple(_strict(a) if a is not Ellipsis else a for a in arguments)]  # type: ignore[misc]
    if origin is Mapping:
        return Mapping[tuple(_strict(a) for a in arguments)]  # type: ignore[misc]
    if origin in (Union, UnionType):
        return Union[tuple(_strict(a) for a in arguments)]  # noqa: UP007 - made at run time
    return hint
