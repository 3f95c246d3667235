"""One plugin is called: where, for how long at most, and what an answer, an exception or silence comes to.

A call ends as an `Answer`, whatever the plugin does: an exception (SystemExit included), a time limit, a wrong type or a stuck
thread make a failed one with a sentence that says why.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from mailward.api.relaying import UnsendableMessage
from mailward.metering import METERS
from mailward.pipeline.answers import BadAnswer, describe
from mailward.pipeline.breaker import Breaker
from mailward.pipeline.called import CALLS, Answer, Enabled
from mailward.pipeline.isolation.connection import Crashed, HookFailed
from mailward.pipeline.isolation.process import IsolatedPlugin
from mailward.pipeline.isolation.suspects import Suspects
from mailward.pipeline.plugins import Implementation
from mailward.pipeline.threads import AllStuck, DaemonThreads, Escaped

MAX_ABANDONED = 8
"""Coroutines of one plugin that were given up and still run; from here on its next calls fail at once."""
CRASH_COST_S = 4.0
"""What a process that ended costs, in the breaker's budget: another one must be started."""

T = TypeVar("T")
Done = Callable[[Answer[Any], float], None]
"""Told once how a call ended, and how many seconds it took."""

_OWN = frozenset({"settings", "services"})
_NO_TIME = "no time was left for it; the other plugins of this stage used it up"


class Caller:
    """Makes all calls of one plugin of one policy."""

    def __init__(self, one: Enabled) -> None:
        self._one = one
        self._threads = DaemonThreads(one.name, one.timeout_s)
        self._breaker = Breaker(one.name)
        self._counted, self._place = METERS.of("").place(CALLS, plugin=one.name)
        self._process = IsolatedPlugin(one.plugin, one.settings, one.services) if one.isolated else None
        self._suspects = Suspects(IsolatedPlugin(one.plugin, one.settings, one.services)) if one.isolated else None
        self._abandoned: set[asyncio.Task[Answer[Any]]] = set()

    def close(self) -> None:
        """End its processes, if it has any."""
        if self._process is not None:
            self._process.close()
        if self._suspects is not None:
            self._suspects.close()

    def begin(
        self, made: Implementation, values: Mapping[str, object], read: Callable[[object], T], deadline: float, done: Done
    ) -> "Call | None":
        """Call a hook. Returns what can be given up; None when it is over and `done` has been told.

        values: by the names of its arguments. read: checks its answer, raising BadAnswer. deadline: `time.monotonic()` at which
        its stage ends.
        """
        self._counted[self._place] += 1
        started = time.monotonic()
        if deadline <= started:
            done(Answer(error=_NO_TIME), 0.0)
            return None
        is_trial = self._breaker.is_open
        if is_trial and (refusal := self._breaker.refusal()):
            done(Answer(error=refusal), 0.0)
            return None
        if made.way == "inline" and self._process is None:
            answer = _guarded(made.function, values, read)
            took_s = time.monotonic() - started
            self.heed(answer, took_s, is_trial=is_trial)
            done(answer, took_s)
            return None
        if len(self._abandoned) >= MAX_ABANDONED:
            self._breaker.given_up(is_trial=is_trial)
            error = f"{MAX_ABANDONED} earlier calls never came back; nothing is asked of it until one does"
            done(Answer(error=error), 0.0)
            return None
        return Call(self, made, values, read, started, deadline, done, is_trial=is_trial)

    async def call(
        self, made: Implementation, values: Mapping[str, object], read: Callable[[object], T], deadline: float
    ) -> tuple[Answer[T], float]:
        """The answer, and the seconds it took. Arguments as of `begin`."""
        ended: asyncio.Future[tuple[Answer[T], float]] = asyncio.get_running_loop().create_future()

        def done(answer: Answer[T], took_s: float) -> None:
            if not ended.done():
                ended.set_result((answer, took_s))

        begun = self.begin(made, values, read, deadline, done)
        try:
            return await ended
        finally:
            if begun is not None and not begun.over:
                begun.give_up()

    def heed(self, answer: Answer[Any], took_s: float, *, is_trial: bool) -> None:
        """Tell the breaker how a call ended."""
        if answer.error is None or answer.is_final:
            self._breaker.succeeded(is_trial=is_trial)
        else:
            self._breaker.failed(took_s + answer.cost_s, is_trial=is_trial)

    def unheeded(self, *, is_trial: bool) -> None:
        """Nobody wants to know how it ends."""
        self._breaker.given_up(is_trial=is_trial)

    def abandon(self, task: "asyncio.Task[Answer[Any]]") -> None:
        """Cancel it, and count it until it has ended."""
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        task.cancel()

    def limit_s(self, started: float, deadline: float) -> float:
        return min(self._one.timeout_s, deadline - started)

    def too_long(self, limit_s: float) -> str:
        own = limit_s == self._one.timeout_s
        return f"it took longer than its limit of {limit_s:g} s" if own else "the time of its stage ran out"

    def task(self, made: Implementation, values: Mapping[str, object], read: Callable[[object], T]) -> "asyncio.Task[Answer[T]]":
        """The call under way."""
        loop = asyncio.get_running_loop()
        if self._process is not None:
            return loop.create_task(_in_process(self._process, made.hook, values, read))
        if made.way == "thread":
            return loop.create_task(_in_thread(self._threads, partial(_guarded, made.function, values, read)))
        return loop.create_task(_awaited(made.function, values, read))

    def task_alone(
        self, made: Implementation, values: Mapping[str, object], read: Callable[[object], T]
    ) -> "asyncio.Task[Answer[T]]":
        """The same call once more, after all that are suspected with it."""
        assert self._suspects is not None
        limit_s = self._one.timeout_s
        too_long = self.too_long(limit_s)
        return asyncio.get_running_loop().create_task(_alone(self._suspects, made.hook, values, read, limit_s, too_long))

    @property
    def process(self) -> IsolatedPlugin | None:
        return self._process


