"""One connection to a next hop: octets go between wire and machine, each reply has its time (RFC 5321 section 4.5.3.2)."""

import asyncio
import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from mailward.delivery.ports import HostFailed, HostFault
from mailward.delivery.route import Target
from mailward.model.address import ForwardPath
from mailward.model.session import TlsFacts
from mailward.model.tls import ANY_PEER, TlsLevel, TlsRequirement
from mailward.net.tls import tls_facts
from mailward.net.wire import Wire
from mailward.protocol.smtp.client import SmtpClient
from mailward.protocol.smtp.client_states import Event, Fault, State, Step, TransactionEnded
from mailward.protocol.smtp.outgoing import Outcome, OutgoingMail, wants_seven_bits


@dataclass(frozen=True, slots=True)
class Timeouts:
    """command_s: for EHLO, STARTTLS, MAIL, RCPT and RSET. block_s: for room to write the next piece of a message.

    transaction_s: for one message in all, however slowly the server answers. goodbye_s: for QUIT, which nothing depends on.
    """

    connect_s: float = 30.0
    greeting_s: float = 300.0
    command_s: float = 300.0
    handshake_s: float = 60.0
    data_s: float = 120.0
    block_s: float = 180.0
    message_s: float = 600.0
    transaction_s: float = 3600.0
    goodbye_s: float = 2.0

    def of(self, step: Step | None) -> float:
        """For the reply that is due."""
        match step:
            case Step.GREETING:
                return self.greeting_s
            case Step.DATA:
                return self.data_s
            case Step.MESSAGE:
                return self.message_s
            case Step.QUIT:
                return self.goodbye_s
        return self.command_s


class SmtpHop:
    """Implements `delivery.ports.Hop`. left: called when it is over, perhaps more than once."""

    def __init__(
        self, target: Target, domain: str, wire: Wire, hostname: str, timeouts: Timeouts, left: Callable[[], None]
    ) -> None:
        self.target = target
        self.domain = domain
        self.level = TlsLevel.OPPORTUNISTIC
        self.requirement: TlsRequirement = ANY_PEER
        self.tls: TlsFacts | None = None
        self.setback: HostFailed | None = None
        self.unproven: str | None = None
        self.machine = SmtpClient(hostname, is_lmtp=target.is_lmtp)
        self._wire = wire
        self._timeouts = timeouts
        self._left = left

    @property
    def sending_ip(self) -> str:
        transport = self._wire.transport
        name = transport.get_extra_info("sockname") if transport is not None else None
        return str(name[0]) if name else ""

    @property
    def offers_requiretls(self) -> bool:
        return self.tls is not None and self.machine.extensions.requiretls

    @property
    def is_usable(self) -> bool:
        return self.machine.state is State.READY and not self._wire.ended and not self._wire

    @property
    def may_have_arrived(self) -> bool:
        return self.machine.is_message_sent

    def wants_seven_bits(self, mail: OutgoingMail) -> bool:
        return wants_seven_bits(mail, self.machine.extensions)

    async def converse(self, until: float = math.inf) -> list[Event]:
        """Write what the machine wants and read until it tells something. until: time of the loop at which that must end."""
        loop = asyncio.get_running_loop()
        machine, wire = self.machine, self._wire
        since, replies = loop.time(), machine.replies
        try:
            while True:
                if wire:
                    if events := machine.receive_data(wire.take()):
                        return events
                    if machine.replies != replies:
                        since, replies = loop.time(), machine.replies
                elif wire.ended:
                    return machine.lost()
                elif octets := machine.data_to_send():
                    await wire.write(octets, min(until, loop.time() + self._timeouts.block_s))
                    since = loop.time()
                else:
                    await wire.readable(min(until, since + self._timeouts.of(machine.awaits)))
        except TimeoutError:
            return machine.lost(Fault.TIMED_OUT)

    async def send(self, mail: OutgoingMail) -> tuple[Outcome, ...]:
        return await self._ended(self.machine.send(mail))

    async def ask(self, forward_path: ForwardPath) -> Outcome:
        (outcome,) = await self._ended(self.machine.ask(forward_path))
        return outcome

    async def _ended(self, events: list[Event]) -> tuple[Outcome, ...]:
        """Go on until the transaction that these events are of has ended."""
        until = asyncio.get_running_loop().time() + self._timeouts.transaction_s
        try:
            while not events:
                events = await self.converse(until)
        finally:
            if self.machine.state is not State.READY:
                self.abort()
        (ended,) = (event for event in events if isinstance(event, TransactionEnded))
        return ended.outcomes

    async def shake_hands(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """TLS after the 220, or at once. Raises OSError (so ssl.SSLError), TimeoutError or HostFailed; then it is over."""
        old, new = self._wire, Wire()
        if old or old.transport is None:
            raise HostFailed(HostFault.UNREACHABLE, Fault.INJECTION.value)
        loop = asyncio.get_running_loop()
        limit_s = self._timeouts.handshake_s
        async with asyncio.timeout(limit_s + 1):
            transport = await loop.start_tls(
                old.transport, new, context, server_hostname=server_name, ssl_handshake_timeout=limit_s
            )
        if old:
            raise HostFailed(HostFault.UNREACHABLE, Fault.INJECTION.value)
        if transport is None:
            raise ConnectionResetError("the connection was lost")
        new.connection_made(transport)
        self._wire = new
        self.tls = tls_facts(transport)
        if self.machine.state is State.HANDSHAKE:
            self.machine.tls_started()

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """For a look at the certificate."""
        transport = self._wire.transport
        found: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport is not None else None
        return found

    async def close(self) -> None:
        try:
            if self.is_usable:
                self.machine.quit()
                await self.converse()
        finally:
            self.abort()

    def abort(self) -> None:
        """End the connection now."""
        self._wire.abort()
        self._left()
