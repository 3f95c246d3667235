"""What IMAP, POP3 and ManageSieve on sockets share: sessions from the connection to the goodbye, and how many there may be.

No command is known here. A protocol's listener says how a session begins and what a client that is one too many is told.
"""

import abc
import asyncio
import ssl
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from mailward.access.connection import Connection
from mailward.access.deeds import doer
from mailward.api.logins import LoginProtocol
from mailward.model.decision import utc_text
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.net.admission import Admission
from mailward.net.listening import SocketListener
from mailward.net.stream_connection import Session, StreamConnection
from mailward.net.stream_settings import StreamSettings


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """One session in which somebody is logged in, as it is sent to a command and shown. user: the account's address. tls: the
    version, "" in clear. since: when the connection began, ISO 8601 in UTC."""

    user: str
    account: str
    protocol: str
    peer: str
    tls: str
    since: str


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
            LoggedIn(
                identity.user,
                identity.account,
                self.protocol,
                one.peer_ip or "",
                "" if one.tls is None else one.tls.version,
                utc_text(one.began_at),
            )
            for one, identity in found
            if identity is not None
        ]

    def end_sessions_of(self, revoked: Collection[Identity]) -> None:
        """End the sessions that were opened so: behind the command under way, and with that when it is called again."""
        self._end_sessions(lambda identity: identity in revoked, "The login of this session is no longer good")

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
            **doer(session.identity, peer),
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
