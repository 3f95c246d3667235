"""`mailward quickstart` writes into a folder of its own, and as root it follows nobody's links."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailward
from support.server import COMMAND, open_folder

ARGUMENTS = ("--domain", "example.test", "--account", "demo@example.test", "--port-offset", "30000")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = open_folder()
    yield made
    shutil.rmtree(made)


def quickstart(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "quickstart", str(folder), *ARGUMENTS], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_folder_that_is_not_empty_is_left_alone(folder: Path) -> None:
    (folder / "mail").mkdir()
    (folder / "mail/note").write_text("mine")
    done = quickstart(folder / "mail")
    assert done.returncode == 78 and "is not empty" in done.stderr
    assert [path.name for path in (folder / "mail").iterdir()] == ["note"]


def test_t_priv_05_root_follows_no_link_and_writes_nothing_as_root(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("only root can show what root does; run make test as root")
    secret = folder / "secret"
    secret.write_text("root's own")
    nobody = pwd.getpwnam("nobody")
    theirs = folder / "theirs"
    theirs.mkdir()
    (theirs / "data").symlink_to(secret)
    os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
    (folder / "link").symlink_to("/etc")
    empty = folder / "empty"
    empty.mkdir()
    os.chown(empty, nobody.pw_uid, nobody.pw_gid)
    for place in (theirs, folder / "link", empty):
        assert quickstart(place).returncode == 78, place
    assert secret.stat().st_uid == 0
    assert quickstart(folder / "mail").returncode == 0
    service = pwd.getpwnam("mailward")
    assert {path.lstat().st_uid for path in (folder / "mail", *(folder / "mail").rglob("*"))} == {service.pw_uid}


def test_root_hears_at_once_that_the_service_user_may_not_read_what_it_runs_from(folder: Path) -> None:
    """As with a virtual environment of a Python below /root."""
    if os.geteuid() != 0:
        pytest.fail("only root can show what root does; run make test as root")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "mailward").symlink_to(Path(mailward.__file__).parent)
    done = subprocess.run(
        [COMMAND, "quickstart", str(folder / "mail"), *ARGUMENTS],
        env={**os.environ, "PYTHONPATH": str(closed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr.startswith(
        f"mailward: user 'mailward' may not read {closed}/mailward/app/users.py, which Mailward runs from"
    )
    assert done.stderr.count("\n") == 1 and not list((folder / "mail").iterdir())
