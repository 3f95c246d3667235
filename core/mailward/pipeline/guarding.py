"""What does a plugin's function come to? An `Answer`, whatever it does: where it runs, and what an exception says.

Nothing here knows of limits and of the breaker; those belong to `caller`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from mailward.api.relaying import UnsendableMessage
from mailward.pipeline.answers import BadAnswer, describe
from mailward.pipeline.called import Answer
from mailward.pipeline.isolation.connection import Crashed, HookFailed
from mailward.pipeline.isolation.process import IsolatedPlugin
from mailward.pipeline.isolation.suspects import Suspects
from mailward.pipeline.threads import AllStuck, DaemonThreads, Escaped

CRASH_COST_S = 4.0
"""What a process that ended costs, in the breaker's budget: another one must be started."""

T = TypeVar("T")
Read = Callable[[object], T]
"""Checks what a hook answered. Raises BadAnswer."""
Work = Coroutine[Any, Any, Answer[T]]

_OWN = frozenset({"settings", "services"})


def answer_of(task: "asyncio.Task[Answer[Any]]") -> Answer[Any]:
    """Of one that has ended. An exception here is a fault of ours, and nobody else would hear of it."""
    if task.cancelled():
        return Answer(error="it cancelled itself")
    error = task.exception()
    return task.result() if error is None else Answer(error=describe(error))


async def started(process: IsolatedPlugin) -> Answer[Any]:
    """Over when the process can be called."""
    try:
        await process.ready()
    except Crashed as error:
        return Answer(error=str(error), cost_s=CRASH_COST_S)
    return Answer()


def guarded(function: Callable[..., object], values: Mapping[str, object], read: Read[T]) -> Answer[T]:
    """Call a plain function, here."""
    try:
        return Answer(read(function(**values)))
    except BaseException as error:  # noqa: BLE001  whatever a plugin raises is its own failure, sys.exit included
        return _failure(error, function)


async def awaited(function: Callable[..., Any], values: Mapping[str, object], read: Read[T]) -> Answer[T]:
    """Call a coroutine function. A cancellation goes through."""
    try:
        return Answer(read(await function(**values)))
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001  as above; SystemExit in a task would end the loop itself
        return _failure(error, function)


async def in_process(process: IsolatedPlugin, hook: str, values: Mapping[str, object], read: Read[T]) -> Answer[T]:
    """Call a hook in the process of its plugin, which must be ready."""
    return await _heard(process.call(hook, _sent(values)), read)


async def alone(
    suspects: Suspects, hook: str, values: Mapping[str, object], read: Read[T], limit_s: float, too_long: str
) -> Answer[T]:
    """Call a hook in the process for suspects, when its turn has come. limit_s: from then on; too_long: said past it."""
    try:
        answer = await _heard(suspects.call(hook, _sent(values), limit_s), read)
    except TimeoutError:
        return Answer(error=too_long)
    answer.is_suspect = False  # nobody else was there
    return answer


def _sent(values: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in values.items() if name not in _OWN}


async def _heard(answering: Awaitable[object], read: Read[T]) -> Answer[T]:
    try:
        return Answer(read(await answering))
    except Crashed as error:
        return Answer(error=str(error), cost_s=CRASH_COST_S, is_suspect=error.others)
    except HookFailed as error:
        return Answer(error=str(error), is_final=error.is_final)
    except BadAnswer as error:
        return Answer(error=f"it {error}")


async def in_thread(threads: DaemonThreads, job: Callable[[], Answer[T]]) -> Answer[T]:
    """Do a guarded call in a thread."""
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
