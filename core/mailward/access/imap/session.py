"""One IMAP session: from a received command to its tagged reply. States and dispatch.

The command functions are in the files beside this one, a group each; they get the session and the arguments, write untagged
answers, and return or raise how it ended.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from mailward.access.connection import Connection
from mailward.access.deeds import doer, note_expunged
from mailward.access.imap.capabilities import CAPABILITIES, SAVE_LIMIT
from mailward.access.imap.desk import Desk
from mailward.access.imap.hearing import Hearing
from mailward.access.imap.outcomes import outcome_of
from mailward.access.imap.reach import Reach, Reached
from mailward.access.imap.selected import Selected
from mailward.access.imap.working import No, Progress
from mailward.auth.exchange import LoginPeer
from mailward.model.identity import Identity
from mailward.protocol.imap.arguments import Arguments, BadSyntax, SequenceSet
from mailward.protocol.imap.events import CommandReceived, CommandRefused, LiteralAwaited
from mailward.protocol.imap.framing import Framer
from mailward.protocol.imap.limits import after_login
from mailward.store.refusals import NoSuchMailbox

MAX_BAD_COMMANDS = 20

log = structlog.get_logger("mailward.imap")


class State(enum.Enum):
    """RFC 3501 section 3."""

    NOT_AUTHENTICATED = enum.auto()
    AUTHENTICATED = enum.auto()
    SELECTED = enum.auto()
    LOGOUT = enum.auto()


ONLY_SELECTED = frozenset({State.SELECTED})


class Session(Hearing):
    """One client. `run` serves it to the end."""

    def __init__(
        self,
        desk: Desk,
        connection: Connection,
        peer_ip: str,
        commands: "Mapping[str, Command]",
        capabilities_off: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(desk, connection, capabilities_off)
        self._commands = commands
        self._peer_ip = peer_ip
        self.state = State.NOT_AUTHENTICATED
        self._bad = 0
        self.learning = asyncio.Lock()
        self.ended_by = ""
        """Why it ended, in plain words; "" where the client is gone without a word."""
        self.tallies = {"expunged": 0}
        self.tls_is_next = False
        """The handshake follows the reply that is being written."""
        self.is_compressed = False
        self.compression_is_next = False

    @property
    def is_logged_in(self) -> bool:
        return self.state not in (State.NOT_AUTHENTICATED, State.LOGOUT)

    # --- for the command functions ---

    @property
    def writable(self) -> Selected:
        if self.mailbox.read_only:
            raise No("The mailbox is selected read-only", "CANNOT")
        return self.mailbox

    def capabilities(self) -> str:
        """What is offered in this state (RFC 3501 section 7.2.1)."""
        found = [capability for capability in CAPABILITIES if self.offers(capability)]
        if self.state is not State.NOT_AUTHENTICATED:
            found += ["LITERAL+", f"APPENDLIMIT={self.desk.append_octets}", f"SAVELIMIT={SAVE_LIMIT}"]
            if not self.is_compressed and self.offers("COMPRESS=DEFLATE"):
                found.append("COMPRESS=DEFLATE")
        else:
            found.append("LITERAL-")
            if self.connection.can_start_tls:
                found.append("STARTTLS")
            if not self.connection.is_secure:
                found.append("LOGINDISABLED")
            else:  # what the mechanism LOGIN does, the command does in one step less
                found += [f"AUTH={mechanism}" for mechanism in self.desk.authenticator.mechanisms if mechanism != "LOGIN"]
        return " ".join(found)

    @property
    def peer(self) -> LoginPeer:
        """Who would log in."""
        return LoginPeer("imap", self.connection.listener, self._peer_ip, self.connection.tls)

    async def places(self, numbers: SequenceSet, *, uid: bool) -> Sequence[int]:
        """The places that a command's set names; UIDs that appeared meanwhile can be used. Raises BadSyntax."""
        if uid:
            await self.tell_changes(expunge=False)
        return await self.known_places(numbers, uid=uid)

    async def find(self, name: str, rights: str = "") -> Reached:
        """The mailbox of this name, with these rights at least. Raises NoSuchMailbox and NoPermission."""
        return await self.blocking(lambda: self.reach.find(name, rights))

    def target(self, name: str) -> Reached:
        """Where messages are to be put. Blocks. Raises No and NoPermission."""
        try:
            return self.reach.find(name, "i")
        except NoSuchMailbox as error:
            raise No(str(error), "TRYCREATE") from error

    async def known_places(self, numbers: SequenceSet, *, uid: bool) -> Sequence[int]:
        """Of the messages that the session has been told of. Raises BadSyntax."""
        selected = self.mailbox
        count = len(selected.saved) if numbers.is_saved else numbers.span
        try:
            return await self.worked_out(lambda: selected.places_of(numbers, uid=uid), count)
        except IndexError:
            raise BadSyntax("There is no message of that number") from None

    def note(self, event: str, **values: str | int) -> None:
        """One line of the log about what was done to mailboxes, and by whom."""
        log.info(event, **self._doer, **values)

    def note_expunged(self, messages: int, **values: str) -> None:
        """The same of messages that are no longer in the selected mailbox, whichever command took them out of it."""
        note_expunged(log, self._doer, self.tallies, self.here.info.name, messages, **values)

    @property
    def _doer(self) -> dict[str, str]:
        assert self.identity is not None, "mailboxes are for who is logged in"
        return doer(self.identity, self._peer_ip)

    async def log_in(self, identity: Identity) -> None:
        """Enter the authenticated state."""
        account = identity.account
        self.identity = identity
        self._reach = await self.blocking(lambda: Reach(self.desk.store, account, self.desk.identifiers))
        self._off |= await self.blocking(lambda: self.desk.capabilities_off(account))
        self.state = State.AUTHENTICATED
        self.framer.limits = after_login(self.desk.append_octets)
        self.watches.own(account)

    def enter(self, here: Reached, selected: Selected) -> None:
        """The selected state."""
        self._here, self.selected = here, selected
        self.contexts.forget()
        self.state = State.SELECTED
        self.watches.selected(None if here.is_own else here.owner)

    def leave(self) -> None:
        """Back to the authenticated state."""
        self._here = self.selected = None
        self.contexts.forget()
        self.state = State.AUTHENTICATED
        self.watches.selected(None)

    # --- the loop ---

    async def run(self) -> None:
        """Serve until the client or we end it."""
        self.untagged(f"OK [CAPABILITY {self.capabilities()}] {self.desk.hostname} ready")
        try:
            await self.flush()
            while self.state is not State.LOGOUT:
                event = self.framer.next_event()
                if event is None:
                    octets = await self.receive()
                    if not octets:
                        return
                    self.framer.receive_data(octets)
                elif isinstance(event, LiteralAwaited):
                    self.write(b"+ Ready for literal data\r\n")
                elif isinstance(event, CommandReceived):
                    await self._command(event)
                    self.give_back()
                    if not self.framer.is_between_commands:
                        await asyncio.sleep(0)  # others have their turn, however many commands came in one packet
                elif isinstance(event, CommandRefused):
                    self._refuse(event)
                    self.give_back()
                if self._goodbye is not None and not self._is_over():
                    self._end(self._goodbye)
                await self.flush()
                if self.tls_is_next:
                    self.tls_is_next = False
                    await self.connection.start_tls()
                if self.compression_is_next:
                    self.compression_is_next = False
                    self.connection.start_compression()
        except TimeoutError:
            self._end(self._goodbye or "Idle for too long")
            await self.flush()
        finally:
            self.watches.close()
            self._forget()

    def _forget(self) -> None:
        """What may be large; the session itself lives until the next collection of cycles, which is rare."""
        self.framer = Framer()
        self.give_back()
        self._here = self.selected = None
        self.contexts.forget()
        self._output.clear()

    def _is_over(self) -> bool:
        return self.state is State.LOGOUT

    def _end(self, text: str) -> None:
        self.ended_by = text
        self.untagged(f"BYE {text}")
        self.state = State.LOGOUT

    def _refuse(self, event: CommandRefused) -> None:
        code = f"[{event.code}] " if event.code else ""
        if event.code and event.tag:
            self.write(event.tag + f" NO {code}{event.text}\r\n".encode("ascii"))
        else:
            self.write((event.tag or b"*") + f" BAD {event.text}\r\n".encode("ascii"))
        self.count_bad()
        if event.closes:
            self._end("The command could not be read")

    async def _check_here(self) -> None:
        """A mailbox whose owner shares it no longer ends as one that is deleted."""
        try:
            await self.look_at_rights()
        except NoSuchMailbox:
            self._goodbye = "The selected mailbox was deleted"
            raise

    def count_bad(self) -> None:
        """One more command that was none, or login that failed; too many end the session, after a login only if in a row."""
        self._bad += 1
        if self._bad >= MAX_BAD_COMMANDS:
            self._goodbye = "Too many bad commands"

    async def _command(self, received: CommandReceived) -> None:
        tag, space, rest = received.text.partition(b" ")
        if not tag or not space or not _is_tag(tag):
            self.write(b"* BAD A command begins with a tag\r\n")
            self.count_bad()
            return
        word, _, following = rest.partition(b" ")
        self.tag, self.progress = tag, Progress()
        name = word.decode("ascii", "replace").upper()
        text = rest[len(word) :]
        if name == "UID":
            second, _, _ = following.partition(b" ")
            name = "UID " + second.decode("ascii", "replace").upper()
            text = following[len(second) :]
        reply = await self._carry_out(tag, name, Arguments(text, received.literals, utf8=self.speaks_utf8))
        self.tell_step()
        self.write(reply)

    async def _carry_out(self, tag: bytes, name: str, arguments: Arguments) -> bytes:
        command = self._commands.get(name)
        try:
            if command is None or self.state not in command.states:
                raise BadSyntax("There is no such command" if command is None else "Not in this state")
            if command.states == ONLY_SELECTED:
                await self._check_here()
            if self.selected is not None and self.selected.rests:  # it could not be read when the client ended its IDLE
                await self.tell_changes(expunge=False)
            completion = await command.function(self, arguments)
            if command.tells_changes:
                await self.tell_outcome(expunge=command.tells_expunged)
            if self.is_logged_in:  # who guesses passwords is not forgiven for a NOOP
                self._bad = 0
            return tag + b" OK " + (completion or f"{name} completed").encode("ascii") + b"\r\n"
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is logged, and answered
            if isinstance(error, BadSyntax):
                self.count_bad()
            return tag + b" " + outcome_of(error, command=name, account=self.account) + b"\r\n"


def _is_tag(octets: bytes) -> bool:
    return len(octets) <= 100 and all(33 <= c <= 126 and c not in b'(){%*"\\+' for c in octets)


@dataclass(frozen=True, slots=True)
class Command:
    """One command. function: returns the text behind OK, "" for the usual one.

    tells_changes: news of the mailbox follow; tells_expunged: expunged messages among them (not for commands by number).
    """

    function: Callable[[Session, Arguments], Awaitable[str]]
    states: frozenset[State]
    tells_changes: bool = True
    tells_expunged: bool = True
