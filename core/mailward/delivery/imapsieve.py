"""The admin's script that messages meet when IMAP commands bring or change them (RFC 6785), and what becomes of what it says.

It runs behind the reply, for one message of one command at a time, and is the admin's word on a mailbox that is its owner's: mail
that it sends is his. The time that it takes, and how much it sends, count for who gave the command. Whatever goes wrong, the
message stays.
"""

import asyncio
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from time import monotonic, thread_time
from typing import Protocol

import structlog

from mailward import __version__
from mailward.api.services import Clock
from mailward.delivery.filing import MOST_MAILBOXES, made_mailbox
from mailward.delivery.imapsieve_turns import Turns
from mailward.delivery.script_lists import ScriptLists
from mailward.delivery.script_time import ScriptTime
from mailward.delivery.script_world import outside_of
from mailward.delivery.scripted import Addresses
from mailward.formats.message import MessageView
from mailward.metering import METERS
from mailward.model.address import Address
from mailward.model.errors import StorageError
from mailward.model.identity import Identity
from mailward.model.ids import AccountId, MailboxId, Uid
from mailward.model.metrics import Counter
from mailward.services.rates import Rates
from mailward.sieve import IMAP_LANGUAGE, Outcome, Owner, Script, World, compile_script, evaluate
from mailward.sieve.actions import FileInto, Keep, Notify, Redirect
from mailward.store.base import AccountStore
from mailward.store.events import Cause, Event
from mailward.store.flags import names_of
from mailward.store.ops import Append, Copy, SetFlags
from mailward.store.refusals import NoSuchMailbox, StoreRefusal

RUNS = Counter("imapsieve_runs", "Messages that met the script of IMAP commands, by how it ended", ("outcome",))

STEP_MESSAGES = 1000
"""Of one command, before another account has its turn."""
STEP_S = 1.0
"""The same; the message that meets the script then is done first."""

log = structlog.get_logger("mailward.imapsieve")


class Setting(Protocol):
    """The script, without mistakes, and after which commands messages meet it."""

    @property
    def path(self) -> Path: ...

    @property
    def text(self) -> bytes: ...

    @property
    def causes(self) -> frozenset[Cause]: ...


@dataclass(frozen=True)
class Met:
    """A stored message that meets the script.

    account, addresses: of the owner of its mailbox, his own address first. by: who gave the command. message: its number.
    """

    store: AccountStore
    account: AccountId
    by: Identity
    addresses: tuple[Address, ...]
    mailbox: MailboxId
    uid: Uid
    message: int
    flags: tuple[str, ...]

    @property
    def owner(self) -> Address:
        return self.addresses[0]

    @cached_property
    def view(self) -> MessageView:
        """Read when it is asked for. Raises StorageError."""
        return MessageView(self.store.octets(self.message))


class Sender(Protocol):
    """What `ImapSieveMail` does, from a thread. Both say why nothing was sent, "" when it was, and raise StorageError."""

    def redirect(self, met: Met, action: Redirect) -> str: ...

    def notify(self, met: Met, action: Notify) -> str: ...


