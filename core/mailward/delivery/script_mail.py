"""What scripts send: redirected mail, and notices of their own mistakes. For threads of the queue process; each goes once."""

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import TypeVar

from mailward.api.services import Clock, Submit
from mailward.delivery.redirecting import Redirecting
from mailward.delivery.script_notice import notice
from mailward.delivery.scripted import Met
from mailward.model.ids import queue_id_for
from mailward.sieve import Problem
from mailward.sieve.actions import Redirect

T = TypeVar("T")


class ScriptMail:
    """Implements `delivery.scripted.Sender`. submit: of the server. loop: on which mail is put into the spool."""

    def __init__(self, redirecting: Redirecting, submit: Submit, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._redirecting = redirecting
        self._submit = submit
        self._clock = clock
        self._loop = loop

    def redirect(self, met: Met, action: Redirect) -> str:
        why = met.why(action)
        id = self._on_loop(self._redirecting.send(met.copy, met.owner, action.address, action.message, why))
        return f"redirected to {action.address} as {id} by {why}"

    def tell(self, met: Met, problem: Problem) -> None:
        # Of each text of a script and each line of it the owner hears once: what else is said of it strangers may have a say in.
        digest = hashlib.sha256(met.script.text).hexdigest()
        key = f"{met.copy.recipient.account} {digest} {problem.script} {problem.place}"
        octets = notice(
            met.owner, met.script.name, str(problem), met.message.subject, self._clock.now().astimezone(), queue_id_for(key)
        )
        self._on_loop(self._submit(str(met.owner), octets, key=key))

    def _on_loop(self, work: Coroutine[object, object, T]) -> T:
        """Done when this returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
