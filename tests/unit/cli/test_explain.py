"""`mailward explain`: what it says where there is nothing to explain."""

from contextlib import closing
from pathlib import Path

import pytest
import typer

from mailward.app.config_file import load_config
from mailward.cli.explain import record_of
from mailward.decisions import DecisionStore
from support.installation import installation


@pytest.mark.parametrize(
    "which, code, said",
    [
        ("<nobody@sent.invalid>", 66, "nothing is known of <nobody@sent.invalid>"),
        ("bob@example.test", 64, "--from bob@example.test and --to bob@example.test find messages by address"),
        ("last", 66, "no message has been judged yet"),
    ],
)
def test_what_nothing_is_known_of(tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str, code: int, said: str) -> None:
    config = load_config(installation(tmp_path))
    with closing(DecisionStore(tmp_path / "decisions.sqlite")) as store, pytest.raises(typer.Exit) as ended:
        record_of(store, which, config)
    assert ended.value.exit_code == code and said in capsys.readouterr().err
