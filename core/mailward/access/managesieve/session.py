"""One ManageSieve session: what the machine asks, answered from the account's scripts and the one login chain.

A script that has mistakes is never stored, so that whatever is active runs; what it may do is decided when it runs.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from mailward.access.connection import Connection
from mailward.access.session import MachineSession
from mailward.access.threads import Threads
from mailward.auth.exchange import Authenticator
from mailward.model.errors import StorageError
from mailward.model.identity import Identity
from mailward.protocol.events import SaslAsked, SaslResponse, TlsAsked
from mailward.protocol.managesieve.events import (
    ActivateAsked,
    CheckAsked,
    DeleteAsked,
    Event,
    GetAsked,
    ListAsked,
    PutAsked,
    RenameAsked,
    SpaceAsked,
)
from mailward.protocol.managesieve.server import ManageSieveServer
from mailward.protocol.managesieve.states import Limits, Offers, State
from mailward.sieve import LANGUAGE, LIMITS, ScriptError, compile_script
from mailward.sieve.lists import SCHEMES
from mailward.store.base import AccountStore, MailStore
from mailward.store.ops import MAX_SCRIPTS, ActivateScript, DeleteScript, Op, PutScript, RenameScript
from mailward.store.refusals import NoSuchScript, ScriptActive, ScriptExists, StoreRefusal, TooManyScripts

_CODES: dict[type[StoreRefusal], str] = {
    NoSuchScript: "NONEXISTENT",
    ScriptExists: "ALREADYEXISTS",
    ScriptActive: "ACTIVE",
    TooManyScripts: "QUOTA/MAXSCRIPTS",
}

_NOTIFY = ("mailto",) if "enotify" in LANGUAGE.extensions else ()


@dataclass(frozen=True, slots=True)
class Desk:
    """What all sessions of a process share."""

    store: MailStore
    authenticator: Authenticator
    threads: Threads = field(default_factory=Threads)


class Session(MachineSession[Event]):
    """One client."""

    protocol = "managesieve"
    refusals: ClassVar = {
        "failed": ("Authentication failed", ""),
        "malformed": ("The response is not of the mechanism", ""),
        "unavailable": ("Logins cannot be checked now, please try again later", "TRYLATER"),
    }
    _machine: ManageSieveServer

    def __init__(self, desk: Desk, connection: Connection, peer_ip: str) -> None:
        machine = ManageSieveServer(
            Offers(desk.authenticator.mechanisms, tuple(sorted(LANGUAGE.extensions)), _NOTIFY, SCHEMES, LIMITS.redirects),
            Limits(LIMITS.script_octets),
            is_secure=connection.is_secure,
            offer_tls=connection.can_start_tls,
        )
        super().__init__(machine, connection, peer_ip, desk.authenticator, desk.threads)
        self._desk = desk
        self._store: AccountStore | None = None

    @property
    def is_logged_in(self) -> bool:
        return self._machine.state is State.LOGGED_IN

    def _say_bye(self, text: str) -> None:
        self._machine.goodbye(text, "TRYLATER" if self.is_logged_in else "")

    async def _answer(self, event: Event) -> None:
        machine = self._machine
        try:
            match event:
                case TlsAsked() | SaslAsked() | SaslResponse():
                    await self._negotiate(event)
                case _:
                    await self._manage(event, self._scripts)
        except ScriptError as error:
            machine.refuse("\r\n".join(f"line {one.place.line}, column {one.place.column}: {one.text}" for one in error.problems))
        except StoreRefusal as refusal:
            machine.refuse(str(refusal), _CODES.get(type(refusal), ""))
        except StorageError as error:
            self._log.error("storage error", account=self.account, command=type(event).__name__, error=str(error))
            machine.refuse("Please try again later", "TRYLATER")

    async def _let_in(self, identity: Identity) -> None:
        self._store = await self._threads.run(identity.account, partial(self._desk.store.open, identity.account))
        self.identity = identity
        self._machine.logged_in(identity.user)

    @property
    def _scripts(self) -> AccountStore:
        assert self._store is not None, "the machine asks for scripts behind a login only"
        return self._store

    async def _manage(self, event: Event, store: AccountStore) -> None:
        machine = self._machine
        match event:
            case SpaceAsked(name, octets):
                scripts = await self._blocking(store.scripts)
                if octets > LIMITS.script_octets:
                    machine.refuse(f"A script has at most {LIMITS.script_octets} octets", "QUOTA/MAXSIZE")
                elif len(scripts) >= MAX_SCRIPTS and all(script.name != name for script in scripts):
                    machine.refuse(f"There are {MAX_SCRIPTS} scripts already", "QUOTA/MAXSCRIPTS")
                else:
                    machine.accept("There is room for it")
            case PutAsked(name, script):
                await self._check(script)
                await self._apply(PutScript(name, script), "The script is stored")
            case CheckAsked(script):
                await self._check(script)
                machine.accept("The script is right")
            case ListAsked():
                machine.scripts([(script.name, script.is_active) for script in await self._blocking(store.scripts)])
            case GetAsked(name):
                found = await self._blocking(partial(store.script, name))
                if found is None:
                    raise NoSuchScript(f"There is no script {name}")
                machine.script(found.text)
            case ActivateAsked(name):
                await self._apply(ActivateScript(name), "The script is active" if name else "No script is active")
            case DeleteAsked(name):
                await self._apply(DeleteScript(name), "The script is gone")
            case RenameAsked(name, new_name):
                await self._apply(RenameScript(name, new_name), "The script has its new name")

    async def _check(self, script: bytes) -> None:
        """Raises ScriptError."""
        await self._blocking(partial(compile_script, script, LANGUAGE))

    async def _apply(self, op: Op, text: str) -> None:
        await self._blocking(partial(self._scripts.apply, [op]))
        self._machine.accept(text)
