"""The listening sockets, made while we may still be root: ports, and unix sockets with a path, a mode and an owner."""

import contextlib
import grp
import os
import pwd
import socket
import stat

from mailward.app.config import Listener, UnixSocket
from mailward.app.daemon import bind
from mailward.app.users import ServiceUser
from mailward.model.errors import ConfigError


def listen(listener: Listener, user: ServiceUser | None) -> socket.socket:
    """The socket of a listener. user: whom root will become. Raises ConfigError that says what to change."""
    if listener.unix is None:
        return bind(listener.address, listener.port)
    uid, gid = _owner(listener.name, listener.unix.owner, user)
    return bind_unix(listener.unix, uid, gid)


def bind_unix(unix: UnixSocket, uid: int = -1, gid: int = -1) -> socket.socket:
    """A listening unix socket; one that nobody listens on any more is replaced. uid, gid: -1 for our own.

    Raises ConfigError. Nobody can connect before mode and owner are right.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left_over(unix)
        umask = os.umask(0o177)
        try:
            listener.bind(str(unix.path))
        finally:
            os.umask(umask)
        if (uid, gid) != (-1, -1):
            os.chown(unix.path, uid, gid, follow_symlinks=False)
        unix.path.chmod(unix.mode)
        listener.listen(512)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {unix.path}: {error.strerror}. Its folder must exist and we must be able to write to it"
        ) from error
    except ConfigError:
        listener.close()
        raise
    return listener


def _remove_left_over(unix: UnixSocket) -> None:
    try:
        is_socket = stat.S_ISSOCK(unix.path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ConfigError(f"cannot listen on {unix.path}: there is a file of this name that is no socket")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(unix.path))
        except ConnectionRefusedError:
            unix.path.unlink()
        else:
            raise ConfigError(f"cannot listen on {unix.path}: another server listens there")


def _owner(name: str, owner: str, user: ServiceUser | None) -> tuple[int, int]:
    """Numbers of user and group, -1 for what stays as it is."""
    uid, gid = (-1, -1) if user is None else (user.uid, user.gid)
    user_name, _, group_name = owner.partition(":")
    try:
        if user_name:
            entry = pwd.getpwnam(user_name)
            uid, gid = entry.pw_uid, entry.pw_gid
        if group_name:
            gid = grp.getgrnam(group_name).gr_gid
    except KeyError:
        raise ConfigError(f"listeners.{name}.owner: there is no user or group '{owner}' here") from None
    return uid, gid
