"""How commands speak. Nothing leaves one that a terminal obeys, whatever stands in the files it reads (T-SMTP-30)."""

import ast
import io
import os
import pty
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

import mailward.cli
from mailward.cli.output import confirm, local_times, moment
from support import forking
from support.server import COMMAND

ESCAPE = '"a\\e[2Jb\\u202Ec"'
"""In double quotes YAML makes an escape and an override of it."""


def run(folder: Path, *words: str, code: int, **environment: str) -> str:
    done = forking.run([COMMAND, *words], os.environ | environment, "", 60, folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_t_smtp_30_an_escape_in_the_configuration_stays_out_of_the_complaint(tmp_path: Path) -> None:
    (tmp_path / "mailward.yaml").write_text(f"version: 1\nhostname: {ESCAPE}\ndata: {ESCAPE}\nlisteners: {{mx: {ESCAPE}}}\n")
    said = run(tmp_path, "account", "list", "-c", "mailward.yaml", code=78)
    assert "'a[2Jbc' is no domain name" in said
    assert not re.search("[\x1b\u202e]", said)


def test_t_smtp_30_nor_does_a_name_of_the_caller_bring_one(tmp_path: Path) -> None:
    said = run(tmp_path, "account", "list", code=78, MAILWARD_CONFIG="/nowhere/\x1b[2J.yaml")
    assert "names /nowhere/[2J.yaml, which does not exist" in said


def test_the_configuration_can_be_named_before_the_command_and_counts_less_there(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(f"version: 1\nhostname: not a {name}\n")
    assert "first.yaml" in run(tmp_path, "--config", "first.yaml", "account", "list", code=78)
    said = run(tmp_path, "--config", "first.yaml", "account", "list", "-c", "second.yaml", code=78)
    assert "second.yaml" in said and "first.yaml" not in said
    assert "names nowhere.yaml, which does not exist" in run(tmp_path, "--config", "nowhere.yaml", "account", "list", code=78)
    assert "Set up a server" in run(tmp_path, "--config", "nowhere.yaml", "quickstart", "--help", code=0)


def test_commands_print_through_the_module_that_cleans() -> None:
    """And through nothing else; `reference` makes a page of docs, out of our own words."""
    for file in Path(mailward.cli.__file__).parent.glob("*.py"):
        if file.name not in ("output.py", "reference.py"):
            called = (node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
            names = {ast.unparse(function) for function in called}
            assert not names & {"print", "typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write"}, file.name


def test_moments_are_of_this_machine_and_name_their_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EST5EDT")
    time.tzset()
    try:
        assert moment("2026-03-01T12:00:00.123Z") == "2026-03-01 07:00:00 EST"
        assert moment(datetime(2026, 7, 1, 2, tzinfo=UTC)) == "2026-06-30 22:00:00 EDT"
    finally:
        monkeypatch.undo()
        time.tzset()


ASK = "from mailward.cli.output import confirm\nconfirm('Drop it?', yes=False)\nprint('dropped')"


@pytest.mark.parametrize(("answer", "printed"), [(b"y\n", "dropped\n"), (b"n\n", ""), (b"\n", "")])
def test_a_question_is_asked_at_a_terminal(answer: bytes, printed: str) -> None:
    terminal, stdin = pty.openpty()
    os.write(terminal, answer)
    done = subprocess.run([sys.executable, "-c", ASK], stdin=stdin, capture_output=True, text=True, timeout=60, check=False)
    os.close(stdin)
    os.close(terminal)
    assert done.stdout == printed and "Drop it?" in done.stderr and (done.returncode == 0) is bool(printed)


def test_and_without_one_nothing_is_done(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(typer.Exit) as ended:
        confirm("Drop it?", yes=False)
    assert ended.value.exit_code == 64 and "add --yes" in capsys.readouterr().err
    confirm("Drop it?", yes=True)


def test_a_sentence_of_a_record_names_its_moments_in_the_time_zone_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        said = "attempt 2 failed, next after 2026-07-01T10:00:00.000Z: 450 4.2.1 not before 2026-07-01T10:00:00Z"
        told = "attempt 2 failed, next after 2026-07-01 12:00:00 CEST: 450 4.2.1 not before 2026-07-01T10:00:00Z"
        assert local_times(said) == told
        held = "held by its sender until 2026-01-02T00:00:00Z (FUTURERELEASE)"
        assert local_times(held) == "held by its sender until 2026-01-02 01:00:00 CET (FUTURERELEASE)"
    finally:
        monkeypatch.undo()
        time.tzset()
