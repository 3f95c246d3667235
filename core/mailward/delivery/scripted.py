"""What does the Sieve script of an account say about mail for it? Asked behind the plugins, before a copy is stored.

A script is the owner's word on his own mailbox: it goes before the folder that a rule or a plugin chose, and never before the
verdict. Mail that was judged junk does not pass a script that knows nothing of judgements: it lies in Junk, and nothing is sent
in consequence of it. What a script sends leaves by the queue process alone, so that it leaves once, whatever dies meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import thread_time
from typing import Protocol

import structlog

from mailward.api.services import Clock
from mailward.delivery.filing import Filing, Filings
from mailward.delivery.mda import Copy
from mailward.delivery.script_lists import ScriptLists
from mailward.delivery.script_time import PROCESSOR_S_PER_HOUR, ScriptTime
from mailward.delivery.script_world import delivery_world, outside_of
from mailward.delivery.sorting import ForQueue, Sorted, Unwanted
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.model.address import Address
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.queue.item import JUNK_FOLDER
from mailward.sieve import (
    LANGUAGE,
    Outcome,
    Place,
    Problem,
    ScriptError,
    compile_script,
    evaluate,
)
from mailward.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Vacation
from mailward.store.base import AccountStore, MailStore
from mailward.store.base import Script as StoredScript

Sending = Redirect | Vacation | Notify
_SENDING = (Redirect, Vacation, Notify)
_REMEMBERING = frozenset({"duplicate", "include"})
"""The extensions by which a script asks for what earlier deliveries noted; what it includes may."""
JUDGING = frozenset({"spamtest", "spamtestplus", "virustest"})
"""The extensions by which a script asks how mail was judged."""

REASON_CHARACTERS = 500
"""Of what the sender is told."""

log = structlog.get_logger("mailward.delivery")


class Sorting(Protocol):
    """What `Sorter` does."""

    def sort(self, copies: Sequence[Copy]) -> Sequence[Sorted]: ...


class Addresses(Protocol):
    """What `Directory` knows of an account."""

    def addresses_of(self, account: AccountId) -> tuple[Address, ...]:
        """All of them, its own first; () when it is gone. May raise StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class Met:
    """A copy, and the script that it met. message: as it would be stored."""

    copy: Copy
    store: AccountStore
    script: StoredScript
    owner: Address
    message: MessageView

    def why(self, action: Action) -> str:
        """The line that said so, in plain words."""
        return f"line {action.place.line} of the script {action.script or self.script.name}"

    @property
    def account(self) -> AccountId:
        return AccountId(self.copy.recipient.account)

    @property
    def is_junk(self) -> bool:
        return self.copy.recipient.folder == JUNK_FOLDER


@dataclass(frozen=True, slots=True)
class Sent:
    """said: what was done, or why not, in plain words. filings: what is stored besides."""

    said: str
    filings: tuple[Filing, ...] = ()


class Sender(Protocol):
    """What `ScriptMail` does, from a thread of the queue process: it sends what scripts want sent, each once, and remembers.

    All raise StorageError.
    """

    def send(self, met: Met, action: Sending, before: Sequence[Action]) -> Sent:
        """before: the actions of the same run that were carried out."""
        ...

    def tell(self, met: Met, problem: Problem) -> None:
        """The owner of a script that has gone wrong."""
        ...

    def why_not_refused(self, met: Met) -> str:
        """Why its sender cannot be told that it is refused, in plain words; "" when he can, which counts as mail that is sent."""
        ...

    def is_marked(self, met: Met, key: str) -> bool:
        """Has a script of this account marked it for another delivery?"""
        ...

    def mark(self, met: Met, key: str, period_s: int) -> None: ...


