"""How do tests start real servers? Free loopback ports, a wait for readiness, and a clean end of what was started."""

import contextlib
import os
import random
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def program(name: str, package: str) -> str:
    """The path of a program; fails the test with the package to install when it is missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin")
    if found is None:
        pytest.fail(f"this test needs {name}: apt-get install --no-install-recommends {package}")
    return found


def unpacked(package: str) -> Path:
    """The folder of a Debian package that is unpacked and not installed, because it conflicts with one that is."""
    folder = Path(__file__).parents[2] / ".cache/unpacked" / package
    if not folder.is_dir():
        pytest.fail(f"this test needs the Debian package {package} unpacked: contrib/dev/test-packages.sh does it")
    return folder


def greets(port: int, greeting: bytes = b"220") -> bool:
    """A server on this loopback port has begun to talk."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as probe:
        return probe.recv(100).startswith(greeting)
    return False


def listens(port: int) -> bool:
    """Somebody takes connections on this loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


def ends_within(pidfd: int, seconds: float) -> bool:
    """The process of this descriptor, which is closed afterwards, ends in this time."""
    watch = select.poll()
    watch.register(pidfd, select.POLLIN)
    try:
        return bool(watch.poll(seconds * 1000))
    finally:
        os.close(pidfd)


def members(group: int) -> list[int]:
    """The processes of a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state_parent_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(state_parent_group[2]) == group:
                found.append(int(folder.name))
    return found


_GIVEN: set[int] = set()

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
"""Each of the test processes that run beside each other takes its ports from a range of its own, below those of the system's clients:
servers of ours from 10,000 on, others from 22,400 on."""
_PORTS = range(22400 + 2500 * WORKER, 24900 + 2500 * WORKER)


def free_port() -> int:
    """A loopback port that is free for TCP and UDP at this moment, and that was not given to anybody before."""
    while True:
        port = random.choice(_PORTS)
        if port in _GIVEN:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            _GIVEN.add(port)
            return port


class RunningProgram:
    """One child process with its output in a file; `stop` ends it and waits."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], limit_s: float = 90.0) -> None:
        """Returns when `ready()` is true; fails the test with the program's output when that takes too long or it ended."""
        deadline = time.monotonic() + limit_s
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"{self._process.args!r} did not become ready:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the process, first politely."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
