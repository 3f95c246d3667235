"""`mailward list`: what is on a list, what cannot be put there, and what a file brings."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mailward.app.config_file import load_config
from mailward.cli import lists
from mailward.model.errors import PolicyError
from support.installation import installation

POLICY = """version: 1
lists:
  blocked: {type: address, database: true}
  nets: {type: network, database: true, values: [192.0.2.0/24]}
  partners: {type: domain, values: [example.net]}
rules: [wrong]
"""
"""Whose other parts may be wrong: who is to be kept out is to be kept out now."""


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = installation(folder)
        self.policy(POLICY)

    def policy(self, text: str, direction: str = "inbound") -> None:
        (self.folder / f"policies/{direction}.yaml").write_text(text)

    def run(self, *words: str) -> Any:
        return json.loads(self._type(*words, "--json", code=0)[0])

    def says(self, *words: str) -> str:
        return self._type(*words, code=0)[0]

    def refuses(self, *words: str, code: int = 64) -> str:
        return self._type(*words, code=code)[1]

    def file(self, text: str) -> str:
        path = self.folder / "entries.txt"
        path.write_text(text)
        return str(path)

    def _type(self, *words: str, code: int) -> tuple[str, str]:
        done = CliRunner().invoke(lists.app, [*words, "-c", str(self._config)])
        if isinstance(done.exception, PolicyError):
            raise done.exception
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout, done.stderr


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(lists, "config_of", load_config)  # and nobody becomes another user
    return Shell(tmp_path)


def values(shown: Any) -> list[str]:
    return [one["value"] for one in shown["shown"]]


def test_lists_are_those_that_policies_name(shell: Shell) -> None:
    shell.policy("version: 1\nlists: {blocked: {type: address, database: true}}\n", "submission")
    assert shell.run("show") == [
        {"list": "blocked", "type": "address", "entries": 0, "policies": ["inbound", "submission"]},
        {"list": "nets", "type": "network", "entries": 0, "policies": ["inbound"]},
    ]
    assert not (shell.folder / "data/lists.sqlite").exists()
    assert shell.says("show", "blocked") == "blocked: 0 entries of type address, asked by inbound, submission\n"


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["add", "blocked", "eve"], 64, "'eve' does not fit a list of type address: an address such as bob@example.org"),
        (["add", "bloked", "eve@bad.example"], 66, "Did you mean 'blocked'?"),
        (["add", "x", "eve@bad.example"], 66, "under lists: in policies/inbound.yaml, and run mailward reload"),
        (["add", "partners", "bad.example"], 66, "no policy has a list 'partners' in the database"),
        (["add", "blocked", "eve@bad.example", "--until", "2020-01-01"], 64, "that is over: 2020-01-02"),
        (["add", "blocked", "eve@bad.example", "--until", "2999-01-01", "--for", "7d"], 64, "exclude each other"),
        (["add", "blocked", "eve@bad.example", "--until", "tomorrow"], 64, "no day such as 2026-12-31"),
        (["add", "blocked", "eve@bad.example", "--for", "a week"], 64, "is no duration; write 30m, 2h or 7d"),
        (["add", "blocked", "eve@bad.example", "--note", "x" * 501], 64, "500 characters at most"),
        (["find", "192.0.2.7"], 66, "is on no list"),
        (["show", "x"], 66, "there is no list 'x'"),
        (["remove", "blocked", "eve@bad.example"], 66, "is not on the list blocked; nothing was changed"),
        (["remove", "blocked"], 64, "name the entries, or all by --all"),
        (["import", "blocked", "/nowhere"], 66, "cannot read /nowhere: No such file"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, words: list[str], code: int, why: str) -> None:
    assert why in shell.refuses(*words, code=code)
    assert values(shell.run("show", "blocked")) == []


def test_an_entry_tells_who_why_and_until_when(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    assert shell.says("add", "blocked", "Eve@Bad.example", "--until", "2999-12-30").startswith(
        "blocked: eve@bad.example added, until 2999-12-31 00:00:00"
    )
    (entry,) = shell.run("show", "blocked")["shown"]
    assert (entry["value"], entry["by"], entry["note"]) == ("eve@bad.example", "ann", "")
    done = shell.run("add", "blocked", "eve@bad.example", "bob@bad.example", "--note", " a wave ")
    assert (done["added"], done["changed"], done["until"]) == (["bob@bad.example"], ["eve@bad.example"], None)
    assert {entry["note"] for entry in shell.run("show", "blocked")["shown"]} == {"a wave"}
    assert "and 1 older ones; --limit 0 prints all" in shell.says("show", "blocked", "--limit", "1")
    (found,) = shell.run("find", "EVE@bad.example")
    assert (found["list"], found["value"], found["until"]) == ("blocked", "eve@bad.example", None)
    assert shell.says("remove", "blocked", "eve@bad.example") == "blocked: eve@bad.example removed\n"
    actions = [change["action"] for change in shell.run("show", "blocked", "--changes")]
    assert actions == ["removed", "changed", "added", "added"]


def test_a_file_is_taken_whole_or_not_at_all(shell: Shell) -> None:
    shell.run("add", "nets", "192.0.2.7/32", "198.51.100.0/24", "--note", "scans")
    wrong = shell.file("198.51.100.0/24\n\n203.0.113.1/24\n203.0.113.0/33 # no\n")
    problems = shell.refuses("import", "nets", wrong)
    assert f"{wrong}:3: '203.0.113.1/24' does not fit" in problems and f"{wrong}:4: '203.0.113.0/33'" in problems
    assert sorted(values(shell.run("show", "nets"))) == ["192.0.2.7/32", "198.51.100.0/24"]
    right = shell.file("198.51.100.0/24\n203.0.113.0/24  # more\n")
    assert "add --yes" in shell.refuses("import", "nets", right, "--replace")
    done = shell.run("import", "nets", right, "--replace", "--yes")
    assert (done["added"], done["changed"], done["removed"]) == (["203.0.113.0/24"], [], ["192.0.2.7/32"])
    assert shell.says("import", "nets", right) == "nets: nothing to change\n"
    assert {one["value"]: one["note"] for one in shell.run("show", "nets")["shown"]} == {
        "203.0.113.0/24": "", "198.51.100.0/24": "scans",
    }  # fmt: skip
    assert shell.run("find", "198.51.100.9")[0]["value"] == "198.51.100.0/24"


def test_a_list_of_another_type_is_emptied_first(shell: Shell) -> None:
    shell.run("add", "nets", "192.0.2.7/32")
    shell.policy(POLICY.replace("type: network", "type: domain"))
    assert "are of type network and not domain" in shell.refuses("add", "nets", "example.net")
    shell.run("remove", "nets", "--all", "--yes")
    shell.run("add", "nets", "example.net")
    shell.policy("version: 1\nlists: {nets: {type: text, database: true}}\n", "submission")
    assert "policies differ on the type of nets: domain in inbound, text in submission" in shell.refuses(
        "add", "nets", "a.example"
    )


def test_a_list_that_no_policy_names_any_more_can_be_seen_and_emptied(shell: Shell) -> None:
    shell.run("add", "blocked", "eve@bad.example")
    shell.policy("version: 1\n")
    assert shell.run("show") == [{"list": "blocked", "type": "address", "entries": 1, "policies": []}]
    assert "no policy has a list 'blocked'" in shell.refuses("add", "blocked", "bob@bad.example", code=66)
    assert shell.run("remove", "blocked", "eve@bad.example")["removed"] == ["eve@bad.example"]


@pytest.mark.parametrize("broken", ["lists: [", "lists: {blocked: {type: adress, database: true}}"])
def test_lists_that_cannot_be_read_in_a_policy_are_its_problem(shell: Shell, broken: str) -> None:
    shell.policy(f"version: 1\n{broken}\n")
    with pytest.raises(PolicyError, match=r"policies/inbound\.yaml:[23]:"):
        shell.run("show")
