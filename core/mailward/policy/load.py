"""From a policy file to a Policy: read, check shape (`schema`) and meaning (`check`), merge with the preset, run its tests."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from mailward.api.plugin import Plugin
from mailward.model.errors import PolicyError, Problem
from mailward.model.session import Role
from mailward.policy import check, presets
from mailward.policy.check import Layer
from mailward.policy.facts import nearest
from mailward.policy.nodes import MAX_OCTETS, Node, parse
from mailward.policy.policy import Policy
from mailward.policy.schema import PolicyKeys, validate
from mailward.policy.stages import Stage

SECTIONS = ("lists", "plugins", "scores", "limits", "rules", "overrides", "tests")
DIRECTIONS = tuple(role.value for role in Role)


def load_policy(
    path: Path,
    plugins: Mapping[str, Plugin],
    *,
    stages: Mapping[str, Stage] | None = None,
    direction: str | None = None,
    shown_as: str | None = None,
) -> Policy:
    """The policy in this file. Raises PolicyError with every problem, failing `given:` tests among them.

    plugins: the declarations of those that are installed, at least of all that the file names (`plugins_named`).
    stages: the stage of each plugin's last inspect hook, "message" where it is not given. direction: the file's name by default.
    shown_as: how messages and decision records call the file, the path by default.
    """
    layers, problems = _read_layers(path, shown_as or str(path))
    direction = direction or path.stem
    if direction not in DIRECTIONS:
        text = f"the file's name tells its direction, and none is called '{direction}'"
        problems.append(Problem(f"{shown_as or path}:1:1", "", text, f"Directions: {', '.join(DIRECTIONS)}."))
    if not layers:
        raise PolicyError(problems)
    parts, found = check.check(layers, plugins, stages or {})
    problems += found
    if problems:
        raise PolicyError(_ordered(problems, layers))
    policy = Policy(direction=direction, files_digest=sha256(b"\0".join(layer.octets for layer in layers)).digest(), **parts)
    failing = [
        Problem(result.test.where, f"tests '{result.test.name}'", "the test fails", "\n    ".join(result.differences))
        for result in policy.run_tests()
        if not result.passed
    ]
    if failing:
        raise PolicyError(failing)
    return policy


def plugins_named(path: Path) -> tuple[str, ...]:
    """The plugins that the file and its preset name and do not turn off. Raises PolicyError when they cannot be read."""
    layers, problems = _read_layers(path, str(path))
    if problems:
        raise PolicyError(problems)
    entries = check.merged([layer.root.at("plugins") for layer in layers])
    return tuple(name for name, entry in entries.items() if getattr(entry.at("mode"), "value", None) != "off")


def _read_layers(path: Path, shown_as: str) -> tuple[list[Layer], list[Problem]]:
    """The file and what it extends, uppermost first; none when the file itself cannot be read."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAX_OCTETS + 1)
    except OSError as error:
        return [], [Problem(f"{shown_as}:1:1", "", f"cannot read it: {error.strerror or error}")]
    root, problems = parse(octets, shown_as)
    root = _checked_root(root, shown_as, problems)
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
        else:
            file = f"{extends.value}.yaml"
            preset_root, preset_problems = parse(preset, file)
            preset_root = _checked_root(preset_root, file, preset_problems)
            problems += preset_problems
            if preset_root is not None:
                layers.append(Layer(preset_root, None, preset, from_preset=True))
    return layers, problems


def _checked_root(root: Node | None, file: str, problems: list[Problem]) -> Node | None:
    if root is None:
        if not problems:
            problems.append(Problem(f"{file}:1:1", "", "the file is empty", "Begin with: version: 1"))
        return None
    if not isinstance(root.value, dict):
        problems.append(Problem(root.where, "", "a mapping was expected", "Begin with: version: 1"))
        return None
    validate(PolicyKeys, root, "", problems, drop=SECTIONS)
    return root


def _ordered(problems: list[Problem], layers: list[Layer]) -> list[Problem]:
    """By file and place, each said once."""
    files = {layer.root.file: index for index, layer in enumerate(layers)}

    def place(problem: Problem) -> tuple[int, int, int]:
        file, line, column = problem.where.rsplit(":", 2)
        return files.get(file, len(files)), int(line), int(column)

    return sorted(dict.fromkeys(problems), key=place)
