"""The page of all commands says what every exit code of theirs means."""

import pytest

from mailward.cli import output
from mailward.cli.reference import HEAD


@pytest.mark.parametrize("name", ["USAGE", "NO_INPUT", "SOFTWARE", "TRY_AGAIN", "CONFIGURATION"])
def test_every_exit_code_has_its_row(name: str) -> None:
    assert f"\n| {getattr(output, name)} | " in HEAD