class ImapScripts:
    """`access.imap.desk.Scripts`. setting: None for no script. lists: that it may ask.

    Scripts run one after another: the commands of each account in their order, and of all accounts in turn, so that one waits for
    a step of each of the others, and not for all that these have done (T-DOS-16).
    """

    def __init__(
        self, setting: Setting | None, directory: Addresses, sender: Sender, clock: Clock, lists: ScriptLists | None = None
    ) -> None:
        self._directory = directory
        self._sender = sender
        self._clock = clock
        self._lists = lists
        self._time = ScriptTime()
        self._told = Rates(1, 60.0)
        self._turns = Turns()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "imapsieve")
        self._is_working = False
        self._is_stopping = False
        self.use(setting)

    def use(self, setting: Setting | None) -> None:
        """From the next command on. Raises ScriptError."""
        self._script = None if setting is None else compile_script(setting.text, IMAP_LANGUAGE, name=setting.path.name)
        self._causes = frozenset[Cause]() if setting is None else setting.causes

    @property
    def causes(self) -> frozenset[Cause]:
        return self._causes

    def happened(self, event: Event) -> None:
        with self._lock:
            is_waiting = self._turns.add(event)
            begins = is_waiting and not self._is_working
            self._is_working |= begins
        if begins:
            self._pool.submit(self._work)
        elif not is_waiting:
            self._leave_out(event, "too many of this account's commands wait already")

    def charge(self, account: AccountId, processor_s: float) -> None:
        """Of what scripts may take in an hour after its commands (T-IMAP-20)."""
        self._time.charge(account, processor_s)

    async def drain(self) -> None:
        """Until what has happened so far is done."""
        await asyncio.wrap_future(self._pool.submit(lambda: None))

    async def close(self) -> None:
        """No command comes any more. What waits is left out."""
        self._is_stopping = True
        await self.drain()
        self._pool.shutdown()
        commands, messages = self._turns.waiting
        if commands:
            log.warning("scripts left out at the stop", commands=commands, messages=messages)

    def _leave_out(self, event: Event, why: str) -> None:
        account = event.identity.account
        if self._told.take(account, monotonic()):  # once a minute is enough (T-DOS-15)
            log.warning("script left out", account=account, owner=event.owner, why=why)

    def _work(self) -> None:
        while (event := self._next()) is not None:
            rest = self._run(event)
            with self._lock:
                self._turns.done(rest)

    def _next(self) -> Event | None:
        with self._lock:
            event = None if self._is_stopping else self._turns.next()
            self._is_working = event is not None
        return event

    def _run(self, event: Event) -> Sequence[int]:
        """One step of it. The UIDs that are left."""
        begun_s = thread_time()
        try:
            return self._step(event)
        except StorageError as error:
            self._leave_out(event, str(error))
        except Exception:
            log.exception("script failed unforeseen", account=event.owner, mailbox=event.mailbox_name)
        finally:  # reading the mailbox takes time, too
            self.charge(event.identity.account, thread_time() - begun_s)
        return ()

    def _step(self, event: Event) -> Sequence[int]:
        """As `_run`. Raises StorageError."""
        script, until_s = self._script, monotonic() + STEP_S
        if script is None:  # a reload has taken it away
            return ()
        if self._time.is_spent(event.identity.account):
            self._leave_out(event, "the account has no processor time left in this hour")
            return ()
        for number, met in self._all_met(event, event.uids[:STEP_MESSAGES]):
            if self._is_stopping or (number and monotonic() >= until_s):
                return event.uids[number:]
            METERS.of("").count(RUNS, outcome="done" if self._meet(script, event, met) else "failed")
        return event.uids[STEP_MESSAGES:]

    def _all_met(self, event: Event, uids: Sequence[int]) -> Iterator[tuple[int, Met]]:
        """The messages that are still there, each with its number among the UIDs. Raises StorageError."""
        account, store = event.owner, event.store
        addresses = self._directory.addresses_of(account)
        if not addresses:
            return
        with suppress(NoSuchMailbox):
            view = store.view(event.mailbox)
            for number, uid in enumerate(uids):
                place = bisect_left(view.uids, uid)
                if place < len(view.uids) and view.uids[place] == uid:
                    flags = names_of(view.flags[place], view.keywords)
                    message = view.messages[place]
                    yield number, Met(store, account, event.identity, addresses, view.mailbox.id, Uid(uid), message, flags)

    def _meet(self, script: Script, event: Event, met: Met) -> bool:
        """Whether all of it could be done, with one message; whatever goes wrong is of this one alone."""
        where = {"account": met.account, "mailbox": event.mailbox_name, "uid": met.uid}
        try:
            return self._carry_out(met, self._outcome(script, event, met))
        except (StorageError, StoreRefusal) as error:
            log.error("script failed", problem=str(error), **where)
        except Exception:
            log.exception("script failed unforeseen", **where)
        return False

    def _outcome(self, script: Script, event: Event, met: Met) -> Outcome:
        environment = {
            "name": "Mailward",
            "version": __version__,
            "location": "MS",
            "phase": "post",
            "imap.user": event.identity.user,
            "imap.email": event.identity.user,
            "imap.cause": event.cause,
            "imap.mailbox": event.mailbox_name,
            "imap.changedflags": " ".join(event.changed_flags),
        }
        with outside_of(met.store, self._clock.now(), self._lists) as outside:
            world = World(owner=Owner(met.addresses), outside=outside, environment=environment, flags=met.flags)
            return evaluate(script, met.view, world, IMAP_LANGUAGE)

    def _carry_out(self, met: Met, outcome: Outcome) -> bool:
        """Whether all of it could be done; if not, the message stays. Raises StoreRefusal, StorageError."""
        if outcome.problem is not None:
            log.error("script failed", account=met.account, uid=met.uid, problem=str(outcome.problem))
            return False
        stays, hindrances = False, []
        for action in outcome.actions:
            match action:
                case Keep():
                    stays = True
                    self._set_flags(met, action.flags)
                case FileInto() if action.message is None and self._is_here(met, action.mailbox):
                    stays = True
                    self._set_flags(met, action.flags)
                case FileInto():
                    hindrances.append(self._file(met, action))
                case Redirect():
                    hindrances.append(self._sender.redirect(met, action))
                case Notify():
                    hindrances.append(self._sender.notify(met, action))
        told = [why for why in hindrances if why]
        for why in told:
            log.warning("script not carried out", account=met.account, uid=met.uid, why=why)
        if not stays and not told:  # RFC 6785 section 2.2.4; its owner expunges it
            met.store.apply([SetFlags(met.mailbox, (met.uid,), "add", ("\\Deleted",))])
        return not told

    def _set_flags(self, met: Met, flags: tuple[str, ...]) -> None:
        """Only those that the script has changed: others may have changed more meanwhile."""
        has, wanted = {flag.lower() for flag in met.flags}, {flag.lower() for flag in flags}
        added = tuple(flag for flag in flags if flag.lower() not in has)
        removed = tuple(flag for flag in met.flags if flag.lower() not in wanted)
        ops = [SetFlags(met.mailbox, (met.uid,), "add", added)] if added else []
        ops += [SetFlags(met.mailbox, (met.uid,), "remove", removed)] if removed else []
        if ops:
            met.store.apply(ops)

    def _is_here(self, met: Met, mailbox: str) -> bool:
        """As in Dovecot; RFC 6785 section 3.3 would have it there twice, once deleted."""
        with suppress(NoSuchMailbox):
            return met.store.mailbox(mailbox).id == met.mailbox
        return False

    def _file(self, met: Met, action: FileInto) -> str:
        """A copy into another mailbox. Says why not, "" when it is there."""
        try:
            target = met.store.mailbox(action.mailbox)
        except NoSuchMailbox as refusal:
            made = made_mailbox(met.store, action.mailbox, MOST_MAILBOXES, action.special_use) if action.creates else None
            if made is None:
                return str(refusal)
            target = made
        if action.message is not None:
            ((date,),) = met.store.meta([met.message], ("internal_date",))
            octets = bytes(action.message.octets)
            met.store.apply([Append(target.id, octets, datetime.fromtimestamp(int(date), UTC), action.flags)])
            return ""
        (copied,) = met.store.apply([Copy(met.mailbox, (met.uid,), target.id)])
        if copied.uids and action.flags != met.flags:
            met.store.apply([SetFlags(target.id, tuple(map(Uid, copied.uids)), "replace", action.flags)])
        return ""
