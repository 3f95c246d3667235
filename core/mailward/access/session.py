"""What the sessions of POP3 and ManageSieve have in common: their machine is fed, what it asks is answered, and somebody logs in.

Others have their turn after each command, however many came in one packet (T-DOS-08), and replies that nobody fetches do not pile
up (T-DOS-06).
"""

import abc
import asyncio
import enum
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, Protocol, TypeVar

import structlog

from mailward.access.connection import Connection
from mailward.access.threads import Threads
from mailward.api.logins import LoginProtocol
from mailward.auth.exchange import Accepted, Authenticator, Challenge, Exchange, LoginPeer, Refused, Step
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.protocol.events import CommandCompleted, SaslAsked, SaslResponse, TlsAsked

T = TypeVar("T")
EventT = TypeVar("EventT")
AskedT = TypeVar("AskedT", covariant=True)

_FLUSH_OCTETS = 32 * 1024
"""Replies to pipelined commands leave together, so many octets at a time."""


class Machine(Protocol[AskedT]):
    """A server without I/O; see `protocol.pop3.server` and `protocol.managesieve.server`."""

    @property
    def fault(self) -> enum.Enum | None: ...

    @property
    def is_closed(self) -> bool: ...

    @property
    def is_within_command(self) -> bool: ...

    @property
    def to_send_octets(self) -> int: ...

    def data_to_send(self) -> bytes: ...

    def receive_data(self, octets: bytes) -> None: ...

    def next_event(self) -> CommandCompleted | AskedT | None: ...

    def challenge(self, octets: bytes) -> None: ...

    def refuse(self, text: str, code: str = "") -> None: ...

    def tls_started(self) -> None: ...


class MachineSession(abc.ABC, Generic[EventT]):
    """One client. `run` serves it to the end. protocol: its name, for logs and logins. refusals: text and code for a login that
    is refused, by reason."""

    protocol: ClassVar[LoginProtocol]
    refusals: ClassVar[Mapping[str, tuple[str, str]]]

    def __init__(
        self, machine: Machine[EventT], connection: Connection, peer_ip: str, authenticator: Authenticator, threads: Threads
    ) -> None:
        self._machine = machine
        self._connection = connection
        self._peer_ip = peer_ip
        self._authenticator = authenticator
        self._threads = threads
        self._exchange: Exchange | None = None
        self._goodbye: str | None = None
        self._log = structlog.get_logger(f"mailward.{self.protocol}")
        self.identity: Identity | None = None
        self.tallies: dict[str, int] = {}

    @property
    def ended_by(self) -> str:
        """Why the session ended, in plain words; "" where the client is gone without a word."""
        if self._goodbye is not None:
            return self._goodbye
        if self._machine.fault is not None:
            return str(self._machine.fault.value)
        return "logged out" if self._machine.is_closed else ""

    @property
    def account(self) -> AccountId | None:
        return None if self.identity is None else self.identity.account

    def say_goodbye(self, text: str) -> None:
        """End behind the command under way."""
        self._goodbye = text

    async def run(self) -> None:
        """Serve until the client or we end it."""
        machine = self._machine
        try:
            while not machine.is_closed and self._goodbye is None:
                event = machine.next_event()
                if event is None:
                    await self._flush()
                    octets = await self._connection.receive(within_command=machine.is_within_command)
                    if not octets:
                        return
                    machine.receive_data(octets)
                    continue
                if not isinstance(event, CommandCompleted):
                    await self._answer(event)
                if machine.to_send_octets >= _FLUSH_OCTETS:
                    await self._flush()
                await asyncio.sleep(0)
        except TimeoutError:
            if self._goodbye is None:
                self._goodbye = "Nothing was heard for too long"
        finally:
            if machine.fault is not None:
                self._log.warning("peer fault", fault=machine.fault.name, peer=self._peer_ip, account=self.account)
            self._end()
        if self._goodbye is not None:
            self._say_bye(self._goodbye)
        await self._flush()

    @abc.abstractmethod
    async def _answer(self, event: EventT) -> None:
        """Do what was asked, and tell the machine how it went."""

    @abc.abstractmethod
    async def _let_in(self, identity: Identity) -> None:
        """Somebody has logged in: answer it, and set `identity` where nothing stands in the way."""

    def _end(self) -> None:
        """The session is over, whatever ended it."""

    def _say_bye(self, text: str) -> None:
        """Say goodbye, where the protocol has words for that."""

    async def _negotiate(self, event: TlsAsked | SaslAsked | SaslResponse) -> None:
        """TLS and SASL (RFC 4422), which both protocols have."""
        match event:
            case TlsAsked():
                await self._flush()
                await self._connection.start_tls()
                self._machine.tls_started()
            case SaslAsked(mechanism, response):
                self._exchange = self._authenticator.begin(self._peer, mechanism)
                await self._answer_step(await self._exchange.step(response))
            case SaslResponse(response):
                assert self._exchange is not None, "the machine reads a response behind a challenge only"
                await self._answer_step(await self._exchange.step(response))

    @property
    def _peer(self) -> LoginPeer:
        """Who would log in."""
        return LoginPeer(self.protocol, self._connection.listener, self._peer_ip, self._connection.tls)

    async def _answer_step(self, step: Step) -> None:
        """Tell the client what a step of an exchange led to."""
        if not isinstance(step, Challenge):
            self._exchange = None
        match step:
            case Challenge(octets):
                self._machine.challenge(octets)
            case Accepted(identity):
                await self._let_in(identity)
            case Refused(reason):
                self._machine.refuse(*self.refusals[reason])

    async def _flush(self) -> None:
        octets = self._machine.data_to_send()
        if octets:
            await self._connection.send(octets)

    async def _blocking(self, function: Callable[[], T]) -> T:
        """Run what blocks in a thread."""
        return await self._threads.run(self.account, function)
