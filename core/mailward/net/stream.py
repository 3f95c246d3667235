"""What IMAP, POP3 and ManageSieve on sockets share: octets to and from sessions, TLS, deadlines, how many clients there may be.

No command is known here. A protocol's listener says how a session begins and what a client that is one too many is told.
"""

import abc
import asyncio
import socket
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, cast

import structlog

from mailward.access.connection import Connection
from mailward.api.logins import LoginProtocol
from mailward.formats.network import Network, normal_ip
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.session import TlsFacts
from mailward.net.admission import Admission
from mailward.net.arrival import Arrival
from mailward.net.compression import Deflate
from mailward.net.listening import SocketListener
from mailward.net.patience import Patience, PatienceLimits
from mailward.net.tls import tls_facts

_PATIENCE = PatienceLimits(command_s=120.0, content_s=120.0, data_octets_per_s=1000.0, session_s=3600.0)
"""A telephone keeps to it that sends a message at half the rate of GPRS; who drips does not (T-IMAP-15, T-DOS-01). Nobody takes
longer than an hour for one command: what has come of a message takes the room of all."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """One listener. login_s: from the connection until somebody is logged in; idle_s: the longest silence afterwards.
    patience: with a command that has begun to come.

    buffer_octets: input kept while a command is carried out. output_octets: unsent output before we wait for the client.
    stranger_octets: of either, before somebody is logged in (T-DOS-06).
    proxies: as in `SocketListener`.
    """

    listener: str
    idle_s: float
    implicit_tls: bool = False
    login_s: float = 60.0
    patience: PatienceLimits = _PATIENCE
    handshake_s: float = 10.0
    write_s: float = 120.0
    buffer_octets: int = 256 * 1024
    output_octets: int = 512 * 1024
    stranger_octets: int = 32 * 1024
    proxies: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """One session in which somebody is logged in. user: the account's address. tls: None in clear. began_at: the connection."""

    account: AccountId
    user: str
    protocol: LoginProtocol
    peer_ip: str
    tls: TlsFacts | None
    began_at: datetime


class Session(Protocol):
    """One client's conversation."""

    @property
    def identity(self) -> Identity | None:
        """Who has logged in, and by what secret."""
        ...

    @property
    def account(self) -> AccountId | None:
        """Whose mail it is, once somebody has logged in."""
        ...

    @property
    def is_logged_in(self) -> bool:
        """Between login and logout."""
        ...

    @property
    def ended_by(self) -> str:
        """Why it ended, in plain words; "" where the client is gone without a word."""
        ...

    @property
    def tallies(self) -> Mapping[str, int]:
        """How much was done in it, by the words that the log has for that."""
        ...

    async def run(self) -> None:
        """Serve until the client or we end it. The connection is closed behind it."""
        ...

    def say_goodbye(self, text: str) -> None:
        """End behind the command under way, or now when none is."""
        ...


