"""One client's socket: octets to and from its session, TLS, compression, and how long it is waited for."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol, cast

from structlog.typing import FilteringBoundLogger

from mailward.formats.network import normal_ip
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.session import TlsFacts
from mailward.net.arrival import Arrival
from mailward.net.compression import Deflate
from mailward.net.patience import Patience
from mailward.net.stream_settings import StreamSettings
from mailward.net.tls import tls_facts


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


class Owner(Protocol):
    """Who listens: what a connection needs of `net.stream.StreamListener`."""

    @property
    def settings(self) -> StreamSettings: ...

    @property
    def tls_context(self) -> ssl.SSLContext | None: ...

    @property
    def log(self) -> FilteringBoundLogger: ...

    def start_session(self, connection: "StreamConnection") -> None:
        """A client has connected."""
        ...


class StreamConnection(asyncio.Protocol):
    """One client's socket; see `access.connection.Connection`."""

    def __init__(self, owner: Owner, proxied_ip: str | None = None) -> None:
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
