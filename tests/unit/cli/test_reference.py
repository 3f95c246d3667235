"""The page of all commands says what every exit code of theirs means, and help of commands is whole on a terminal."""

import pytest
import typer
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from mailward.cli import app, output
from mailward.cli.reference import HEAD


@pytest.mark.parametrize("name", ["USAGE", "NO_INPUT", "SOFTWARE", "TRY_AGAIN", "CONFIGURATION"])
def test_every_exit_code_has_its_row(name: str) -> None:
    assert f"\n| {getattr(output, name)} | " in HEAD


def test_no_command_is_cut_short_in_the_list_of_all_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["--help"]).stdout
    commands = shown.partition("Commands:")[2].splitlines()
    assert len(commands) > 20 and [line for line in commands if line.endswith("...")] == []


@pytest.mark.parametrize("group", ["account", "export", "import", "sieve", "store"])
def test_help_of_a_group_shows_how_it_is_typed(group: str) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found = root.get_command(typer.Context(root), group)
    assert found is not None and "\n\nExample" in (found.help or "") and f" mailward {group} " in (found.help or "")
