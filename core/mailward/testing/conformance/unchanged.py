"""What of the process must a plugin leave alone, and what must not grow with each call?"""

import asyncio
import gc
import locale
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

_ROUNDS = 4
"""Of the same calls; what a plugin opens once and keeps is open after the first."""


def state() -> Mapping[str, object]:
    """What the whole process shares, by name."""
    return {
        "the environment": dict(os.environ),
        "the current folder": Path.cwd(),
        "sys.path": tuple(sys.path),
        "the handler of a signal": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "the default time limit of sockets": socket.getdefaulttimeout(),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the recursion limit": sys.getrecursionlimit(),
        "the garbage collector": gc.isenabled(),
        "the streams": (id(sys.stdout), id(sys.stderr), id(sys.stdin)),
        "the hook for exceptions": (sys.excepthook, threading.excepthook),
        "the filters of warnings": tuple(map(repr, warnings.filters)),
        "the functions of time, sockets and chance": (
            id(socket.socket),
            id(socket.getaddrinfo),
            id(random.random),
            id(os.urandom),
        ),
        "the policy of event loops": type(asyncio.get_event_loop_policy()),
    }


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """What was changed, a sentence each."""
    return [f"its hooks changed {name}, which the whole process shares" for name in before if before[name] != after[name]]


async def growth(call: Callable[[], Awaitable[object]], calls: int) -> list[str]:
    """What is more after each round of calls, at least one for every second call."""
    await call()
    before = _open()
    for _ in range(_ROUNDS):
        await call()
    gc.collect()
    after = _open()
    return [
        f"its hooks leave {what} behind: {after[what] - before[what]} more after {calls * _ROUNDS} calls"
        for what in before
        if after[what] - before[what] > calls * _ROUNDS / 2
    ]


def _open() -> Mapping[str, int]:
    return {
        "open files": len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0,
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
    }