class Scripted:
    """A sorter behind which scripts are asked. sender: None where others send. lists: that scripts may ask, None for none."""

    def __init__(
        self,
        sorter: Sorting | None,
        store: MailStore,
        directory: Addresses,
        clock: Clock,
        sender: Sender | None = None,
        lists: ScriptLists | None = None,
    ) -> None:
        self._time = ScriptTime()
        self._sorter = sorter
        self._store = store
        self._directory = directory
        self._clock = clock
        self._sender = sender
        self._lists = lists

    def sort(self, copies: Sequence[Copy]) -> Sequence[Sorted]:
        """As `Sorter.sort`. A copy whose script has something sent is for the queue process where this is another one."""
        sorted_copies = copies if self._sorter is None else self._sorter.sort(copies)
        if copies[0].recipient.route != "mailbox":
            return sorted_copies
        account = AccountId(copies[0].recipient.account)
        store = self._store.open(account)
        script = store.active_script()
        addresses = () if script is None else self._directory.addresses_of(account)
        if script is None or not addresses:
            return sorted_copies
        return [self._scripted(one, store, script, addresses) if isinstance(one, Copy) else one for one in sorted_copies]

    def _scripted(self, copy: Copy, store: AccountStore, script: StoredScript, addresses: tuple[Address, ...]) -> Sorted:
        met = Met(copy, store, script, addresses[0], MessageView(copy.render()))
        try:
            outcome = self._bounded_outcome(met, addresses)
        except StorageError:
            raise
        except Exception:  # a fault of ours must not keep the owner from his mail
            log.exception("script failed unforeseen", id=copy.item.id, account=copy.recipient.account, script=script.name)
            return copy
        if outcome is None or isinstance(outcome, ForQueue):
            return outcome or copy
        is_plain = not outcome.problem and not any(isinstance(action, (*_SENDING, Reject)) for action in outcome.actions)
        if is_plain and not outcome.marks:
            return _done(met, outcome, None)
        if self._sender is None:
            return ForQueue()
        try:
            return _done(met, outcome, self._sender)
        except StorageError:
            raise
        except Exception:
            log.exception("script failed unforeseen", id=copy.item.id, account=copy.recipient.account, script=script.name)
            return copy

    def _bounded_outcome(self, met: Met, addresses: tuple[Address, ...]) -> Outcome | ForQueue | None:
        """As `_outcome`, as long as the account has processor time left; each process counts for itself."""
        if self._time.is_spent(met.account):
            text = f"scripts have taken more than {PROCESSOR_S_PER_HOUR:.0f} s of processor time in an hour"
            return _kept(Problem(Place(0, 0), text))
        begun_s = thread_time()
        try:
            return self._outcome(met, addresses)
        finally:
            self._time.charge(met.account, thread_time() - begun_s)

    def _outcome(self, met: Met, addresses: tuple[Address, ...]) -> Outcome | ForQueue | None:
        """None where it is not for a script to say."""
        sender = self._sender
        try:
            script = compile_script(met.script.text, LANGUAGE)
        except ScriptError as error:  # it was right when it was stored, by another release
            return _kept(error.problems[0])
        if met.is_junk and not script.extensions & JUDGING:
            return None
        if sender is None and script.extensions & _REMEMBERING:
            return ForQueue()
        is_marked = None if sender is None else partial(sender.is_marked, met)
        with outside_of(met.store, self._clock.now(), self._lists, is_marked) as outside:
            return evaluate(script, met.message, delivery_world(met.copy, addresses, outside))


def _kept(problem: Problem) -> Outcome:
    return Outcome((Keep("", Place(0, 0), is_implicit=True),), problem)


def filed(met: Met, action: FileInto, octets: bytes | None = None) -> Filing:
    """octets: of another message than the one that came."""
    edited = None if action.message is None else bytes(action.message.octets)
    return Filing(
        action.mailbox,
        action.flags,
        edited if octets is None else octets,
        action.creates,
        action.special_use,
        met.why(action),
        is_other=octets is not None,
    )


def _done(met: Met, outcome: Outcome, sender: Sender | None) -> Copy | Unwanted:
    """With all that is sent on its way, and remembered, beside a refusal too. sender: None where nothing is."""
    filings: list[Filing] = []
    said: list[str] = []
    refused: Unwanted | None = None
    for number, action in enumerate(outcome.actions):
        match action:
            case Keep():
                octets = None if action.message is None else bytes(action.message.octets)
                filings.append(Filing(flags=action.flags, octets=octets, why="" if action.is_implicit else met.why(action)))
            case FileInto():
                filings.append(filed(met, action))
            case Reject() if sender is not None:
                # Junk is never answered, as whoever sends it is seldom who it says.
                if hindrance := "it is junk" if met.is_junk else sender.why_not_refused(met):
                    filings.append(Filing(why=met.why(action)))
                    said.append(f"not refused, since {hindrance}")
                else:
                    reason = one_line(action.reason, REASON_CHARACTERS)
                    refused = Unwanted(reason, f"refused by {met.why(action)}: {reason}")
            case Discard():
                said.append(f"discarded by {met.why(action)}")
            case Redirect() | Vacation() | Notify() if sender is not None:
                sent = sender.send(met, action, outcome.actions[:number])
                filings += sent.filings
                said.append(sent.said)
    if sender is not None:
        for mark in outcome.marks:
            sender.mark(met, mark.key, mark.period_s)
        if outcome.problem is not None:
            sender.tell(met, outcome.problem)
            said.append(f"the script {met.script.name} went wrong: {outcome.problem}")
    if refused is not None:
        return replace(refused, text="; ".join((refused.text, *said)))
    return replace(met.copy, filings=Filings(tuple(filings), tuple(said)))
