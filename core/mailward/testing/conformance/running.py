"""How does one plugin answer, and what does it do meanwhile? Its hooks are called by the server's own chain, and watched.

Everything runs in an event loop in a thread of its own, so that a plugin that blocks it is told from a test that hangs.
"""

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from structlog.testing import capture_logs

from mailward.api import AccountCommand, Evidence, Finding, MessageView, ServerCommand, Settings
from mailward.pipeline.called import Enabled
from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import enabled_plugins
from mailward.pipeline.isolation.connection import START_S
from mailward.pipeline.plugins import Implementation, LoadedPlugin, PluginHost, Source
from mailward.testing.calling import LIMIT_S, direction_of, reader_of
from mailward.testing.conformance.blocking import watched
from mailward.testing.conformance.cases import Case
from mailward.testing.policies import Named, made_policy, name_of
from mailward.testing.world import FakeServices

T = TypeVar("T")

STEP_S = 1.0
"""CPU time that an async hook may take between two awaits: so long nothing else of the process is served."""
BLOCKED_S = 15.0
"""After so long without a turn of the loop, a plugin is said to block it for good. The server's limit is 5 s."""
_MOST_LATE = 2
_TURNS = 200
"""Of the loop, 10 ms each, in which what was cancelled has to come to its end."""


class Blocked(AssertionError):
    """The event loop stood still."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one call. error: as the server would record it, None for none. form: the answer as text, to be compared.

    undeclared: symbols that the plugin does not declare. changed: what it changed of what it was given. blocking: what it did
    on the event loop that holds up everybody.
    """

    case: Case
    error: str | None
    form: str
    undeclared: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()

    @property
    def is_late(self) -> bool:
        """It was given up at its limit."""
        return self.error is not None and "longer than its limit" in self.error

    def __str__(self) -> str:
        return f"{self.case.hook} ({self.case.name})"


@dataclass(frozen=True, slots=True)
class Subject:
    """The plugin that is looked at. beside: what it needs. isolated: it runs in a process of its own."""

    plugin: Named
    beside: tuple[Named, ...] = ()
    isolated: bool = False

    @property
    def name(self) -> str:
        return name_of(self.plugin)

    def loaded(self) -> LoadedPlugin:
        """It, imported and checked. Raises PluginError."""
        modules = {self.name: self.plugin} if isinstance(self.plugin, ModuleType) else {}
        return PluginHost(modules=modules).load(self.name)


class Rig:
    """One plugin with one set of settings and the services around it. Several can be alive at once.

    settings: keys as in the policy. Raises PluginError and PolicyError.
    """

    def __init__(
        self, subject: Subject, settings: Mapping[str, object], services: FakeServices, limit_s: float = LIMIT_S
    ) -> None:
        self._subject = subject
        self._services = services
        self._limit_s = limit_s
        services.run_blocking = _in_thread
        keys: dict[str, object] = {"timeout": f"{limit_s * 1000:g}ms", **settings}
        if subject.isolated:
            keys["isolation"] = "process"
        self._keys = {subject.name: keys}
        self._chains: dict[str, tuple[Chain, Enabled]] = {}
        self._running: set[object] = set()
        self.hooks = tuple(self._made("inbound")[1].plugin.implementations.values())

    async def is_at_rest(self, hook: str) -> bool:
        """Has every async hook come to its end, those that were given up as well, and no process with them? Waits a little.

        hook: the one that was called last.
        """
        chain, one = self._made(direction_of(hook))
        for _ in range(_TURNS):
            if not self._running and chain.is_ready(one):
                return True
            await asyncio.sleep(0.01)
        return False

    async def answers(self, wanted: Iterable[Case]) -> list[Answer]:
        """One after another, of a plugin that hangs not all; then its processes end, which belong to this event loop."""
        made: list[Answer] = []
        with contextlib.closing(self):
            for case in wanted:
                made.append(await self.answer(case))
                if sum(answer.is_late for answer in made) == _MOST_LATE:
                    break
        return made

    def close(self) -> None:
        """End its processes; whoever asks again gets others."""
        for chain, _ in self._chains.values():
            chain.close()

    async def answer(self, case: Case, together: asyncio.Barrier | None = None) -> Answer:
        """One call, by the server's own rules. together: made at the same moment as those of the others who wait there."""
        chain, one = self._made(direction_of(case.hook))
        seen = _Seen(closely=case.kind == "ordinary")
        implementation = one.plugin.implementations[case.hook]
        if not self._subject.isolated and implementation.way != "thread":
            looked_at = (self._stepped if implementation.way == "loop" else _inline)(implementation, seen)
            one = replace(one, plugin=replace(one.plugin, implementations={case.hook: looked_at}))
        arguments = {"evidence": chain.evidence(()), **case.arguments}
        given = {**arguments, "settings": one.settings}
        before = await asyncio.to_thread(_forms, given)
        if together is not None:
            await together.wait()
        official = reader_of(case.hook, one.plugin.declaration, arguments)
        read = partial(_read, official=official, declared=one.plugin.declaration.symbols, seen=seen)
        patience_s = 2 * self._limit_s + (START_S if self._subject.isolated else 0.0)
        called = await chain.ask(one, case.hook, arguments, read, time.monotonic() + patience_s)
        after = await asyncio.to_thread(_forms, given)
        changed = tuple(name for name, form in before.items() if after[name] != form)
        return Answer(case, called.call.error, _form(called.value), tuple(seen.undeclared), changed, tuple(seen.blocking))

    def _stepped(self, implementation: Implementation, seen: "_Seen") -> Implementation:
        """The same hook, with an eye on each of its steps on the event loop."""

        async def function(**values: object) -> object:
            self._running.add(seen)
            try:
                return await _Stepped(implementation.function(**values), seen)
            finally:
                self._running.discard(seen)

        return replace(implementation, function=function)

    def _made(self, direction: Any) -> tuple[Chain, Enabled]:
        if direction not in self._chains:
            plugins = [*self._subject.beside, self._subject.plugin]
            policy, host = made_policy(direction, plugins, self._keys, {})
            enabled = [_sent_as_text(one) for one in enabled_plugins(policy, host, self._services.of)]
            self._chains[direction] = Chain(enabled), next(one for one in enabled if one.name == self._subject.name)
        return self._chains[direction]


