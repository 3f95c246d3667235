"""Unix sockets with a path: their mode, what lies there already, and whose they are."""

import socket
import stat
from pathlib import Path

import pytest

from mailward.app.config import Listener, UnixSocket
from mailward.app.sockets import bind_unix, listen
from mailward.model.errors import ConfigError


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_socket_has_the_mode_that_was_asked_for(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "s"
    with bind_unix(UnixSocket(path, mode, "")), socket.socket(socket.AF_UNIX) as client:
        assert stat.S_IMODE(path.stat().st_mode) == mode
        client.connect(str(path))


def test_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    unix = UnixSocket(tmp_path / "s", 0o600, "")
    bind_unix(unix).close()
    assert unix.path.is_socket()
    bind_unix(unix).close()


def test_socket_of_another_server_is_left_alone(tmp_path: Path) -> None:
    unix = UnixSocket(tmp_path / "s", 0o600, "")
    with bind_unix(unix):
        with pytest.raises(ConfigError, match="another server listens there"):
            bind_unix(unix)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(unix.path))


def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    unix = UnixSocket(tmp_path / "s", 0o600, "")
    unix.path.write_text("precious")
    with pytest.raises(ConfigError, match="no socket"):
        bind_unix(unix)
    assert unix.path.read_text() == "precious"


def test_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Its folder must exist"):
        bind_unix(UnixSocket(tmp_path / "none/s", 0o600, ""))


@pytest.mark.parametrize("owner", ["nobody-of-this-name", ":no-group-of-this-name"])
def test_unknown_owner_is_said(tmp_path: Path, owner: str) -> None:
    listener = Listener("door", "lmtp", "", 0, "none", unix=UnixSocket(tmp_path / "s", 0o600, owner))
    with pytest.raises(ConfigError, match=r"listeners\.door\.owner"):
        listen(listener, None)
    assert not (tmp_path / "s").exists()
