"""Do the words of a policy mean something here? Plugins, lists, scores, limits, overrides: cross-checked, every Problem reported.

Takes the layers of a policy (the file, then its preset) and makes the parts of a `Policy`. Single rules are left to `rules`,
its tests to `cases`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypedDict

from mailward.api.plugin import Plugin
from mailward.formats.nearest import nearest
from mailward.formats.yaml_nodes import Node
from mailward.model.errors import Problem
from mailward.model.replies import REPLIES
from mailward.model.verdict import Verdict
from mailward.policy.cases import policy_tests
from mailward.policy.directions import RULES, Direction
from mailward.policy.entries import ListType
from mailward.policy.facts import Vocabulary
from mailward.policy.forgeable import forgeable
from mailward.policy.lists import KeptLists, Lists, ListSource
from mailward.policy.rules import Compiler
from mailward.policy.schema import LimitKeys, ListKeys, OverrideKeys, Points, validate
from mailward.policy.scoping import Listeners, Scoping
from mailward.policy.settings import plugin_policy
from mailward.policy.stages import Stage
from mailward.policy.tests import PolicyTest
from mailward.policy.texts import TextError, wording
from mailward.policy.values import Limit, Override, PluginPolicy, Rule
from mailward.policy.variables import Group, group

_LIMITS: tuple[Literal["junk", "quarantine", "reject"], ...] = ("junk", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of a policy. folder: what its relative paths start from, None for a preset."""

    root: Node
    folder: Path | None
    octets: bytes
    from_preset: bool


class Parts(TypedDict):
    """All of a Policy but its direction and digest."""

    plugins: Mapping[str, PluginPolicy]
    rules: tuple[Rule, ...]
    preset_rules: tuple[Rule, ...]
    removed: frozenset[str]
    limits: tuple[Limit, ...]
    overrides: tuple[Override, ...]
    weights: Mapping[str, float]
    lists: Lists
    vocabulary: Vocabulary
    needed: Group
    replies: Mapping[str, str]
    tests: tuple[PolicyTest, ...]
    warnings: tuple[Problem, ...]


