"""Forks `mailward` commands, and programs of tests: a process that has imported all of Mailward, and becomes whatever `support.forking` asks it for.

Most of what a command takes is its imports, and the tests run thousands of commands. This process runs nothing of what it has
imported. Each command is a child of it, which from then on is like a new process: its descriptors, its environment, its folder.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import selectors
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mailward
import mailward_plugins
from mailward.cli import main
from mailward.metering import METERS

_REQUEST_OCTETS = 1 << 20
"""More than a socket takes at once."""
_DESCRIPTORS = 4096
"""More than a process of tests has open."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a child is to be. The descriptors are those of its standard input, output and error."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    new_session: bool
    most_descriptors: tuple[int, int]
    descriptors: list[int]
    asker: socket.socket


@dataclass(frozen=True, slots=True)
class _Child:
    """asker: is told the process id, and how it ended; while he has not closed it, the id is not given to another process."""

    pid: int
    ended_fd: int
    asker: socket.socket
    leads_session: bool


def _import_all() -> None:
    for package in (mailward, mailward_plugins):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.startswith("mailward.testing"):  # that is pytest's
                importlib.import_module(module.name)


def _await_request(control: socket.socket) -> Request | None:
    """Returns in each child, and once in this process: None when nobody asks any more and what was left is killed."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        children: set[_Child] = set()
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    if (request := _read(control)) is None:
                        for child in children:
                            with suppress(ProcessLookupError):
                                (os.killpg if child.leads_session else os.kill)(child.pid, signal.SIGKILL)
                        return None
                    if (pid := os.fork()) == 0:
                        return request
                    for descriptor in request.descriptors:
                        os.close(descriptor)
                    child = _Child(pid, os.pidfd_open(pid), request.asker, request.new_session)
                    children.add(child)
                    selector.register(child.ended_fd, selectors.EVENT_READ, child)
                elif key.fd == key.data.ended_fd:
                    child = key.data
                    selector.unregister(child.ended_fd)
                    os.close(child.ended_fd)
                    how = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
                    assert how is not None
                    with suppress(BrokenPipeError):
                        child.asker.send(str(how.si_status if how.si_code == os.CLD_EXITED else -how.si_status).encode())
                    selector.register(child.asker, selectors.EVENT_READ, child)
                else:
                    child = key.data
                    selector.unregister(child.asker)
                    child.asker.close()
                    children.remove(child)
                    os.waitpid(child.pid, 0)


def _read(control: socket.socket) -> Request | None:
    octets, descriptors, _, _ = socket.recv_fds(control, _REQUEST_OCTETS, 4)
    if not octets:
        return None
    return Request(**json.loads(octets), descriptors=descriptors[:3], asker=socket.socket(fileno=descriptors[3]))


def _become(request: Request) -> None:
    """What an exec would have done."""
    if request.new_session:
        os.setsid()
    for number, descriptor in enumerate(request.descriptors):
        os.dup2(descriptor, number)
    request.asker.send(str(os.getpid()).encode())
    os.closerange(3, _DESCRIPTORS)
    request.asker.detach()
    resource.setrlimit(resource.RLIMIT_NOFILE, request.most_descriptors)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    sys.argv[:] = request.arguments
    importlib.invalidate_caches()
    METERS.share([""])  # memory that is shared by all that are forked from whoever imports it
    METERS.sit("")


def _run() -> None:
    """The command or program, and what Python does at the end of one, less the taking apart of all that was imported."""
    try:
        if sys.argv[1:2] == ["-c"]:
            _, _, program, *sys.argv[1:] = sys.argv
            sys.path.insert(0, str(Path(__file__).parents[1]))
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
            sys.exit()
        main()
    except SystemExit as end:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.executable).parent))  # as for the command, which stands there
    _import_all()
    gc.freeze()
    assert threading.active_count() == 1, threading.enumerate()
    if (asked := _await_request(socket.socket(fileno=int(sys.argv[1])))) is not None:
        _become(asked)
        _run()
