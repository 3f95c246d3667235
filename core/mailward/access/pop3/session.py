"""One POP3 session: what the machine asks, answered from a maildrop and the one login chain.

Deletions and \\Seen are carried out by QUIT and by nothing else: a client that is lost has changed nothing (RFC 1939
section 6, T-POP-03). The reply to QUIT is sent behind the commit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from mailward.access.connection import Connection
from mailward.access.deeds import doer, note_expunged
from mailward.access.pop3.leases import Lease, Leases
from mailward.access.pop3.maildrop import Maildrop, NoSuchMessageError
from mailward.access.session import MachineSession
from mailward.access.threads import Threads
from mailward.auth.exchange import Authenticator, password_login
from mailward.formats.mailbox_names import INBOX
from mailward.model.errors import StorageError
from mailward.model.identity import Identity
from mailward.protocol.events import SaslAsked, SaslResponse, TlsAsked
from mailward.protocol.pop3.events import (
    DeleAsked,
    Event,
    ListAsked,
    PassAsked,
    RetrAsked,
    RsetAsked,
    StatAsked,
    TopAsked,
    UidlAsked,
    UpdateAsked,
)
from mailward.protocol.pop3.server import Pop3Server
from mailward.protocol.pop3.states import State
from mailward.store.base import MailStore
from mailward.store.refusals import StoreRefusal

_PIECE_OCTETS = 32 * 1024
"""Of a multi-line response that waits to be sent."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What all sessions of a process share. marks_seen: mail that was retrieved is seen from then on, in IMAP too."""

    store: MailStore
    authenticator: Authenticator
    leases: Leases
    hostname: str
    marks_seen: bool = True
    threads: Threads = field(default_factory=Threads)


class Session(MachineSession[Event]):
    """One client. It is not told of a goodbye: POP3 has no words for that (RFC 1939 section 3)."""

    protocol = "pop3"
    refusals: ClassVar = {
        "failed": ("Authentication failed", "AUTH"),
        "malformed": ("The response is not of the mechanism", "AUTH"),
        "unavailable": ("Logins cannot be checked now, please try again later", "SYS/TEMP"),
    }
    _machine: Pop3Server

    def __init__(self, desk: Desk, connection: Connection, peer_ip: str) -> None:
        machine = Pop3Server(
            desk.hostname,
            desk.authenticator.mechanisms,
            is_secure=connection.is_secure,
            offer_stls=connection.can_start_tls,
        )
        super().__init__(machine, connection, peer_ip, desk.authenticator, desk.threads)
        self._desk = desk
        self.tallies = {"retrieved": 0, "expunged": 0}
        self._drop: Maildrop | None = None
        self._lease: Lease | None = None

    @property
    def is_logged_in(self) -> bool:
        return self._machine.state is State.TRANSACTION

    def _end(self) -> None:
        self._release()

    async def _answer(self, event: Event) -> None:
        machine = self._machine
        try:
            match event:
                case TlsAsked() | SaslAsked() | SaslResponse():
                    await self._negotiate(event)
                case PassAsked(name, password):
                    await self._answer_step(await password_login(self._authenticator, self._peer, name, password))
                case UpdateAsked():
                    self._note_expunged(await self._blocking(self._maildrop.update))
                    self._release()  # before the reply: the client may come back at once
                    machine.accept("Until next time")
                case _:
                    await self._in_transaction(event)
        except NoSuchMessageError:
            machine.refuse("There is no such message")
        except (StorageError, StoreRefusal) as error:
            self._log.error("storage error", account=self.account, command=type(event).__name__, error=str(error))
            what = "Nothing was deleted, please try again later" if isinstance(event, UpdateAsked) else "Please try again later"
            machine.refuse(what, "SYS/TEMP")

    def _note_expunged(self, messages: int) -> None:
        assert self.identity is not None, "the machine asks for an update behind a login only"
        note_expunged(self._log, doer(self.identity, self._peer_ip), self.tallies, INBOX, messages)

    async def _in_transaction(self, event: Event) -> None:
        machine, drop, utf8 = self._machine, self._maildrop, self._machine.speaks_utf8
        match event:
            case StatAsked():
                totals = drop.totals(utf8=utf8)
                machine.accept(f"{totals.messages} {totals.octets}")
            case ListAsked(None):
                await self._send_lines(self._totals(), drop.sizes(utf8=utf8))
            case ListAsked(int(number)):
                machine.accept(f"{number} {drop.size_octets(number, utf8=utf8)}")
            case UidlAsked(None):
                await self._send_lines("Unique-ids follow", drop.unique_ids())
            case UidlAsked(int(number)):
                machine.accept(f"{number} {await self._blocking(lambda: drop.unique_id(number))}")
            case RetrAsked(number):
                await self._send_message(f"{drop.size_octets(number, utf8=utf8)} octets", drop.message(number, utf8=utf8), None)
                self.tallies["retrieved"] += 1
            case TopAsked(number, lines):
                await self._send_message("Top of the message follows", drop.header_and_body(number, utf8=utf8), lines)
            case DeleAsked(number):
                drop.delete(number)
                machine.accept("Marked as deleted")
            case RsetAsked():
                drop.reset()
                machine.accept(self._totals())

    # --- the maildrop ---

    async def _let_in(self, identity: Identity) -> None:
        """The maildrop, if nobody else has it."""
        account = identity.account
        lease = await self._threads.run(account, lambda: self._desk.leases.take(account))
        if lease is None:
            self._machine.refuse("Another session has this mailbox open", "IN-USE")
            return
        self._lease = lease
        try:
            self._drop = await self._threads.run(
                account, lambda: Maildrop(self._desk.store.open(account), marks_seen=self._desk.marks_seen)
            )
        except (StorageError, StoreRefusal):
            self._release()
            raise
        self.identity = identity
        self._machine.accept(self._totals())

    @property
    def _maildrop(self) -> Maildrop:
        assert self._drop is not None, "the machine asks for messages in TRANSACTION only"
        return self._drop

    def _totals(self) -> str:
        """For people."""
        totals = self._maildrop.totals(utf8=self._machine.speaks_utf8)
        return f"{totals.messages} messages, {totals.octets} octets"

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.release()

    # --- multi-line responses ---

    async def _send_lines(self, text: str, pieces: Iterator[bytes]) -> None:
        self._machine.begin_lines(text)
        await self._send_pieces(pieces, await self._next(pieces))

    async def _send_message(self, text: str, pieces: Iterator[bytes], body_lines: int | None) -> None:
        """The first octets are read before +OK is written, so that what cannot be read gets -ERR."""
        first = await self._next(pieces)
        self._machine.begin_message(text, body_lines)
        try:
            await self._send_pieces(pieces, first)
        except StorageError as error:
            self._log.error("storage error", account=self.account, error=str(error))
            raise ConnectionAbortedError("a message that has begun cannot be finished") from error

    async def _send_pieces(self, pieces: Iterator[bytes], piece: bytes | None) -> None:
        machine = self._machine
        while piece is not None and machine.more(piece):
            if machine.to_send_octets >= _PIECE_OCTETS:
                await self._flush()
            piece = await self._next(pieces)
        machine.end()

    async def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        return await self._blocking(lambda: next(pieces, None))
