"""A process that is killed outright at one of its steps: calls of a disk, and of whatever a test names."""

import os
import signal
import sys
from pathlib import Path

from support import forking

COUNTED = """
import asyncio, os, signal, sys
from pathlib import Path
from mailward.disk import Disk

countdown = int(sys.argv[2])

def counted(function):
    def call(*given, **named):
        global countdown
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)
    return call

def count(part, *names):
    for name in names:
        setattr(part, name, counted(getattr(part, name)))

count(Disk, "write", "sync", "sync_folder", "rename", "unlink")
"""
"""The beginning of a program. Its arguments: a folder, the step that it does not outlive, and what else it wants."""


def attempt(program: str, folder: Path, step: int, *more: str) -> int:
    """Run a program behind `COUNTED`; its exit code, 0 where it has not so many steps."""
    child = forking.run([sys.executable, "-c", COUNTED + program, str(folder), str(step), *more], os.environ, "", 120)
    assert child.returncode in (0, -signal.SIGKILL), child.stderr
    return child.returncode
