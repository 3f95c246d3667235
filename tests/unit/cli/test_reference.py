"""The page of all commands says what every exit code of theirs means, and help of commands is whole on a terminal."""

from collections.abc import Iterator

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from mailward.cli import app, output
from mailward.cli.plugin_group import PRESETS_ONLY
from mailward.cli.reference import HEAD


@pytest.mark.parametrize("name", ["USAGE", "NO_INPUT", "SOFTWARE", "TRY_AGAIN", "CONFIGURATION"])
def test_every_exit_code_has_its_row(name: str) -> None:
    assert f"\n| {getattr(output, name)} | " in HEAD


def groups(command: TyperGroup, context: typer.Context) -> Iterator[tuple[TyperGroup, typer.Context]]:
    """A group and all below it."""
    yield command, context
    for name in command.list_commands(context):
        member = command.get_command(context, name)
        if isinstance(member, TyperGroup):
            yield from groups(member, typer.Context(member, parent=context, info_name=name))


def test_no_command_is_cut_short_in_the_list_of_a_group_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    context = typer.Context(root, info_name="mailward")
    context.meta[PRESETS_ONLY] = True
    found = list(groups(root, context))
    shown = [line for group, where in found for line in group.get_help(where).partition("Commands:")[2].splitlines()]
    assert len(found) > 20 and len(shown) > 120 and [line for line in shown if line.endswith("...")] == []


@pytest.mark.parametrize("group", ["account", "export", "import", "sieve", "store"])
def test_help_of_a_group_shows_how_it_is_typed(group: str) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found = root.get_command(typer.Context(root), group)
    assert found is not None and "\n\nExample" in (found.help or "") and f" mailward {group} " in (found.help or "")
