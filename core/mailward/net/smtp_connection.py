"""One SMTP connection: read, feed the machine, pass its events to reception, write. Nothing is decided here but time and space.

aiosmtpd's `SMTP` carries connection, session and STARTTLS. Its command loop, its timer and its reaction to a lost client are
replaced: our machine wants octets with their line ends, deadlines depend on what is awaited, and a client that hangs up
behind its final dot must not cancel a commit. tests/integration/test_aiosmtpd_contract.py holds what we rely on.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import structlog
from aiosmtpd.smtp import SMTP, TLSSetupException

from mailward.formats.network import Network, is_in, normal_ip
from mailward.intake.reception import Reception
from mailward.model.ids import new_session_id
from mailward.model.replies import LOCAL_ERROR, NO_ROOM, OK, TIMED_OUT, TOO_MANY_CONNECTIONS
from mailward.model.reply import Reply
from mailward.model.session import Role, Session
from mailward.net.admission import Admission
from mailward.net.patience import Patience, PatienceLimits
from mailward.net.tls import tls_facts
from mailward.net.tracing import ConnectionTrace, Traces
from mailward.protocol.smtp.events import Answer, Asked, Event, TlsAsked, XclientAsked
from mailward.protocol.smtp.server import SmtpServer
from mailward.protocol.smtp.states import Limits

log = structlog.get_logger("mailward.smtp")


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """One listener. tarpit_s: what a stranger who makes error after error waits for each reply.

    mechanisms: of SASL, on submission listeners; None where nobody can log in. buffer_octets: input kept while a decision is
    awaited; past it, reading stops. implicit_tls: TLS from the first octet. proxies: as in `SocketListener`. lmtp: the protocol.
    xclient_from: who may say by XCLIENT whose mail comes. greet_delay_s: how late strangers are greeted, so that those who cannot
    wait show themselves.
    """

    hostname: str
    listener: str = "mx"
    role: Role = Role.MX
    mechanisms: tuple[str, ...] | None = None
    limits: Limits = field(default_factory=Limits)
    implicit_tls: bool = False
    lmtp: bool = False
    patience: PatienceLimits = field(default_factory=PatienceLimits)
    handshake_s: float = 10.0
    tarpit_s: float = 1.0
    buffer_octets: int = 64 * 1024
    proxies: tuple[Network, ...] = ()
    xclient_from: tuple[Network, ...] = ()
    greet_delay_s: float = 0.0


class Listener(Protocol):
    """What a connection needs of its listener. texts: the admin's words for replies. connections: all that are open."""

    settings: SmtpSettings
    reception_factory: Callable[[Session], Reception]
    tls_context: ssl.SSLContext | None
    admission: Admission
    traces: Traces
    texts: Callable[[Role], Mapping[str, str]]
    connections: "dict[SmtpConnection, asyncio.Task[None]]"


class _Unsearched:
    """aiosmtpd searches itself and its handler for commands and AUTH mechanisms, at each connection; ours are in the machine."""

    def __dir__(self) -> Iterable[str]:
        return ()


_NO_HANDLER = _Unsearched()


