"""One plugin is called: whether now, for how long at most, and what silence comes to.

A call ends as an `Answer`, whatever the plugin does: an exception (SystemExit included), a time limit, a wrong type or a stuck
thread make a failed one with a sentence that says why.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from mailward.metering import METERS
from mailward.pipeline.breaker import Breaker
from mailward.pipeline.called import CALLS, Answer, Enabled
from mailward.pipeline.guarding import Read, Work, alone, answer_of, awaited, guarded, in_process, in_thread, started
from mailward.pipeline.isolation.process import IsolatedPlugin
from mailward.pipeline.isolation.suspects import Suspects
from mailward.pipeline.limits import Limits
from mailward.pipeline.plugins import Implementation
from mailward.pipeline.threads import DaemonThreads

MAX_ABANDONED = 8
"""Coroutines of one plugin that were given up and still run; from here on its next calls fail at once."""

T = TypeVar("T")

_NO_TIME = "no time was left for it; the other plugins of this stage used it up"
_STAGE_OVER = "the time of its stage ran out"
_NEVER_READY = "the time of its stage ran out before its process was ready"


class Caller:
    """Makes all calls of one plugin of one policy.

    timeout_s: of each call. process: in which it is called, None for this one.
    """

    def __init__(self, one: Enabled) -> None:
        self.timeout_s = one.timeout_s
        self.too_long = f"it took longer than its limit of {one.timeout_s:g} s"
        self.process = IsolatedPlugin(one.plugin, one.settings, one.services) if one.isolated else None
        self._threads = DaemonThreads(one.name, one.timeout_s)
        self._breaker = Breaker(one.name)
        self._counted, self._place = METERS.of("").place(CALLS, plugin=one.name)
        self._suspects = Suspects(IsolatedPlugin(one.plugin, one.settings, one.services)) if one.isolated else None
        self._abandoned: set[asyncio.Task[Answer[Any]]] = set()

    def close(self) -> None:
        """End its processes, if it has any."""
        if self.process is not None:
            self.process.close()
        if self._suspects is not None:
            self._suspects.close()

    def begin(self, made: Implementation, values: Mapping[str, object], read: Read[T], limits: Limits) -> "Answer[T] | Call[T]":
        """Call a hook. Returns the answer of one that is over at once, else the call under way.

        values: by the names of its arguments. limits: of its stage.
        """
        self._counted[self._place] += 1
        began = time.monotonic()
        if limits.deadline <= began:
            return Answer(error=_NO_TIME)
        is_trial = self._breaker.is_open
        if is_trial and (refusal := self._breaker.refusal()):
            return Answer(error=refusal)
        if made.way == "inline" and self.process is None:
            return self.heeded(guarded(made.function, values, read), began, is_trial=is_trial)
        if len(self._abandoned) >= MAX_ABANDONED:
            self._breaker.given_up(is_trial=is_trial)
            return Answer(error=f"{MAX_ABANDONED} earlier calls never came back; nothing is asked of it until one does")
        return Call(self, made, values, read, began, limits, is_trial=is_trial)

    async def call(self, made: Implementation, values: Mapping[str, object], read: Read[T], deadline: float) -> Answer[T]:
        """Call a hook and wait for its answer. deadline: `time.monotonic()` at which its stage ends; the rest as of `begin`."""
        begun = self.begin(made, values, read, Limits(deadline))
        if isinstance(begun, Answer):
            return begun
        over: asyncio.Future[Answer[T]] = asyncio.get_running_loop().create_future()
        begun.tell(over.set_result)
        try:
            return await over
        finally:
            begun.give_up()

    def heeded(self, answer: Answer[T], began: float, *, is_trial: bool) -> Answer[T]:
        """The answer of a call that is over, of which the breaker is told."""
        answer.took_s = time.monotonic() - began
        if answer.error is None or answer.is_final:
            self._breaker.succeeded(is_trial=is_trial)
        else:
            self._breaker.failed(answer.took_s + answer.cost_s, is_trial=is_trial)
        return answer

    def unheeded(self, *, is_trial: bool) -> None:
        """Nobody wants to know how it ends."""
        self._breaker.given_up(is_trial=is_trial)

    def abandon(self, task: "asyncio.Task[Answer[Any]]") -> None:
        """Cancel it, and count it until it has ended."""
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        task.cancel()

    def work(self, made: Implementation, values: Mapping[str, object], read: Read[T]) -> Work[T]:
        """The call itself."""
        if self.process is not None:
            return in_process(self.process, made.hook, values, read)
        if made.way == "thread":
            return in_thread(self._threads, partial(guarded, made.function, values, read))
        return awaited(made.function, values, read)

    def work_alone(self, made: Implementation, values: Mapping[str, object], read: Read[T]) -> Work[T]:
        """The same call once more, after all that are suspected with it."""
        assert self._suspects is not None
        return alone(self._suspects, made.hook, values, read, self.timeout_s, self.too_long)


class Call(Generic[T]):
    """One call under way. Not `asyncio.timeout`: a plugin that swallows the cancellation would hold up everybody."""

    __slots__ = ("_arguments", "_began", "_caller", "_is_trial", "_limits", "_over", "_task", "_tell", "_too_late")

    def __init__(
        self,
        caller: Caller,
        made: Implementation,
        values: Mapping[str, object],
        read: Read[T],
        began: float,
        limits: Limits,
        *,
        is_trial: bool,
    ) -> None:
        self._caller = caller
        self._arguments = made, values, read
        self._began = began
        self._limits = limits
        self._is_trial = is_trial
        self._tell: Callable[[Answer[T]], object] = _unheard
        self._over = False
        if caller.process is None or caller.process.is_ready:
            self._run(began)
        else:
            self._watch(started(caller.process), self._readied, limits.deadline, _NEVER_READY)

    def tell(self, done: Callable[[Answer[T]], object]) -> None:
        """Call this once with the answer, when the loop goes on."""
        self._tell = done

    def give_up(self) -> None:
        """Nobody waits for it any more, and nobody is told."""
        self._tell = _unheard
        if not self._over:
            self._over = True
            self._limits.drop(self)
            self._caller.abandon(self._task)
            self._caller.unheeded(is_trial=self._is_trial)

    def expired(self) -> None:
        """Its time is over."""
        if self._over:
            return
        self._over = True
        answer: Answer[T] = Answer(error=self._too_late)
        self._caller.abandon(self._task)
        if self._caller.process is None:
            self._settle(answer)
        else:
            # Its task tells the process and ends at once; the next call must find that done.
            self._task.add_done_callback(lambda _: self._settle(answer))

    def _run(self, now: float) -> None:
        caller, deadline = self._caller, self._limits.deadline
        own_end = now + caller.timeout_s
        end, too_late = (own_end, caller.too_long) if own_end <= deadline else (deadline, _STAGE_OVER)
        self._watch(caller.work(*self._arguments), self._ended, end, too_late)

    def _watch(self, work: Work[Any], then: "Callable[[asyncio.Task[Answer[Any]]], None]", end: float, too_late: str) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(then)
        self._too_late = too_late
        self._limits.set(self, end)

    def _readied(self, task: "asyncio.Task[Answer[Any]]") -> None:
        if self._over:
            return
        answer = answer_of(task)
        if answer.error is None:
            self._run(time.monotonic())  # its limit begins when there is somebody to call
        else:
            self._settle(answer)

    def _ended(self, task: "asyncio.Task[Answer[Any]]") -> None:
        if self._over:
            return
        answer = answer_of(task)
        if answer.is_suspect:
            self._watch(self._caller.work_alone(*self._arguments), self._ended, self._limits.deadline, _NEVER_READY)
        else:
            self._settle(answer)

    def _settle(self, answer: Answer[Any]) -> None:
        self._over = True
        self._limits.drop(self)
        self._tell(self._caller.heeded(answer, self._began, is_trial=self._is_trial))


def _unheard(_: Answer[Any]) -> None:
    pass