class Call:
    """One call under way, with its time limit. Not `asyncio.timeout`: a plugin that swallows the cancellation would hold up
    everybody.
    """

    __slots__ = ("_arguments", "_caller", "_deadline", "_done", "_is_trial", "_limit_s", "_started", "_task", "_timer", "over")

    def __init__(
        self,
        caller: Caller,
        made: Implementation,
        values: Mapping[str, object],
        read: Callable[[object], Any],
        started: float,
        deadline: float,
        done: Done,
        *,
        is_trial: bool,
    ) -> None:
        self._caller = caller
        self._is_trial = is_trial
        self._arguments = made, values, read
        self._started = started
        self._deadline = deadline
        self._done = done
        self.over = False
        process = caller.process
        if process is None or process.is_ready:
            self._run()
            return
        # The limit of a call begins when there is somebody to call.
        self._limit_s = -1.0
        self._task: asyncio.Task[Answer[Any]] = asyncio.get_running_loop().create_task(_started(process))
        self._timer = asyncio.get_running_loop().call_later(deadline - started, self._expired)
        self._task.add_done_callback(self._readied)

    def give_up(self) -> None:
        """Nobody waits for it any more; `done` is not told."""
        self.over = True
        self._timer.cancel()
        self._caller.abandon(self._task)
        self._caller.unheeded(is_trial=self._is_trial)

    def _run(self) -> None:
        made, values, read = self._arguments
        self._limit_s = self._caller.limit_s(time.monotonic() if self._caller.process else self._started, self._deadline)
        self._task = self._caller.task(made, values, read)
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._limit_s), self._expired)
        self._task.add_done_callback(self._ended)

    def _readied(self, task: "asyncio.Task[Answer[Any]]") -> None:
        if self.over:
            return
        self._timer.cancel()
        answer = _answer_of(task)
        if answer.error is None:
            self._run()
        else:
            self._settle(answer)

    def _ended(self, task: "asyncio.Task[Answer[Any]]") -> None:
        if self.over:
            return
        self._timer.cancel()
        answer = _answer_of(task)
        if answer.is_suspect:
            self._run_alone()
        else:
            self._settle(answer)

    def _run_alone(self) -> None:
        self._limit_s = -1.0
        self._task = self._caller.task_alone(*self._arguments)
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._deadline - time.monotonic()), self._expired)
        self._task.add_done_callback(self._ended)

    def _expired(self) -> None:
        if self.over:
            return
        self._timer.cancel()  # or it would hold this call, and this call its plugin's process
        waiting = self._limit_s < 0
        error = "the time of its stage ran out before its process was ready" if waiting else self._caller.too_long(self._limit_s)
        self._caller.abandon(self._task)
        if self._caller.process is None or waiting:
            self._settle(Answer(error=error))
        else:
            # Its task tells the process and ends at once; the next call must find that done.
            self.over = True
            self._task.add_done_callback(lambda _: self._settle(Answer(error=error)))

    def _settle(self, answer: Answer[Any]) -> None:
        self.over = True
        took_s = time.monotonic() - self._started
        self._caller.heed(answer, took_s, is_trial=self._is_trial)
        self._done(answer, took_s)