class SmtpConnection(_Unsearched, SMTP):
    """One client."""

    def __init__(self, listener: Listener, proxied_ip: str | None = None) -> None:
        settings = listener.settings
        super().__init__(
            _NO_HANDLER,
            hostname=settings.hostname,
            ident="ESMTP",
            data_size_limit=None,
            enable_SMTPUTF8=True,
            tls_context=listener.tls_context,
            loop=asyncio.get_running_loop(),
        )
        self._listener = listener
        self._settings = settings
        self._proxied_ip = proxied_ip
        self._counted_ip: str | None = None  # whose connection it counts as
        self._machine = SmtpServer(
            settings.hostname,
            settings.limits,
            offer_starttls=listener.tls_context is not None and not settings.implicit_tls,
            tls=settings.implicit_tls,
            mechanisms=settings.mechanisms,
            lmtp=settings.lmtp,
            opened_at=datetime.now(UTC),
        )
        self._machine.texts = listener.texts(settings.role)
        self._reception: Reception | None = None
        self._inbox: list[bytes] = []
        self._inbox_octets = 0
        self._reading_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False  # the client sent its last octet, or is gone
        self._last_reply: Reply | None = None  # set from outside: say this and end
        self._plain_is_over = False
        self._over_tls = settings.implicit_tls
        self._patience = Patience(settings.patience, self.loop.time())
        self._trace: ConnectionTrace | None = None

    # --- what asyncio and aiosmtpd call ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is not None:
            self._over_tls = True
        super().connection_made(transport)
        if self._handler_coroutine is not None:
            self._listener.connections[self] = self._handler_coroutine

    def data_received(self, data: bytes) -> None:
        if self._plain_is_over and not self._over_tls:
            log.warning("peer fault", fault="TLS_INJECTION", peer=self._peer_ip())
            self._abort()
            return
        self._inbox.append(data)
        self._inbox_octets += len(data)
        if self._inbox_octets >= self._settings.buffer_octets and not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()  # type: ignore[attr-defined]
        self._wake()

    def eof_received(self) -> bool | None:
        self._ended = True
        self._wake()
        return not self._over_tls  # stay open for the replies to what came before

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        if self._original_transport is not None:
            self._original_transport.close()
        # Past aiosmtpd, which would cancel the handler, be it in the middle of a commit.
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self._wake()

    def _reset_timeout(self, duration: float | None = None) -> None:
        """aiosmtpd's timer: one of ours that looks at the deadline, and is not moved with every command."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._timeout_handle = self.loop.call_at(self._patience.deadline, self._look_at_deadline)

    # --- deadlines ---

    def _look_at_deadline(self) -> None:
        now, deadline = self.loop.time(), self._patience.deadline
        if self._waiter is not None and now >= deadline:
            self.say_and_end(TIMED_OUT)
        elif now >= deadline and self._paused:  # type: ignore[attr-defined]
            self._abort()  # the client does not read its replies
            return
        latest = now + self._settings.patience.command_s
        self._timeout_handle = self.loop.call_at(min(max(deadline, now + 0.01), latest), self._look_at_deadline)

    def _expect_input(self) -> None:
        now, machine, patience = self.loop.time(), self._machine, self._patience
        hurried = self._listener.admission.is_stressed and not self._is_known
        if machine.reads_content:
            patience.expect_content(now, hurried=hurried)
        else:
            patience.expect_command(now, has_begun=machine.buffered_octets > 0, hurried=hurried)
        if self._timeout_handle is not None and patience.deadline < self._timeout_handle.when():
            self._reset_timeout()

    @property
    def _is_known(self) -> bool:
        """Somebody has logged in, or it is a mail server of ours that delivers by LMTP."""
        return self._settings.lmtp or (self._reception is not None and self._reception.session.identity is not None)

    def hurry(self) -> None:
        """Stress has begun: whoever has not logged in and says nothing makes room soon."""
        if not self._is_known:
            self._machine.hurry()
            self._patience.hurry(self.loop.time())
            self._reset_timeout()

    # --- draining ---

    def drain(self) -> None:
        """End with 421 as soon as no transaction is open."""
        self._machine.drain()
        self._wake()

    def say_and_end(self, answer: Reply) -> None:
        """End now, unless a decision is being made: then right behind it."""
        self._last_reply = answer
        self._wake()

    # --- the loop ---

    async def _handle_client(self) -> None:
        peer = self._peer_ip()
        excess = None if peer is None else self._listener.admission.enter(peer)
        self._counted_ip = peer if excess is None else None
        try:
            if excess is not None:
                self._watch(peer or "", "refused")
                self._machine.close(TOO_MANY_CONNECTIONS if excess.source else NO_ROOM)
            elif peer is not None:
                await self._converse(peer)
            await self._flush()
        except ConnectionError:
            log.info("lost connection", peer=peer, after=self._machine.last_verb)
        except Exception:
            log.exception("unforeseen failure", peer=peer, after=self._machine.last_verb)
            self._machine.close(LOCAL_ERROR)
            if not self._writer.is_closing():
                self._writer.write(self._machine.data_to_send())
        finally:
            if self._reception is not None:
                self._reception.end()
            if self._counted_ip is not None:
                self._listener.admission.leave(self._counted_ip)
            self._listener.connections.pop(self, None)
            if self._trace is not None:
                self._trace.notes("closed" if self._machine.is_closed else "the client is gone")
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            self._close()

    async def _converse(self, peer: str) -> None:
        assert self.transport is not None
        settings = self._settings
        session = Session(
            new_session_id(),
            settings.role,
            settings.listener,
            peer,
            datetime.now(UTC),
            tls=tls_facts(self.transport),
            lmtp=settings.lmtp,
            hostname=settings.hostname,
        )
        reception = self._reception = self._listener.reception_factory(session)
        reception.begin()
        self._watch(peer, session.id)
        if self._trace is not None and session.tls is not None:
            self._trace.notes(f"{session.tls.version} {session.tls.cipher}")
        if self._listener.admission.is_stressed and not self._is_known:
            self._machine.hurry()
        self._machine.trust_xclient(trusted=is_in(peer, settings.xclient_from))
        await asyncio.sleep(0)  # what an early talker sent comes in now
        await self._wait_before_greeting(peer)
        if self._inbox:
            self._machine.receive_data(self._take())
        await self._carry_out(reception, self._machine.greet())
        while not self._machine.is_closed:
            octets = await self._receive()
            if self._last_reply is not None:
                self._machine.close(self._last_reply)
            elif octets:
                await self._carry_out(reception, self._machine.receive_data(octets))
            elif self._ended:
                log.info("lost connection", session=session.id, peer=peer, after=self._machine.last_verb)
                return

    async def _wait_before_greeting(self, peer: str) -> None:
        """Until the client cannot wait any longer, at most (T-SMTP-21). Not when places are few: waiting takes one."""
        admission = self._listener.admission
        if not self._settings.greet_delay_s or admission.is_stressed or is_in(peer, admission.limits.exempt):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.greet_delay_s):
                await self._until_woken()

    async def _receive(self) -> bytes:
        """All that came in, b"" when something else is to be looked at: the end, a deadline, draining."""
        if not self._inbox and not self._ended and self._last_reply is None:
            self._expect_input()
            await self._until_woken()
        return self._take()

    async def _until_woken(self) -> None:
        if not self._inbox and not self._ended and self._last_reply is None:
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _take(self) -> bytes:
        octets = self._inbox[0] if len(self._inbox) == 1 else b"".join(self._inbox)
        self._inbox.clear()
        self._inbox_octets = 0
        if self._reading_paused and self.transport is not None:
            self._reading_paused = False
            self.transport.resume_reading()  # type: ignore[attr-defined]
        self._patience.octets_came(len(octets), self.loop.time())
        return octets

    async def _carry_out(self, reception: Reception, events: list[Event]) -> None:
        while events:
            last = events[-1]
            asked = last if isinstance(last, Asked) else None
            for event in events if asked is None else events[:-1]:
                reception.inform(event)
            if asked is None:
                break
            if isinstance(asked, TlsAsked):
                events = await self._start_tls(reception)
                continue
            answer: Answer
            if isinstance(asked, XclientAsked):
                answer = self._client_named(reception, asked)
            else:
                answer = await reception.answer(asked)
            if self._inbox and self._machine.buffered_octets < self._settings.buffer_octets:
                self._machine.receive_data(self._take())
            events = self._machine.decide(answer)
        if self._machine.is_annoying and not self._is_known and self._last_reply is None:
            await asyncio.sleep(self._settings.tarpit_s)
        await self._flush()

    def _client_named(self, reception: Reception, asked: XclientAsked) -> Reply:
        """From now on the connection is the named client's, and counts as that.

        Its right to use XCLIENT among it: proxies that let octets through behind their own XCLIENT would let through the next.
        """
        client_ip, admission = asked.client_ip or reception.session.peer_ip, self._listener.admission
        if self._counted_ip is not None:
            admission.leave(self._counted_ip)
        excess = admission.enter(client_ip)
        self._counted_ip = client_ip if excess is None else None
        if excess is not None:
            return TOO_MANY_CONNECTIONS if excess.source else NO_ROOM
        self._machine.trust_xclient(trusted=asked.client_ip is not None and is_in(client_ip, self._settings.xclient_from))
        reception.client_named(client_ip)
        if admission.is_stressed:
            self._machine.hurry()
        if self._trace is not None:
            self._trace.notes(f"now {client_ip}")
        self._watch(client_ip, reception.session.id)
        return OK

    async def push(self, status: object) -> None:
        """aiosmtpd would answer STARTTLS here; the machine's reply has its enhanced code, and traces show it."""
        self._machine.ready_for_tls()
        await self._flush()

    async def _start_tls(self, reception: Reception) -> list[Event]:
        if self._inbox:
            return self._machine.tls_injected()
        await self._flush()
        self._plain_is_over = True
        try:
            async with asyncio.timeout(self._settings.handshake_s):
                await self.smtp_STARTTLS("")
        except (TLSSetupException, TimeoutError) as error:
            log.info(
                "handshake failed",
                session=reception.session.id,
                peer=reception.session.peer_ip,
                why=repr(error.__cause__ or error),
            )
            if self._trace is not None:
                self._trace.notes("the handshake failed")
            self._abort()
            raise ConnectionResetError("no TLS") from error
        events = self._machine.tls_started()
        facts = tls_facts(self.transport) if self.transport is not None else None
        if facts is None:
            raise ConnectionResetError("gone after the handshake")
        reception.tls_started(facts)
        if self._trace is not None:
            self._trace.notes(f"{facts.version} {facts.cipher}")
        return events

    async def _flush(self) -> None:
        octets = self._machine.data_to_send()
        if octets:
            if self._writer.is_closing():
                raise ConnectionResetError("gone before the reply")  # writing on would be RuntimeError on uvloop
            self._writer.write(octets)
            if self._paused:  # type: ignore[attr-defined]  # the client does not read its replies
                await self._writer.drain()

    # --- small steps ---

    def _watch(self, peer: str, session: str) -> None:
        """Let those see this connection who asked for it."""
        traces = self._listener.traces
        if traces.are_wanted:
            found = traces.watcher(session, peer, self._settings.listener)
            if self._trace is None:
                self._trace = self._machine.watcher = found
            else:  # whoever watches the proxy sees the connection to its end
                self._trace.joined_by(found)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _close(self) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size():  # type: ignore[attr-defined]
            # The last reply waits for a client that may never read it.
            self.loop.call_later(self._settings.handshake_s, self._abort)
        transport.close()

    def _abort(self) -> None:
        transport = self._original_transport or self.transport
        if transport is not None:
            transport.abort()  # type: ignore[attr-defined]

    def _peer_ip(self) -> str | None:
        """None when the client is gone before we looked."""
        name = self.transport.get_extra_info("peername") if self.transport is not None else None
        return None if name is None else self._proxied_ip or normal_ip(name[0])
