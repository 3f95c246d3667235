"""What options mean, before anything is done."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from mailward.app.users import ServiceUser
from mailward.cli import options
from mailward.cli.options import cannot_write, duration_of, made_for_server
from support.server import open_folder


def test_no_duration_leads_out_of_the_calendar() -> None:
    now = datetime.now(UTC)
    assert now - duration_of("999999d") < now < now + duration_of("999999d")


@pytest.mark.parametrize("text", ["soon", "7", "\u0667d"])
def test_what_is_no_duration_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.Exit) as ended:
        duration_of(text)
    assert ended.value.exit_code == 64


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter, for a root who is to become a user of no rights."""
    monkeypatch.setattr(options, "find_config", lambda config: config)
    monkeypatch.setattr(options, "load_config", lambda found: found)
    monkeypatch.setattr(options, "service_user", lambda config: ServiceUser("mailward", 4711, 4711))
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    folder = open_folder()
    yield folder
    shutil.rmtree(folder)


def test_a_mount_point_of_root_s_is_told_with_what_to_type(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        made_for_server(place, None)
    assert ended.value.exit_code == 66
    assert f"user mailward cannot write in {place}: chown mailward {place}, or name a folder in it" in capsys.readouterr().err
    made_for_server(place / "new/deep", None)
    assert (place / "new/deep").is_dir()
    place.chmod(0o777)
    made_for_server(place, None)


def test_nothing_is_made_where_the_server_s_user_cannot_go(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "root").mkdir(mode=0o700)
    with pytest.raises(typer.Exit):
        made_for_server(place / "root/out", None)
    assert f"user mailward cannot reach {place}/root/out, since {place}/root is closed to it" in capsys.readouterr().err
    assert not (place / "root/out").exists()


def test_the_same_command_goes_on_only_when_it_can(tmp_path: Path) -> None:
    assert "chown -R" in cannot_write(PermissionError(13, "Permission denied", str(tmp_path / "cur")), tmp_path)
    assert cannot_write(OSError(28, "No space left on device", "out/cur"), tmp_path).endswith("; the same command goes on")
