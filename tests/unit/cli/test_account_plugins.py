"""`mailward account <plugin>`: commands of plugins, lazily, with and without a configuration."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from support import forking
from support.server import COMMAND, open_folder

ACME = """
from mailward.api import *

plugin = Plugin(api=1, summary="Says hello")

async def hello(call):
    await call.services.kv.put_many({b"seen": b"1"})
    return CommandAnswer(f"{call.arguments['word']}, {call.address}", {"word": call.arguments["word"]})

async def fails(call):
    raise CommandFailed("not today")

@hookimpl
def collect_commands():
    return [AccountCommand("hello", "Say hello.", hello, {"word": "A word."}), AccountCommand("fails", "Fail.", fails)]
"""
BROKEN = "from mailward.api import *\nplugin = Plugin(api=1, summary='x')\n@hookimpl\ndef collect_commands():\n    raise OSError('lost')\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    made = open_folder()
    run(
        made, "quickstart", "run", "--domain", "example.org", "--account", "alice@example.org", "--port-offset", "4000",
        "--password-stdin", given="a long password\n",
    )  # fmt: skip
    yield made
    shutil.rmtree(made)


def run(folder: Path, *words: str, given: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    done = forking.run([COMMAND, *words], {**os.environ, "MAILWARD_CONFIG": ""}, given, 60, folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_every_command_takes_any_address_of_the_account(folder: Path) -> None:
    for address in ("ALICE@example.org", "postmaster@example.org", "alice+shop@example.org"):
        done = run(folder, "account", "password", address, "--password-stdin", given="another long password\n")
        assert done.stdout == "password of alice@example.org set\n"
        assert json.loads(run(folder, "account", "app-password", "list", address, "--json").stdout) == []


def test_help_needs_no_configuration(tmp_path: Path) -> None:
    assert "totp" in run(tmp_path, "account", "--help").stdout
    assert "recovery" in run(tmp_path, "account", "totp", "--help").stdout
    assert "The six digits the app shows now." in run(tmp_path, "account", "totp", "confirm", "--help").stdout


def test_a_command_without_a_configuration_says_what_is_missing(tmp_path: Path) -> None:
    assert "no mailward.yaml here" in run(tmp_path, "account", "totp", "status", "alice@example.org", code=78).stderr
    assert "No such command 'nosuch'" in run(tmp_path, "account", "nosuch", "x", code=64).stderr


def test_commands_of_a_plugin_in_a_process_of_its_own_are_like_any(folder: Path) -> None:
    policy = folder / "run/policies/access.yaml"
    before = policy.read_text() if policy.exists() else None
    policy.write_text("version: 1\nextends: mailward/access\nplugins:\n  totp: {isolation: process}\n")
    try:
        done = run(folder, "account", "totp", "status", "alice@example.org", "--json")
        assert json.loads(done.stdout)["active"] is False
        assert "Traceback" not in done.stderr
        helped = run(folder, "account", "--help")
        assert "totp" in helped.stdout and "Traceback" not in helped.stderr
    finally:
        policy.unlink() if before is None else policy.write_text(before)


def test_the_way_of_a_second_factor(folder: Path) -> None:
    made = json.loads(run(folder, "account", "totp", "enrol", "alice@example.org", "--json").stdout)
    right = pyotp.TOTP(made["secret"]).now()
    wrong = "000000" if right != "000000" else "000001"
    assert "not the code" in run(folder, "account", "totp", "confirm", "alice@example.org", wrong, code=70).stderr
    confirmed = run(folder, "account", "totp", "confirm", "alice@example.org", pyotp.TOTP(made["secret"]).now(), "--json")
    assert len(json.loads(confirmed.stdout)["recovery_codes"]) == 10
    assert json.loads(run(folder, "account", "totp", "status", "alice@example.org", "--json").stdout)["active"] is True
    assert "is off" in run(folder, "account", "totp", "off", "alice@example.org").stdout
    assert (
        "bob@example.org is nobody's mailbox here" in run(folder, "account", "totp", "status", "bob@example.org", code=66).stderr
    )


def test_commands_of_a_plugin_that_a_policy_enables_are_there_and_a_broken_one_is_told(folder: Path) -> None:
    plugins = folder / "run" / "plugins"
    (plugins / "acme_hello.py").write_text(ACME)
    (plugins / "acme_broken.py").write_text(BROKEN)
    policy = folder / "run" / "policies" / "access.yaml"
    assert "No such command" in run(folder, "account", "acme_hello", "hello", "alice@example.org", "Hi", code=64).stderr
    policy.write_text("version: 1\nextends: mailward/access\nplugins: {acme_hello: {}, acme_broken: {}}\n")
    done = run(folder, "account", "acme_hello", "hello", "alice@example.org", "Hi", "-c", "run/mailward.yaml")
    assert done.stdout == "Hi, alice@example.org\n"
    assert "the commands of the plugin 'acme_broken' are left out: OSError: lost" in done.stderr
    assert "not today" in run(folder, "account", "acme_hello", "fails", "alice@example.org", code=70).stderr
    assert "acme_hello" in run(folder, "account", "--help").stdout
    policy.write_text("version: 1\nextends: mailward/access\nplugins: {totp: {mode: off}}\n")
    assert "No such command 'totp'" in run(folder, "account", "totp", "status", "alice@example.org", code=64).stderr


def test_the_policies_of_all_directions_are_checked_and_shown(folder: Path) -> None:
    checked = json.loads(run(folder, "policy", "check", "--json").stdout)
    assert [policy["direction"] for policy in checked] == ["inbound", "submission", "outbound", "access"]
    (folder / "run" / "policies" / "access.yaml").write_text(
        "version: 1\nrules: [{name: x, when: helo.name == 'x', then: reject}]\n"
    )
    assert (
        "policies/access.yaml:2:25  rules[0].when: the fact 'helo.name' is not known in access"
        in run(folder, "policy", "check", code=78).stderr
    )
    (folder / "run" / "policies" / "access.yaml").unlink()
    shown = run(folder, "policy", "show", "--direction", "access").stdout
    assert "login_guard" in shown and "mailward/access.yaml:" in shown
    listed = {plugin["name"]: plugin["modes"] for plugin in json.loads(run(folder, "plugins", "list", "--json").stdout)}
    assert listed["totp"] == {"access": "enforce"}
    assert listed["encryption"] == {"inbound": "enforce", "submission": "enforce", "outbound": "enforce"}
