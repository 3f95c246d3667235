"""Faults beneath the C library, for one process: it is killed at its n-th file call, or the call fails. See faults.c."""

import atexit
import ctypes
import enum
import errno
import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest


class Action(enum.IntEnum):
    """What happens at the call."""

    COUNT = 0  # nothing
    FAIL = 1  # it fails
    KILL = 2  # the process is killed before it
    TEAR = 3  # the process is killed after half of the octets; before a call that writes none
    SHORT = 4  # half of the octets are written, and nothing is wrong


@dataclass(frozen=True)
class Fault:
    """at: the call, from 1. error: for FAIL. for_good: all later calls fail, too."""

    action: Action = Action.COUNT
    at: int = 0
    error: int = errno.EIO
    for_good: bool = False

    def __str__(self) -> str:
        error = f" {errno.errorcode[self.error]}" if self.action is Action.FAIL else ""
        return f"{self.action.name}{error} at {self.at}{' and after' if self.for_good else ''}"


def library() -> Path:
    """The library to preload, compiled for this run of the tests."""
    return compiled("faults", "-ldl")


@functools.cache
def compiled(name: str, *libraries: str) -> Path:
    """What the C file of this name beside us makes."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.fail("this test needs gcc: apt-get install --no-install-recommends gcc libc6-dev")
    folder = tempfile.mkdtemp(prefix="mailward-faults-")
    Path(folder).chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Path(folder) / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    command = [compiler, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(made), str(source), *libraries]
    subprocess.run(command, check=True, timeout=60)
    return made


def arm(folder: Path, fault: Fault, *, name: str = "", trace: Path | None = None) -> None:
    """In a process that has the library preloaded: count calls on files below the folder, from now on.

    trace: gets a line for each, the call and the rest of the path. name: only calls whose line contains this are counted.
    """
    arm = ctypes.CDLL(None).faults_arm
    arm.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, *[ctypes.c_int] * 4]
    traced = -1 if trace is None else os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    arm(os.fsencode(folder), name.encode(), fault.at, fault.action, fault.error, fault.for_good, traced)


def with_fault(folder: Path, fault: Fault, *, name: str = "") -> dict[str, str]:
    """What the environment of another program must hold, so that it is as if it had called `arm` at its start; so do those that it
    starts."""
    told = (fault.at, int(fault.action), fault.error, int(fault.for_good), folder, name)
    return {"LD_PRELOAD": str(library()), "FAULTS": "\t".join(map(str, told))}
