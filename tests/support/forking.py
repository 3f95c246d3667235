"""Runs `mailward` commands without waiting for their imports: by `support.fork_server`, of which each process of tests has one.

Also programs of tests, with -c as for Python.
"""

import atexit
import functools
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

_READ_AT_EXEC = ("GLIBC_", "LANG", "LC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON", "SSL_")
"""How variables begin that Python or a library reads when it is loaded."""


class Forked:
    """A process of the fork server, as `subprocess.Popen` would show it."""

    def __init__(self, arguments: Sequence[str], pid: int, told: socket.socket) -> None:
        self.args = arguments
        self.pid = pid
        self.returncode: int | None = None
        self._told = told

    def poll(self) -> int | None:
        """The exit code, or the negative number of a signal; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """As `poll`, but waits for it; timeout: seconds. Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _ended(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and self._is_told(timeout_s):
            said = self._told.recv(100)
            assert said, "the fork server has ended"
            self.returncode = int(said)
            self._told.close()
        return self.returncode

    def _is_told(self, timeout_s: float | None) -> bool:
        watch = select.poll()  # select() knows no descriptor above 1023
        watch.register(self._told, select.POLLIN)
        return bool(watch.poll(None if timeout_s is None else timeout_s * 1000))

    def send_signal(self, number: int) -> None:
        """To the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Forks:
    """The fork server of this process, which ends with it and kills whatever it has forked."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._begun_with = dict(os.environ)
        # -P: the modules beside it are named like some of the standard library's.
        words = [sys.executable, "-P", str(Path(__file__).with_name("fork_server.py")), str(theirs.fileno())]
        with theirs:  # in a session of its own, so that Ctrl-C ends the tests first
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._control.shutdown(socket.SHUT_RDWR)
        self._process.wait()

    def heed(self, environment: Mapping[str, str]) -> bool:
        differing = environment.items() ^ self._begun_with.items()
        return not any(name.startswith(_READ_AT_EXEC) for name, _ in differing)

    def fork(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Sequence[int],
        folder: Path,
        *,
        new_session: bool,
    ) -> Forked:
        request = {
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(folder),
            "new_session": new_session,
            "most_descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._lock:
            socket.send_fds(self._control, [json.dumps(request).encode()], [*descriptors, theirs.fileno()])
        return Forked(arguments, int(told.recv(100)), told)


_forks = functools.cache(_Forks)


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a fork would heed these variables as a program does that is started with them."""
    return _forks().heed(environment)


def start(arguments: Sequence[str], environment: Mapping[str, str], output: int) -> Forked:
    """A server in a session of its own, that reads nothing and writes to one descriptor. arguments: with the command's path."""
    with Path(os.devnull).open() as nothing:
        return _forks().fork(arguments, environment, [nothing.fileno(), output, output], Path.cwd(), new_session=True)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], stdin: str, timeout_s: float, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A command until it ends, and what it wrote. arguments: with its path. folder: where it runs, here unless given."""
    with _memory() as given, _memory() as output, _memory() as errors:
        given.write(stdin)
        given.seek(0)
        files = (given, output, errors)
        process = _forks().fork(
            arguments, environment, [file.fileno() for file in files], folder or Path.cwd(), new_session=False
        )
        try:
            code = process.wait(timeout_s)
        except BaseException:
            process.kill()
            raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read(), errors.read())


def _memory() -> TextIO:
    """A file that is nowhere on disk. Unlike a pipe it holds whatever is written, so nobody has to read meanwhile."""
    return os.fdopen(os.memfd_create("forked"), "w+", encoding="utf-8")
