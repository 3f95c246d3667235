"""A script is checked and tried on a message without any installation."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailward.cli.sieve import app
from support.sieve import MESSAGE


def _run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "mine.sieve"


def test_check_tells_all_mistakes(script: Path) -> None:
    script.write_text('kep;\nif true { fileinto "x"; }\n')
    code, told = _run("check", str(script))
    assert code == 1
    assert told == (
        f"{script}:1:1: unknown command 'kep'; did you mean 'keep'?\n"
        f'{script}:2:11: the fileinto command needs require "fileinto" at the top\n'
    )
    assert json.loads(_run("check", str(script), "--json")[1])["problems"][1]["column"] == 11


def test_check_of_a_sound_script(script: Path) -> None:
    script.write_text("keep;")
    assert _run("check", str(script)) == (0, "no mistakes\n")


def test_test_tells_the_actions_and_their_lines(script: Path, tmp_path: Path) -> None:
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    script.write_text('require ["fileinto", "envelope"];\nif envelope "from" "" {\n  fileinto "A";\n}\n')
    arguments = ("test", str(script), str(tmp_path / "message.eml"))
    assert _run(*arguments) == (0, "keep\n")
    assert _run(*arguments, "--mail-from", "") == (0, "file into A by line 3\n")
    assert json.loads(_run(*arguments, "--mail-from", "", "--json")[1]) == {
        "actions": [{"what": "file into A", "line": 3}],
        "problem": "",
    }


def test_test_tells_what_goes_wrong(script: Path, tmp_path: Path) -> None:
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    script.write_text('require "vacation";\nvacation "a";\nvacation "b";')
    assert (
        _run("test", str(script), str(tmp_path / "message.eml"))[1]
        == "keep\nwent wrong: 3:1: the vacation command may be done once only\n"
    )


def test_a_reply_is_not_promised_to_a_sender_whom_nothing_proves(script: Path, tmp_path: Path) -> None:
    script.write_text('require "vacation";\nvacation "a";')
    (tmp_path / "message.eml").write_bytes(b"From: a@example.net\r\nTo: owner@example.org\r\n\r\nHello\r\n")
    arguments = ("test", str(script), str(tmp_path / "message.eml"))
    told = "reply (if SPF, DMARC or a login proves the sender)"
    assert _run(*arguments) == (0, f"{told} by line 2\nkeep\n")
    assert json.loads(_run(*arguments, "--json")[1])["actions"] == [{"what": told, "line": 2}, {"what": "keep", "line": 0}]