def check(
    direction: Direction,
    layers: Sequence[Layer],
    installed: Mapping[str, Plugin],
    stages: Mapping[str, Stage],
    listeners: Listeners | None,
    kept: KeptLists,
) -> tuple[Parts, list[Problem]]:
    """The parts of a policy, fit for use only when there are no problems. layers: the file first, then its preset."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    layers = [replace(layer, root=_without_missing(layer.root, direction, problems)) for layer in layers]
    for layer in layers:
        _check_shapes(layer.root, problems)
    scoping = Scoping(direction, listeners, problems)
    plugins, missing = _plugins(scoping, layers, installed, problems, warnings)
    present = {name: plugin.declaration for name, plugin in plugins.items() if plugin.declaration is not None}
    present |= {name: installed[name] for name in _entries(layers) if name in installed}
    vocabulary = Vocabulary(direction, present, stages, missing)
    lists = _lists(layers, kept, problems)
    weights = _weights(layers, present, vocabulary, problems, warnings)
    compiler = Compiler(vocabulary, lists, scoping, _entries(layers).keys(), problems, warnings)

    own, preset = layers[0], layers[1:]
    preset_rules: list[Rule] = []
    for layer in preset:
        preset_rules += compiler.rules(_items(layer.root, "rules"), "rules", (), for_recipients=False)[0]
    preset_names = {rule.name for rule in preset_rules} | _rule_names(preset)
    rules, removed = compiler.rules(_items(own.root, "rules"), "rules", preset_names, for_recipients=False)
    limits = _limits([layer.root for layer in layers], "limits", (), problems)
    problems += _foreign_limits(layers, direction)
    below = preset_names | _rule_names([own])
    overrides = _overrides(own, compiler, scoping, limits, below, problems)
    warnings += forgeable(direction, overrides, limits, plugins, [*rules, *preset_rules])
    everything = [*preset_rules, *rules, *(rule for override in overrides for rule in override.rules)]
    parts = Parts(
        plugins=plugins,
        rules=tuple(rules),
        preset_rules=tuple(preset_rules),
        removed=frozenset(removed),
        limits=limits,
        overrides=overrides,
        weights=weights,
        lists=lists,
        vocabulary=vocabulary,
        needed=_needed(everything, vocabulary),
        replies=_replies(layers, problems),
        tests=_tests(layers, vocabulary, below | {rule.name for rule in everything}, problems),
        warnings=tuple(warnings),
    )
    return parts, problems


def _without_missing(root: Node, direction: Direction, problems: list[Problem]) -> Node:
    """The file without the keys that mean nothing in this direction, each of them a Problem."""
    missing = RULES[direction].missing
    kept = {}
    for name, node in root.mapping.items():
        if name in missing:
            text = f"'{name}' is not available yet in {direction}"
            problems.append(Problem(root.where_of([name]), name, text, missing[name]))
        else:
            kept[name] = node
    return Node(kept, root.file, root.line, root.column, key_marks=root.key_marks)


def merged(sections: Sequence[Node | None]) -> dict[str, Node]:
    """Mappings of several layers by key, an upper layer's over a lower one's; members that are mappings likewise."""
    result: dict[str, Node] = {}
    for section in reversed(sections):
        for name, node in {}.items() if section is None else section.mapping.items():
            result[name] = _over(node, result[name]) if name in result else node
    return result


def _over(upper: Node, lower: Node) -> Node:
    if upper.value is not None and not isinstance(upper.value, dict):
        return upper
    both = {**lower.mapping, **upper.mapping}
    return Node(both, upper.file, upper.line, upper.column, key_marks={**lower.key_marks, **upper.key_marks})


def _entries(layers: Sequence[Layer]) -> dict[str, Node]:
    return merged([layer.root.at("plugins") for layer in layers])


def _check_shapes(root: Node, problems: list[Problem], path: str = "") -> None:
    for name in ("lists", "plugins", "scores", "limits", "replies"):
        section = root.at(name)
        if section is not None and section.value is not None and not isinstance(section.value, dict):
            problems.append(Problem(section.where, f"{path}{name}", "a mapping was expected"))
    for name in ("rules", "overrides", "tests"):
        section = root.at(name)
        if section is not None and section.value is not None and not isinstance(section.value, list):
            problems.append(Problem(section.where, f"{path}{name}", "a list was expected", "Begin each item with '- '."))


def _items(root: Node, name: str) -> list[Node]:
    section = root.at(name)
    return [] if section is None else section.items


def _rule_names(layers: Sequence[Layer]) -> set[str]:
    """The names written in rules that may have mistakes elsewhere, so that one mistake is not reported twice."""
    found = (rule.at("name") for layer in layers for rule in _items(layer.root, "rules"))
    return {node.value for node in found if node is not None and isinstance(node.value, str)}


def _plugins(
    scoping: Scoping,
    layers: Sequence[Layer],
    installed: Mapping[str, Plugin],
    problems: list[Problem],
    warnings: list[Problem],
) -> tuple[dict[str, PluginPolicy], set[str]]:
    plugins: dict[str, PluginPolicy] = {}
    missing: set[str] = set()
    for name, entry in _entries(layers).items():
        path = f"plugins.{name}"
        declaration = installed.get(name)
        plugin = plugin_policy(scoping, name, entry, path, declaration, problems)
        if declaration is None:
            missing.add(name)
            if plugin is not None and plugin.mode != "off":
                problem = Problem(_key_place(layers, name), path, f"no plugin is called '{name}'", _plugin_hint(name, installed))
                (warnings if plugin.optional else problems).append(problem)
        if plugin is not None:
            plugins[name] = plugin
        for text in declaration.problems() if declaration is not None else ():
            problems.append(Problem(_key_place(layers, name), path, text))
    return plugins, missing


def _plugin_hint(name: str, installed: Mapping[str, Plugin]) -> str:
    return (
        nearest(name, installed)
        or f"Installed: {', '.join(sorted(installed)) or 'none'}. `optional: true` lets the server start without it."
    )


def _key_place(layers: Sequence[Layer], name: str) -> str:
    """Where the uppermost layer that names it has the key."""
    return next(layer.root.where_of(["plugins", name]) for layer in layers if layer.root.at("plugins", name) is not None)


def _lists(layers: Sequence[Layer], kept: KeptLists, problems: list[Problem]) -> Lists:
    lists = Lists(kept)
    for layer in reversed(layers):
        section = layer.root.at("lists")
        for name, node in {}.items() if section is None else section.mapping.items():
            keys = validate(ListKeys, node, f"lists.{name}", problems)
            file = None if keys is None else keys.file
            is_kept = keys is not None and keys.database
            if keys is not None and not is_kept and file is None and not {"file", "values"} & node.mapping.keys():
                text = "the list has neither `file:` nor `values:` nor `database: true`"
                problems.append(Problem(node.where, f"lists.{name}", text))
            if is_kept and file is not None:
                text, hint = "the list is in a file and in the database", f"mailward list import {name} FILE puts the file there."
                problems.append(Problem(node.where_of(["database"]), f"lists.{name}", text, hint))
            values = (
                tuple((item.value, item.where) for item in _values(node) if isinstance(item.value, str))
                if keys is not None
                else ()
            )
            path, shown_as = None, ""
            if file is not None:
                path = (layer.folder or Path()) / file
                shown_as = str(Path(layer.root.file).parent / file)
            place = node.where_of(["database"]) if is_kept else node.where if file is None else node.where_of(["file"])
            type: ListType = "text" if keys is None else keys.type
            problems += lists.add(ListSource(name, type, values, path, shown_as, place, is_kept))
    return lists


def _values(node: Node) -> list[Node]:
    values = node.at("values")
    return [] if values is None else values.items


def _weights(
    layers: Sequence[Layer],
    plugins: Mapping[str, Plugin],
    vocabulary: Vocabulary,
    problems: list[Problem],
    warnings: list[Problem],
) -> dict[str, float]:
    weights = {name: symbol.points for plugin in plugins.values() for name, symbol in plugin.symbols.items()}
    for layer in reversed(layers):
        section = layer.root.at("scores")
        for name, node in {}.items() if section is None else section.mapping.items():
            points = validate(Points, node, f"scores.{name}", problems)
            if name not in weights:
                problem = Problem(
                    section.where_of([name]) if section is not None else node.where,
                    f"scores.{name}",
                    f"no symbol is called '{name}'",
                    nearest(name, vocabulary.symbols) or "A symbol exists when `plugins:` names its plugin.",
                )
                (warnings if vocabulary.missing else problems).append(problem)
            elif points is not None:
                weights[name] = points
    return weights


def _replies(layers: Sequence[Layer], problems: list[Problem]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, node in merged([layer.root.at("replies") for layer in layers]).items():
        path = f"replies.{name}"
        text = validate(str, node, path, problems)
        if name not in REPLIES:
            hint = nearest(name, REPLIES) or "docs/reference/replies.md has them all."
            place = next(layer.root.where_of(["replies", name]) for layer in layers if layer.root.at("replies", name) is not None)
            problems.append(Problem(place, path, f"no reply is called '{name}'", hint))
        elif text is not None:
            try:
                texts[name] = wording(text, REPLIES[name])
            except TextError as error:
                problems.append(Problem(node.where, path, str(error)))
    return texts


def _limits(roots: Sequence[Node], path: str, base: Sequence[Limit], problems: list[Problem]) -> tuple[Limit, ...]:
    """Limits of several mappings over those of `base`, strongest verdict first. A stronger verdict's limit is never lower."""
    limits = {limit.verdict: limit for limit in base}
    for root in reversed(roots):
        section = root.at("limits")
        if section is None or not isinstance(section.value, dict):
            continue
        keys = validate(LimitKeys, section, path, problems)
        for name in _LIMITS:
            points = None if keys is None else getattr(keys, name)
            if points is not None:
                limits[Verdict(name)] = Limit(Verdict(name), points, f"limits.{name} {points:g}", section.where_of([name]))
    ordered = sorted(limits.values(), key=lambda limit: -limit.verdict.strength)
    in_force = [limit for limit in ordered if limit.points < math.inf]
    for stronger, weaker in pairwise(in_force):
        if stronger.points < weaker.points and (stronger not in base or weaker not in base):
            text = f"{stronger.name} is below {weaker.name}: {weaker.verdict.value} could never come about"
            problems.append(
                Problem(stronger.where, path, text, f"Raise {stronger.verdict.value}, or write {weaker.verdict.value}: off.")
            )
    return tuple(ordered)