@dataclass(slots=True, eq=False)
class _Seen:
    closely: bool
    undeclared: list[str] = field(default_factory=list)
    blocking: list[str] = field(default_factory=list)


def _read(answer: object, official: Callable[[object], object], declared: Iterable[str], seen: _Seen) -> object:
    if not isinstance(answer, (str, bytes, Mapping)) and hasattr(answer, "__iter__"):
        answer = list(answer)
    for one in answer if isinstance(answer, list) else [answer]:
        if isinstance(one, Finding) and one.symbol is not None and one.symbol not in declared:
            seen.undeclared.append(str(one.symbol))
    return official(answer)


def _form(value: object) -> str:
    """The same text for the same answer, in any process."""
    if isinstance(value, tuple):
        return "(" + ", ".join(_form(one) for one in value) + ")"
    if isinstance(value, (AccountCommand, ServerCommand)):  # what it does is a function
        return f"{type(value).__name__}({value.name!r}, {value.help!r})"
    return repr(value)


def _forms(arguments: Mapping[str, object]) -> dict[str, str]:
    return {name: _given_form(value) for name, value in arguments.items()}


def _given_form(value: object) -> str:
    if isinstance(value, MessageView):
        parts = [(part.number, part.start, part.end, part.content_type) for part in value.parts()]
        known = {name for kind in type(value).__mro__ for name in vars(kind)} | {"_octets", "_lines"}
        return repr((len(value.octets), hash(bytes(value.octets)), parts, sorted(set(vars(value)) - known)))
    if isinstance(value, Evidence):
        return repr((dict(value.facts_by_plugin), value.findings, dict(value.status)))
    if isinstance(value, Settings):
        return repr({f.name: getattr(value, f.name) for f in fields(value)})
    return repr(value)


def _sent_as_text(one: Enabled) -> Enabled:
    """A single file is sent to its process as it stands: that need not be where installed modules are."""
    file = Path(getattr(sys.modules.get(one.plugin.source.module), "__file__", None) or "")
    if one.plugin.source.text or file.suffix != ".py" or file.name == "__init__.py":
        return one
    return replace(one, plugin=replace(one.plugin, source=Source(one.plugin.source.module, str(file), file.read_bytes())))


def _inline(implementation: Implementation, seen: _Seen) -> Implementation:
    """The same hook, with an eye on what it does on the event loop."""

    def function(**values: object) -> object:
        with _step(seen):
            return implementation.function(**values)

    return replace(implementation, function=function)


@contextlib.contextmanager
def _step(seen: _Seen) -> Iterator[None]:
    """What is run on the event loop without an await; CPU time, so that a busy machine makes no difference."""
    started = time.thread_time()
    try:
        with watched(seen.blocking, closely=seen.closely):
            yield
    finally:
        if (spent := time.thread_time() - started) > STEP_S:
            seen.blocking.append(f"computed for {spent:.1f} s without an await; services.run_blocking is for that")


class _Stepped(Generic[T]):
    """Runs a coroutine from await to await, as the loop does, and says what each step did that holds up the loop."""

    def __init__(self, coroutine: Any, seen: _Seen) -> None:
        self._coroutine = coroutine
        self._seen = seen

    def __await__(self) -> Generator[Any, Any, T]:
        step, given = self._coroutine.send, None
        while True:
            try:
                with _step(self._seen):
                    yielded = step(given)
            except StopIteration as ended:
                result: T = ended.value
                return result
            try:
                step, given = self._coroutine.send, (yield yielded)
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001  it is the coroutine's, a cancellation above all
                step, given = self._coroutine.throw, error


async def _in_thread(function: Callable[[], T]) -> T:
    """`mailward.api.RunBlocking` as the server has it: away from the loop."""
    return await asyncio.to_thread(function)


def in_loop(work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work()`, run in an event loop of its own thread. Raises Blocked, and whatever it raises."""
    box: list[T] = []
    failure: list[BaseException] = []
    beat = [time.monotonic()]

    async def main() -> None:
        async def keep_beating() -> None:
            while True:
                beat[0] = time.monotonic()
                await asyncio.sleep(0.1)

        pulse = asyncio.create_task(keep_beating())
        try:
            box.append(await work())
        finally:
            pulse.cancel()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  the caller gets it
            failure.append(error)

    thread = threading.Thread(target=run, name="conformance", daemon=True)
    with capture_logs():  # what the server would log of failed calls is in the answers
        thread.start()
        while thread.is_alive():
            thread.join(0.05)
            if time.monotonic() - beat[0] > BLOCKED_S and thread.is_alive():
                stack = traceback.extract_stack(sys._current_frames().get(thread.ident or 0))
                at = f"{stack[-1].filename}:{stack[-1].lineno} {stack[-1].line}" if stack else "it is not known where"
                raise Blocked(f"the event loop has stood still for {BLOCKED_S:g} s, at {at}")
    if failure:
        raise failure[0]
    return box[0]
