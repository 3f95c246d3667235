"""Which process serves a data folder? The supervisor holds a lock on a file in it, and the kernel tells whose the lock is.

So there is no pid that could be stale: the lock goes with its process, however that ends, and workers do not inherit it.
"""

import contextlib
import fcntl
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

from mailward.app.config import Config
from mailward.model.errors import ConfigError

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of fcntl(2): type, whence, start, length, pid."""


@contextlib.contextmanager
def serving_lock(config: Config) -> Iterator[None]:
    """Be the one who serves the data folder. Raises ConfigError when there is one already."""
    path = _lock_file(config)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"the data folder {config.data} is served already, by process {_holder(descriptor)}") from None
        yield
    finally:
        os.close(descriptor)


def signal_server(config: Config, number: signal.Signals) -> int | None:
    """Send a signal to the supervisor of this data folder and return its pid; None when nobody serves it. Raises OSError."""
    try:
        descriptor = os.open(_lock_file(config), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        pid = _holder(descriptor)
        if pid is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                if _holder(descriptor) == pid:  # the handle is of the process that serves, even if pids are used again
                    signal.pidfd_send_signal(handle, number)
                    return pid
            finally:
                os.close(handle)
        return None
    finally:
        os.close(descriptor)


def is_served(config: Config) -> bool:
    """Does a server have this data folder, be it that it only starts? False where we may not look. Raises no error."""
    try:
        descriptor = os.open(_lock_file(config), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _holder(descriptor) is not None
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> int | None:
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else pid


def _lock_file(config: Config) -> Path:
    return config.data / "run" / "serving.lock"