def _answer_of(task: "asyncio.Task[Answer[Any]]") -> Answer[Any]:
    """Of one that has ended. An exception here is a fault of ours, and nobody else would hear of it."""
    if task.cancelled():
        return Answer(error="it cancelled itself")
    error = task.exception()
    return task.result() if error is None else Answer(error=describe(error))


async def _started(process: IsolatedPlugin) -> Answer[Any]:
    try:
        await process.ready()
    except Crashed as error:
        return Answer(error=str(error), cost_s=CRASH_COST_S)
    return Answer()


def _guarded(function: Callable[..., object], values: Mapping[str, object], read: Callable[[object], T]) -> Answer[T]:
    try:
        return Answer(read(function(**values)))
    except BaseException as error:  # noqa: BLE001  whatever a plugin raises is its own failure, sys.exit included
        return _failure(error, function)


async def _awaited(function: Callable[..., Any], values: Mapping[str, object], read: Callable[[object], T]) -> Answer[T]:
    try:
        return Answer(read(await function(**values)))
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001  as above; SystemExit in a task would end the loop itself
        return _failure(error, function)


async def _in_process(process: IsolatedPlugin, hook: str, values: Mapping[str, object], read: Callable[[object], T]) -> Answer[T]:
    return await _heard(process.call(hook, _sent(values)), read)


async def _alone(
    suspects: Suspects, hook: str, values: Mapping[str, object], read: Callable[[object], T], limit_s: float, too_long: str
) -> Answer[T]:
    try:
        answer = await _heard(suspects.call(hook, _sent(values), limit_s), read)
    except TimeoutError:
        return Answer(error=too_long)
    answer.is_suspect = False  # nobody else was there
    return answer


def _sent(values: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in values.items() if name not in _OWN}


async def _heard(answering: Awaitable[object], read: Callable[[object], T]) -> Answer[T]:
    try:
        return Answer(read(await answering))
    except Crashed as error:
        return Answer(error=str(error), cost_s=CRASH_COST_S, is_suspect=error.others)
    except HookFailed as error:
        return Answer(error=str(error), is_final=error.is_final)
    except BadAnswer as error:
        return Answer(error=f"it {error}")


async def _in_thread(threads: DaemonThreads, job: Callable[[], Answer[T]]) -> Answer[T]:
    try:
        return await threads.run(job)
    except AllStuck:
        return Answer(error="all its threads are busy with calls that never came back")
    except Escaped as error:
        return Answer(error=describe(error.original))


def _failure(error: BaseException, function: Callable[..., object]) -> "Answer[T]":
    if isinstance(error, BadAnswer):
        return Answer(error=f"it {error}")
    if isinstance(error, UnsendableMessage):
        return Answer(error=describe(error).partition(": ")[2] or "no reason was given", is_final=True)
    code = getattr(function, "__code__", None)
    return Answer(error=describe(error, code.co_filename if code else ""))
