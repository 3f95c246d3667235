"""Services that fail, and services that never answer: put around those of a test, and taken away again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mailward.api import DnsTemporaryError, HttpFailed
from mailward.model.errors import StorageError
from mailward.testing.world import FakeServices

_FAILURES: dict[str, Callable[[], Exception]] = {
    "resolver": lambda: DnsTemporaryError("no usable answer, by a test"),
    "http": lambda: HttpFailed("nothing is there, by a test"),
    "kv": lambda: StorageError("the disk is full, by a test"),
    "credentials": lambda: StorageError("the disk is full, by a test"),
    "submit": lambda: StorageError("the disk is full, by a test"),
}
"""The errors that the services document."""


class _Around:
    """A service each of whose calls first passes `gate(name of the service)`."""

    def __init__(self, service: Any, name: str, gate: Callable[[str], Any]) -> None:
        self._service = service
        self._name = name
        self._gate = gate

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._service, attribute)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            await self._gate(f"{self._name}.{attribute}")
            return await found(*arguments, **named)

        return call

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        await self._gate(self._name)
        return await self._service(*arguments, **named)


class Counting:
    """What every call of a service passes. calls: how many have come."""

    def __init__(self, services: FakeServices) -> None:
        self.calls = 0
        self._open = False
        of = services.of

        def around(plugin: str) -> Any:
            made = of(plugin)
            names = ("resolver", "kv", "run_blocking", "credentials", "submit", "http")
            gated: Any = {name: _Around(getattr(made, name), name, self.passed) for name in names}
            return replace(made, **gated)

        services.of = around  # type: ignore[method-assign]

    def mend(self) -> None:
        """From now on everything answers."""
        self._open = True

    async def passed(self, name: str) -> None:
        self.calls += 1
        if not self._open:
            await self.hold(name)

    async def hold(self, name: str) -> None:
        """Nothing."""


class Failing(Counting):
    """Every call raises what its service documents."""

    async def hold(self, name: str) -> None:
        make = _FAILURES.get(name.partition(".")[0])
        if make is not None:
            await asyncio.sleep(0)
            raise make()


class HangingAt(Counting):
    """The call of this number, from 0, answers when all is mended, too late. where: which it was."""

    def __init__(self, services: FakeServices, at: int) -> None:
        super().__init__(services)
        self._at = at
        self._mended = asyncio.Event()
        self.where = "a service"

    async def hold(self, name: str) -> None:
        if self.calls == self._at + 1:
            self.where = f"services.{name}"
            await self._mended.wait()

    def mend(self) -> None:
        super().mend()
        self._mended.set()
