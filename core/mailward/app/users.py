"""Root gives itself up: the server and every command work as the configuration's user.

Commands too, since they load that user's drop-ins (which must never run as root) and write that user's files.
"""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from mailward.app.config import Config
from mailward.model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """The user and group the server works as."""

    name: str
    uid: int
    gid: int


def own_name() -> str:
    """Of the user we are now."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def drop_privileges(user: ServiceUser) -> None:
    """Become `user` for good. Raises ConfigError when root could be had back (T-PRIV-01), or it may not read what we run from."""
    os.setgroups([])
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    os.umask(0o077)
    try:
        os.setuid(0)
    except PermissionError:
        _require_readable(user)
        return
    raise ConfigError(f"user '{user.name}' can become root again; Mailward does not serve with such a user")


def _require_readable(user: ServiceUser) -> None:
    """Python loads more of itself later, and where it may not, what fails then says nothing of the cause."""
    for what, path in (("Python", Path(os.__file__)), ("Mailward", Path(__file__))):
        if not os.access(path, os.R_OK):
            raise ConfigError(
                f"user '{user.name}' may not read {path}, which {what} runs from: it or a folder above it is closed to others; "
                "install both where everybody may read, for example the virtual environment below /opt, with /usr/bin/python3"
            )


def may_in(user: ServiceUser | None, folder: Path, access: int) -> bool:
    """May the user whom root is to become, or None: we as we are, do this in a folder? access: os.X_OK, os.W_OK or both."""
    if user is None:
        return os.access(folder, access)
    state = folder.stat()
    shift = 6 if state.st_uid == user.uid else 3 if state.st_gid == user.gid else 0  # it will be in no other group
    return state.st_mode >> shift & access == access


def service_user(config: Config) -> ServiceUser | None:
    """Whom root has to become for this configuration; None when somebody else runs us. Raises ConfigError."""
    if os.geteuid() != 0:
        return None
    if config.user is None:
        raise ConfigError(
            f"{config.path}: started as root, so `user:` must name the user to serve as, for example user: mailward"
        )
    try:
        user = user_named(config.user)
    except ConfigError as error:
        raise ConfigError(f"{config.path}: {error}") from error
    if config.path.stat().st_uid not in (0, user.uid):
        raise ConfigError(f"{config.path} belongs to neither root nor {user.name}; root does not act on it before it is chowned")
    return user


def user_named(name: str) -> ServiceUser:
    """Raises ConfigError when there is no such user, or it is root."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"there is no user '{name}'; make one with: useradd --system {name}") from None
    if entry.pw_uid == 0:
        raise ConfigError(f"user '{name}' is root; Mailward does not serve as root")
    return ServiceUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