def _foreign_limits(layers: Sequence[Layer], direction: Direction) -> list[Problem]:
    """Limits for verdicts that this direction does not know."""
    verdicts = RULES[direction].verdicts
    owners = [(layer.root, "") for layer in layers]
    owners += [(one, f"overrides[{index}].") for index, one in enumerate(_items(layers[0].root, "overrides"))]
    return [
        Problem(owner.where_of(["limits", name]), f"{path}limits.{name}", f"there is no verdict {name} in {direction}")
        for owner, path in owners
        for name in _LIMITS
        if owner.at("limits", name) is not None and Verdict(name) not in verdicts
    ]


def _overrides(
    layer: Layer, compiler: Compiler, scoping: Scoping, limits: tuple[Limit, ...], below: set[str], problems: list[Problem]
) -> tuple[Override, ...]:
    overrides: list[Override] = []
    for index, node in enumerate(_items(layer.root, "overrides")):
        path = f"overrides[{index}]"
        keys = validate(OverrideKeys, node, path, problems, drop=("rules", "limits"))
        if isinstance(node.value, dict):
            _check_shapes(node, problems, f"{path}.")
        for_recipients = node.at("for", "recipient") is not None
        rules, removed = compiler.rules(_items(node, "rules"), f"{path}.rules", below, for_recipients=for_recipients)
        own = _limits([node], f"{path}.limits", limits, problems)
        if keys is None:
            continue
        if (same := next((one for one in overrides if one.name == keys.name), None)) is not None:
            text = f"an override called '{keys.name}' stands already at {same.where}"
            problems.append(Problem(node.where_of(["name"]), f"{path}.name", text))
        scope = scoping.scope(keys.scope, node, path)
        changed = tuple(limit for limit in own if limit not in limits)
        overrides.append(Override(keys.name, node.where, scope, tuple(rules), frozenset(removed), changed))
    return tuple(overrides)


def _needed(rules: Sequence[Rule], vocabulary: Vocabulary) -> Group:
    names = sorted({name for rule in rules for name in rule.when.names})
    return group({name: vocabulary.facts[name].default for name in names})


def _tests(layers: Sequence[Layer], vocabulary: Vocabulary, rules: set[str], problems: list[Problem]) -> tuple[PolicyTest, ...]:
    """The tests of the file itself; a preset's are for the preset alone."""
    return policy_tests(_items(layers[0].root, "tests"), vocabulary, rules, problems)