class StreamConnection(asyncio.Protocol):
    """One client's socket; see `access.connection.Connection`."""

    def __init__(self, owner: "StreamListener", proxied_ip: str | None = None) -> None:
        self._owner = owner
        self._proxied_ip = proxied_ip
        self._settings = owner.settings
        self._transport: asyncio.Transport | None = None
        self._inbox: list[bytes] = []
        self._inbox_octets = 0
        self._paused = False
        self._ended = False
        self._interrupted = False
        self._secure = owner.settings.implicit_tls
        self._is_narrow = True
        """Output is limited as for a stranger."""
        self._login_until = 0.0
        self._patience: Patience | None = None
        """With the command that comes in; None between commands."""
        self._arrived = Arrival()
        self._writable = asyncio.Event()
        self._writable.set()
        self._deflate: Deflate | None = None
        self.session: Session | None = None
        self.began_at = datetime.now(UTC)
        self.came_octets = self.left_octets = 0
        """By the wire, but for what TLS adds."""

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
        if self.session is None:  # not again after STARTTLS
            self._login_until = asyncio.get_running_loop().time() + self._settings.login_s
            self._owner.start_session(self)

    def data_received(self, data: bytes) -> None:
        self._inbox.append(data)
        self._inbox_octets += len(data)
        self.came_octets += len(data)
        most_octets = self._settings.buffer_octets if self._is_known else self._settings.stranger_octets
        if self._inbox_octets >= most_octets and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._arrived.tell()

    def eof_received(self) -> bool | None:
        self._ended = True
        self._arrived.tell()
        return not self._secure

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._arrived.tell()
        self._arrived.close()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- access.connection.Connection ---

    @property
    def listener(self) -> str:
        return self._settings.listener

    @property
    def tls(self) -> TlsFacts | None:
        return tls_facts(self._transport) if self._transport is not None else None

    @property
    def is_secure(self) -> bool:
        return self._secure

    @property
    def _is_known(self) -> bool:
        """Somebody is logged in."""
        return self.session is not None and self.session.is_logged_in

    @property
    def can_start_tls(self) -> bool:
        return not self._secure and self._owner.tls_context is not None

    async def send(self, octets: bytes) -> None:
        transport = self._open()
        if self._is_narrow and self._is_known:
            self._is_narrow = False
            transport.set_write_buffer_limits(high=self._settings.output_octets)
        written = octets if self._deflate is None else self._deflate.write(octets)
        self.left_octets += len(written)
        transport.write(written)
        if not self._writable.is_set():
            until = asyncio.get_running_loop().time() + self._settings.write_s
            async with asyncio.timeout_at(min(until, self._login_until) if self._is_narrow else until):
                await self._writable.wait()
            self._open()

    async def receive(self, *, within_command: bool = False) -> bytes:
        if not within_command:
            self._patience = None
        else:
            if self._patience is None:
                self._patience = Patience(self._settings.patience, asyncio.get_running_loop().time())
            self._acknowledge()
        if self._deflate is None:
            return await self._received()
        await asyncio.sleep(0)  # one packet may become a thousand pieces, and others have their turn between them
        while not (octets := self._deflate.read()):
            compressed = await self._received()
            if not compressed:
                return b""
            self._deflate.feed(compressed)
        return octets

    def _acknowledge(self) -> None:
        """At once what has come of a command.

        Many clients write a literal and its line end by two calls, and their kernel keeps the second until the first is
        acknowledged (Nagle's algorithm). Ours would wait 40 ms for an answer to send that along with.
        """
        if self._transport is not None and (connection := self._transport.get_extra_info("socket")) is not None:
            with suppress(OSError):  # it is gone
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    async def _received(self) -> bytes:
        until = self._wait_until()  # also where nothing is waited for: how long an answer took is no silence of the client
        if not self._inbox and not self._ended and not self._interrupted:
            await self._arrived.wait(until)
        if self._interrupted:
            raise TimeoutError
        octets = b"".join(self._inbox)
        if self._patience is not None:
            self._patience.octets_came(len(octets), asyncio.get_running_loop().time())
        self._inbox.clear()
        self._inbox_octets = 0
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return octets

    def _wait_until(self) -> float:
        """By the loop's clock."""
        if not self._is_known:
            return self._login_until  # counted from the beginning: octets that trickle in do not prolong it
        now = asyncio.get_running_loop().time()
        if self._patience is None:
            return now + self._settings.idle_s
        self._patience.expect_content(now, hurried=False)
        return self._patience.deadline

    async def start_tls(self) -> None:
        transport, context = self._open(), self._owner.tls_context
        assert context is not None
        if self._inbox:
            self._owner.log.warning("peer fault", fault="TLS_INJECTION", peer=self.peer_ip)
            transport.abort()
            raise ConnectionResetError("clear text followed the command that begins TLS")
        # Nothing is awaited between the look above and the moment start_tls takes the socket over.
        secure = await asyncio.get_running_loop().start_tls(
            transport, self, context, server_side=True, ssl_handshake_timeout=self._settings.handshake_s
        )
        if secure is None:
            raise ConnectionResetError("gone in the handshake")
        self._transport = secure
        self.limit_output()
        self._secure = True

    def start_compression(self) -> None:
        self._deflate = Deflate()

    # --- for the listener ---

    @property
    def peer_ip(self) -> str | None:
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return (self._proxied_ip or normal_ip(name[0])) if name else None

    def close(self) -> None:
        self._inbox.clear()
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(self._settings.handshake_s, self._transport.abort)

    def interrupt(self) -> None:
        """Let `receive` end with TimeoutError, now and from now on."""
        self._interrupted = True
        self._arrived.tell()

    @property
    def is_interrupted(self) -> bool:
        return self._interrupted

    def abort(self) -> None:
        """Now, whatever the session does."""
        if self._transport is not None:
            self._transport.abort()

    def limit_output(self) -> None:
        """As for a stranger."""
        self._open().set_write_buffer_limits(high=self._settings.stranger_octets)

    def _open(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        return self._transport


class StreamListener(SocketListener):
    """One listening socket and its sessions. protocol: its name in the log. too_many: the last words to a client that is not
    admitted."""

    protocol: LoginProtocol
    too_many: bytes

    def __init__(self, settings: StreamSettings, tls_context: ssl.SSLContext | None, admission: Admission, log_name: str) -> None:
        super().__init__(
            tls_context,
            admission,
            implicit_tls=settings.implicit_tls,
            handshake_s=settings.handshake_s,
            proxies=settings.proxies,
        )
        self.settings = settings
        self.log = structlog.get_logger(log_name)
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._connections: set[StreamConnection] = set()

    @abc.abstractmethod
    def open_session(self, connection: Connection, peer_ip: str) -> Session:
        """A session for a client that has just connected."""

    def make_connection(self, peer_ip: str | None = None) -> StreamConnection:
        return StreamConnection(self, peer_ip)

    @property
    def sessions(self) -> tuple[asyncio.Task[None], ...]:
        """Of clients that are connected."""
        return tuple(self._sessions.values())

    @property
    def identities(self) -> frozenset[Identity]:
        """Whose sessions live."""
        return frozenset(session.identity for session in self._sessions if session.identity is not None)

    @property
    def logged_in(self) -> Sequence[LoggedIn]:
        """Who is, in the order in which they connected."""
        connections = sorted(self._connections, key=lambda connection: connection.began_at)
        found = [(one, one.session.identity) for one in connections if one.session is not None and one.session.is_logged_in]
        return [
            LoggedIn(identity.account, identity.user, self.protocol, one.peer_ip or "", one.tls, one.began_at)
            for one, identity in found
            if identity is not None
        ]

    def end_sessions_of(self, revoked: Collection[Identity]) -> None:
        """End the sessions that were opened so: behind the command under way, and with that when it is called again."""
        self._end_sessions(lambda identity: identity in revoked, "The password of this session is no longer good")

    def end_sessions_of_account(self, account: AccountId) -> int:
        """The same of an account's; how many."""
        return self._end_sessions(lambda identity: identity.account == account, "The administrator ends this session")

    def _end_sessions(self, is_meant: Callable[[Identity], bool], text: str) -> int:
        ended = 0
        for connection in tuple(self._connections):
            session = connection.session
            if session is None or session.identity is None or not is_meant(session.identity):
                continue
            ended += 1
            if connection.is_interrupted:
                connection.abort()
            else:
                session.say_goodbye(text)
                connection.interrupt()
        return ended

    def start_session(self, connection: StreamConnection) -> None:
        peer = connection.peer_ip
        if peer is None:
            connection.close()
            return
        session = connection.session = self.open_session(connection, peer)
        task = asyncio.get_running_loop().create_task(self._serve(session, connection, peer))
        self._sessions[session] = task
        task.add_done_callback(lambda _: self._sessions.pop(session, None))

    async def _serve(self, session: Session, connection: StreamConnection, peer: str) -> None:
        excess = self.admission.enter(peer)
        if excess is not None:
            try:
                await connection.send(self.too_many)
            except (ConnectionError, TimeoutError):
                self.log.info("lost connection", peer=peer)
            connection.close()
            return
        begun_at, how = asyncio.get_running_loop().time(), "connection closed by the client"
        try:
            connection.limit_output()
            self._connections.add(connection)
            await session.run()
        except (ConnectionError, ssl.SSLError, TimeoutError):
            how = "lost connection"
            if session.identity is None:
                self.log.info("lost connection", peer=peer)
        except Exception:
            how = "unforeseen failure"
            self.log.exception("unforeseen failure", peer=peer, account=session.account)
        finally:
            self._note_end(session, connection, peer, session.ended_by or how, asyncio.get_running_loop().time() - begun_at)
            self._connections.discard(connection)
            self.admission.leave(peer)
            connection.close()

    def _note_end(self, session: Session, connection: StreamConnection, peer: str, why: str, lasted_s: float) -> None:
        """Of who was logged in. Strangers who come and go would fill the log (T-DOS-15)."""
        if session.identity is None:
            return
        self.log.info(
            "session ended",
            account=session.identity.account,
            user=session.identity.user,
            peer=peer,
            protocol=self.protocol,
            why=why,
            lasted_s=round(lasted_s, 1),
            in_octets=connection.came_octets,
            out_octets=connection.left_octets,
            **session.tallies,
        )

    async def close(self, grace_s: float = 10.0) -> None:
        """Stop accepting and say goodbye to everybody; commands under way are finished."""
        self.stop_accepting()
        for session in tuple(self._sessions):
            session.say_goodbye("Server is shutting down")
        for connection in tuple(self._connections):
            connection.interrupt()
        tasks = self.sessions
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
