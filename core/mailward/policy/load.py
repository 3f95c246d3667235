"""From a policy file to a Policy: read, check shape (`schema`) and meaning (`check`), merge with the preset, run its tests."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from mailward.api.plugin import Plugin
from mailward.formats.nearest import nearest
from mailward.formats.yaml_nodes import MAX_OCTETS, Node, parse
from mailward.model.errors import PolicyError, Problem
from mailward.policy import check, presets
from mailward.policy.check import Layer
from mailward.policy.directions import DIRECTIONS, Direction
from mailward.policy.entries import ListType
from mailward.policy.lists import NOTHING_KEPT, KeptLists
from mailward.policy.policy import Policy
from mailward.policy.schema import ListKeys, PolicyKeys, validate
from mailward.policy.scoping import Listeners
from mailward.policy.stages import Stage

SECTIONS = ("lists", "plugins", "scores", "limits", "rules", "overrides", "replies", "tests")


def load_policy(
    path: Path,
    plugins: Mapping[str, Plugin],
    *,
    stages: Mapping[str, Stage] | None = None,
    direction: Direction | None = None,
    shown_as: str | None = None,
    listeners: Listeners | None = None,
    kept: KeptLists = NOTHING_KEPT,
) -> Policy:
    """The policy in this file. Raises PolicyError with every problem, failing `given:` tests among them.

    plugins: the declarations of those that are installed, at least of all that the file names (`plugins_named`).
    stages: the stage of each plugin's last inspect hook, the direction's last where it is not given. direction: the file's name
    by default. shown_as: how messages and decision records call the file, the path by default. listeners: those that `for:` may
    name; None: any. kept: the lists that are in the database.
    """
    shown_as = shown_as or str(path)
    direction = direction or next((known for known in DIRECTIONS if known == path.stem), None)
    layers, problems = _read_layers(path, shown_as, direction)
    if direction is None:
        text = f"the file's name tells its direction, and none is called '{path.stem}'"
        problems.insert(0, Problem(f"{shown_as}:1:1", "", text, f"Directions: {', '.join(DIRECTIONS)}."))
    if not layers or direction is None:
        raise PolicyError(problems)
    return _policy(direction, layers, problems, plugins, stages or {}, listeners, kept)


def load_preset(direction: Direction, plugins: Mapping[str, Plugin], *, stages: Mapping[str, Stage] | None = None) -> Policy:
    """The shipped preset alone, as it holds where there is no file. Raises PolicyError."""
    layers, problems = _read_preset(direction)
    return _policy(direction, layers, problems, plugins, stages or {})


def plugins_named(path: Path) -> tuple[str, ...]:
    """The plugins that the file and its preset name and do not turn off. Raises PolicyError when they cannot be read."""
    return _named(*_read_layers(path, str(path)))


def plugins_of_preset(direction: Direction) -> tuple[str, ...]:
    """The plugins that a shipped preset names."""
    return _named(*_read_preset(direction))


def lists_kept(path: Path, shown_as: str) -> dict[str, ListType]:
    """The lists in the database that the file and its preset name, with their types. Raises PolicyError, of these alone."""
    layers, problems = _read_layers(path, shown_as)
    entries = check.merged([layer.root.at("lists") for layer in layers])
    keys = {name: validate(ListKeys, node, f"lists.{name}", problems) for name, node in entries.items()}
    if problems:
        raise PolicyError(problems)
    return {name: one.type for name, one in keys.items() if one is not None and one.database}


def _named(layers: list[Layer], problems: list[Problem]) -> tuple[str, ...]:
    if problems:
        raise PolicyError(problems)
    entries = check.merged([layer.root.at("plugins") for layer in layers])
    return tuple(name for name, entry in entries.items() if getattr(entry.at("mode"), "value", None) != "off")


def _policy(
    direction: Direction,
    layers: list[Layer],
    problems: list[Problem],
    plugins: Mapping[str, Plugin],
    stages: Mapping[str, Stage],
    listeners: Listeners | None = None,
    kept: KeptLists = NOTHING_KEPT,
) -> Policy:
    parts, found = check.check(direction, layers, plugins, stages, listeners, kept)
    problems = [*problems, *found]
    if problems:
        raise PolicyError(_ordered(problems, layers))
    digest = sha256(b"\0".join(layer.octets for layer in layers)).digest()
    file = b"" if layers[0].from_preset else layers[0].octets
    policy = Policy(direction=direction, files_digest=digest, file=file, **parts)
    failing = [
        Problem(result.test.where, f"tests '{result.test.name}'", "the test fails", "\n    ".join(result.differences))
        for result in policy.run_tests()
        if not result.passed
    ]
    if failing:
        raise PolicyError(failing)
    return policy


def _read_layers(path: Path, shown_as: str, direction: Direction | None = None) -> tuple[list[Layer], list[Problem]]:
    """The file and what it extends, uppermost first; none when the file itself cannot be read. direction: where it is known."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAX_OCTETS + 1)
    except OSError as error:
        return [], [Problem(f"{shown_as}:1:1", "", f"cannot read it: {error.strerror or error}")]
    root, problems = _root(octets, shown_as)
    if root is None:
        return [], problems
    layers = [Layer(root, path.parent, octets, from_preset=False)]
    extends = root.at("extends")
    if extends is not None and isinstance(extends.value, str):
        preset = presets.read(extends.value)
        if preset is None:
            known = presets.names()
            hint = nearest(extends.value, known) or f"Presets: {', '.join(known)}."
            problems.append(Problem(extends.where, "extends", f"no preset is called '{extends.value}'", hint))
        elif direction is not None and extends.value != presets.PREFIX + direction:
            hint = f"Write extends: {presets.PREFIX}{direction}."
            problems.append(Problem(extends.where, "extends", f"'{extends.value}' is not for {direction}", hint))
        else:
            below, found = _preset_layers(extends.value, preset)
            layers += below
            problems += found
    return layers, problems


def _read_preset(direction: Direction) -> tuple[list[Layer], list[Problem]]:
    name = presets.PREFIX + direction
    preset = presets.read(name)
    if preset is None:
        raise PolicyError([Problem(f"{name}.yaml:1:1", "", "this preset was not installed", "Install Mailward again.")])
    return _preset_layers(name, preset)


def _preset_layers(name: str, octets: bytes) -> tuple[list[Layer], list[Problem]]:
    root, problems = _root(octets, f"{name}.yaml")
    return [] if root is None else [Layer(root, None, octets, from_preset=True)], problems


def _root(octets: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    root, problems = parse(octets, file)
    if root is None:
        if not problems:
            problems.append(Problem(f"{file}:1:1", "", "the file is empty", "Begin with: version: 1"))
        return None, problems
    if not isinstance(root.value, dict):
        problems.append(Problem(root.where, "", "a mapping was expected", "Begin with: version: 1"))
        return None, problems
    validate(PolicyKeys, root, "", problems, drop=SECTIONS)
    return root, problems


def _ordered(problems: list[Problem], layers: list[Layer]) -> list[Problem]:
    """By file and place, each said once."""
    files = {layer.root.file: index for index, layer in enumerate(layers)}

    def place(problem: Problem) -> tuple[int, int, int]:
        file, line, column = problem.where.rsplit(":", 2)
        return files.get(file, len(files)), int(line), int(column)

    return sorted(dict.fromkeys(problems), key=place)
