"""Who is the peer? Its name by reverse DNS, and what plugins find of it: both are looked for while it talks."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial

from mailward.intake.ports import Judge
from mailward.model.session import ReverseName, Session
from mailward.pipeline.answered import Answered, noting
from mailward.pipeline.meeting import Meeting

ReverseLookup = Callable[[str], Coroutine[object, object, ReverseName]]
"""The name of the host with this address."""


class Peer:
    """One client, by the session as it is at each moment. look_up: None when nobody is asked for names.

    meeting: what plugins find of it; None before it came and after it has gone. answered: what DNS said of it.
    """

    def __init__(self, look_up: ReverseLookup | None) -> None:
        self.meeting: Meeting | None = None
        self.answered = Answered()
        self._look_up = look_up
        self._naming: asyncio.Task[ReverseName] | None = None

    def came(self, session: Session, judge: Judge) -> None:
        """It is there. Users log in by what they know, not by where they are: nobody need ask for the names of their hosts."""
        if session.is_stranger or judge.needs_rdns:
            self._ask_for_name(session)
        self.meeting = judge.meet()
        with noting(self.answered):
            self.meeting.connected(partial(self.named, session))

    def greeted(self, session: Session, name: str) -> None:
        """It gave this name, which `session` has."""
        if self.meeting is not None:
            with noting(self.answered):
                self.meeting.greeted(partial(self.named, session), name)

    def forget_name(self) -> None:
        """What it said in clear counts no more (RFC 3207 section 4.2)."""
        if self.meeting is not None:
            self.meeting.forget_name()

    def gone(self) -> None:
        """Nobody needs to know any more."""
        if self.meeting is not None:
            self.meeting.end()
            self.meeting = None  # or what is left of the connection would hold the plugins of before a reload
        if self._naming is not None:
            self._naming.cancel()
            self._naming = None

    async def named(self, session: Session) -> Session:
        """The session with what reverse DNS says of the peer, where anybody can be asked. Waits for the answer."""
        self._ask_for_name(session)
        return session if self._naming is None else replace(session, rdns=await asyncio.shield(self._naming))

    def named_by_now(self, session: Session) -> Session:
        """The same, where the answer is there already."""
        if self._naming is None or not self._naming.done():
            return session
        return replace(session, rdns=self._naming.result())

    def _ask_for_name(self, session: Session) -> None:
        if self._naming is None and self._look_up is not None:
            with noting(self.answered):
                self._naming = asyncio.create_task(self._look_up(session.peer_ip))
