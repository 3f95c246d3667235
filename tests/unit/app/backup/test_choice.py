"""Snapshots of everything and of one account lie in one folder: a restore is from the last that holds what is wanted."""

from pathlib import Path

import msgspec
import pytest

from mailward.app.backup.choice import Choice, of_account, of_any_restore, of_everything
from mailward.app.backup.snapshot import MANIFEST, VERSION, Kept, Manifest, NoSnapshot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Each hour one, the first and the third of everything; in between Alice's account was removed and made anew."""
    _snapshot(tmp_path, "1", {"a": "alice@example.org", "b": "bob@example.org"}, "config/mailward.yaml")
    _snapshot(tmp_path, "2", {"a": "alice@example.org"})
    _snapshot(tmp_path, "3", {"b": "bob@example.org", "c": "Alice@example.org"}, "config/mailward.yaml")
    _snapshot(tmp_path, "4", {"b": "bob@example.org"})
    _snapshot(tmp_path, "5", {"b": "bob@example.org"})
    return tmp_path


def _snapshot(folder: Path, name: str, accounts: dict[str, str], *files: str) -> None:
    kept = dict.fromkeys((*files, *(f"data/accounts/{id}/index.sqlite" for id in accounts)), Kept(1, "", 0))
    (folder / name).mkdir()
    (folder / name / MANIFEST).write_bytes(msgspec.json.encode(Manifest(VERSION, "2026-11-02T10:00:00Z", accounts, kept, [])))


def _names(choice: Choice) -> tuple[str, list[str]]:
    return choice.snapshot.path.name, [later.path.name for later in choice.passed_over]


def test_everything_is_of_the_last_that_is_of_everything(folder: Path) -> None:
    assert _names(of_everything(folder, None)) == ("3", ["5", "4"])
    assert _names(of_everything(folder, "1")) == ("1", [])


@pytest.mark.parametrize(
    ("id", "address", "found"),
    [
        ("a", "alice@example.org", ("2", ["5", "4", "3"])),
        ("c", "alice@example.org", ("3", ["5", "4"])),
        ("new", "alice@example.org", ("3", ["5", "4"])),
        (None, "alice@example.org", ("3", ["5", "4"])),
        ("b", "bob@example.org", ("5", [])),
        (None, "nobody@example.org", ("5", [])),
    ],
)
def test_an_account_is_of_the_last_that_has_it_or_else_an_earlier_one_of_its_address(
    folder: Path, id: str | None, address: str, found: tuple[str, list[str]]
) -> None:
    assert _names(of_account(folder, None, id, address)) == found
    assert _names(of_account(folder, "1", id, address)) == ("1", [])


def test_verified_is_the_last_of_everything_and_the_last_of_each_account_after_it(folder: Path, tmp_path: Path) -> None:
    assert [one.path.name for one in of_any_restore(folder, None)] == ["3", "5"]
    assert [one.path.name for one in of_any_restore(folder, "4")] == ["4"]
    _snapshot(folder, "6", {"c": "alice@example.org"})
    assert [one.path.name for one in of_any_restore(folder, None)] == ["3", "5", "6"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NoSnapshot):
        of_any_restore(tmp_path / "nothing", None)


def test_one_account_is_not_taken_for_everything(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(NoSnapshot, match=r"5 is of the mail of bob@example.org alone\. 3 is the last of everything"):
        of_everything(folder, "5")
    alone = tmp_path_factory.mktemp("alone")
    with pytest.raises(NoSnapshot, match="holds no snapshot"):
        of_everything(alone, None)
    _snapshot(alone, "1", {"b": "bob@example.org"})
    with pytest.raises(NoSnapshot, match="holds none of everything"):
        of_everything(alone, None)
