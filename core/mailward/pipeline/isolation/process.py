"""A plugin in a process of its own, as the worker sees it: started when it is first called, started again after it has ended.

It never outlives the worker: its socket closes, and the kernel kills it (PR_SET_PDEATHSIG).
"""

import asyncio
import os
import pickle
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping
from typing import Any

import structlog

from mailward.api.plugin import Settings
from mailward.api.services import Services
from mailward.pipeline.isolation.connection import Connection, Crashed
from mailward.pipeline.plugins import LoadedPlugin

_log = structlog.get_logger()


class IsolatedPlugin:
    """One plugin of one policy in one worker. services: those it has declared."""

    def __init__(self, plugin: LoadedPlugin, settings: Settings, services: Services) -> None:
        self._plugin = plugin
        self._settings = pickle.dumps(settings)  # now: a reload may bring another class of this name
        self._services = services
        self._connection: Connection | None = None
        self._starting: asyncio.Task[Connection] | None = None
        self._at_the_end: weakref.finalize[Any, Any] | None = None

    @property
    def is_ready(self) -> bool:
        """Its process can be called at once."""
        connection = self._connection
        return connection is not None and not connection.ended and connection.settled.is_set()

    async def ready(self) -> None:
        """Return when its process can be called. Raises Crashed."""
        if self._connection is not None and not self._connection.ended:
            await self._connection.settled.wait()
        if not self.is_ready:
            if self._starting is None or self._starting.done():
                self._starting = asyncio.get_running_loop().create_task(self._start())
                self._starting.add_done_callback(_seen)  # whoever waited for it may be gone
            self._connection = await asyncio.shield(self._starting)

    async def call(self, hook: str, values: Mapping[str, object]) -> object:
        """What the hook answers, not yet checked. Raises Crashed and HookFailed. Call `ready` before."""
        if self._connection is None:
            raise Crashed("its process has never been started")
        return await self._connection.call(hook, values)

    def close(self) -> None:
        """End its process. It may be used again."""
        if self._connection is not None:
            self._connection.end()

    async def _start(self) -> Connection:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                ours.setblocking(False)
                process = _started(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        connection = Connection(self._plugin, self._services, process)
        if self._at_the_end is not None:
            self._at_the_end.detach()  # of the process before
        self._at_the_end = weakref.finalize(self, connection.end)
        await loop.create_connection(lambda: connection, sock=ours)
        await connection.begin(self._settings)
        _log.info("plugin process started", plugin=self._plugin.name, pid=process.pid)
        return connection


def _started(fd: int) -> "subprocess.Popen[bytes]":
    """A fresh interpreter, no fork of this process: it has threads. It inherits the socket and nothing else."""
    command = [sys.executable, "-I", "-B", "-m", "mailward.pipeline.isolation.child", str(fd), str(os.getpid())]
    null = subprocess.DEVNULL
    return subprocess.Popen(command, env={"LANG": "C.UTF-8"}, cwd="/", stdin=null, stdout=null, stderr=null, pass_fds=(fd,))  # noqa: S603


def _seen(task: "asyncio.Task[Any]") -> None:
    """Nobody need be told of its exception."""
    if not task.cancelled():
        task.exception()
