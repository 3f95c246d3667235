"""For every wrong policy file, the expected messages beside it (T-PLUG-08 and T-PLUG-09 among them)."""

from pathlib import Path

import pytest

from mailward.formats.yaml_nodes import MAX_OCTETS, parse
from mailward.model.errors import PolicyError
from mailward.policy import DIRECTIONS, Direction, load_policy
from support.small_plugins import PLUGINS, STAGES

WRONG = sorted((Path(__file__).parent / "wrong").glob("*.yaml"))
LISTENERS: dict[str, tuple[Direction, ...]] = {
    "mx": ("inbound",),
    "submission": ("submission", "access"),
    "imap": ("access",),
}


def messages(path: Path) -> str:
    """Of a file for inbound, or for the direction that its name begins with."""
    direction: Direction = next((one for one in DIRECTIONS if path.stem.startswith(one)), "inbound")
    with pytest.raises(PolicyError) as error:
        load_policy(path, PLUGINS, stages=STAGES, direction=direction, shown_as=path.name, listeners=LISTENERS)
    return str(error.value) + "\n"


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_every_mistake_is_reported_at_once_with_its_place(path: Path) -> None:
    assert messages(path) == path.with_suffix(".expected").read_text()


def test_t_plug_08_no_file_runs_code(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    path = tmp_path / "inbound.yaml"
    path.write_text(f'version: 1\nplugins: !!python/object/apply:os.system ["touch {proof}"]\n')
    assert "tags are not used in policies" in messages(path)
    assert not proof.exists()


def test_t_plug_08_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    root, problems = parse("\n".join(levels).encode(), "bomb.yaml")
    assert root is None
    assert "values or 100 aliases" in problems[0].text


@pytest.mark.parametrize("octets", [b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000], ids=["flow", "mapping", "block"])
def test_t_plug_08_depth_is_refused_and_never_recursed_into(octets: bytes) -> None:
    root, problems = parse(octets, "deep.yaml")
    assert root is None
    assert problems[0].text == "nested deeper than 20 levels"


def test_t_plug_08_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "inbound.yaml"
    path.write_bytes(b"version: 1\n#" + b"x" * 4 * MAX_OCTETS)
    assert "at most 1048576 are read" in messages(path)


def test_a_setting_named_like_a_key_of_the_core_is_refused(tmp_path: Path) -> None:
    from dataclasses import dataclass
    from datetime import timedelta

    from mailward.api import Plugin, Settings

    @dataclass(frozen=True)
    class Bad(Settings):
        timeout: timedelta = timedelta(seconds=3)

    path = tmp_path / "inbound.yaml"
    path.write_text("version: 1\nplugins: {bad: {}}\n")
    with pytest.raises(PolicyError, match="the plugin declares the setting 'timeout', which is a key of the core"):
        load_policy(path, {"bad": Plugin(1, "", settings=Bad)})


def test_a_missing_file_and_an_unknown_direction(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot read it: No such file"):
        load_policy(tmp_path / "inbound.yaml", {})
    path = tmp_path / "inbund.yaml"
    path.write_text("version: 1\n")
    with pytest.raises(PolicyError, match="none is called 'inbund'"):
        load_policy(path, {})
