"""What does the Sieve script of an account say about mail for it? Asked behind the plugins, before a copy is stored.

A script is the owner's word on his own mailbox: it goes before the folder that a rule or a plugin chose, and never before the
verdict. Mail that was judged junk does not pass a script that knows nothing of judgements: it lies in Junk, and nothing is sent
in consequence of it. What a script sends leaves by the queue process alone, so that it leaves once, whatever dies meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from mailward.api.services import Clock
from mailward.delivery.filing import Filing, Filings
from mailward.delivery.mda import Copy
from mailward.delivery.redirecting import has_passed
from mailward.delivery.script_world import compiled, world_of
from mailward.delivery.sorting import ForQueue, Sorted, Unwanted
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.formats.trace import count_received
from mailward.model.address import Address
from mailward.model.ids import AccountId
from mailward.queue.item import JUNK_FOLDER
from mailward.sieve import (
    Outcome,
    Place,
    Problem,
    ScriptError,
    evaluate,
)
from mailward.sieve.actions import Action, Discard, FileInto, Keep, Redirect, Reject
from mailward.store.base import AccountStore, MailStore
from mailward.store.base import Script as StoredScript

_SENDING = (Redirect, Reject)
JUDGING = frozenset({"spamtest", "spamtestplus", "virustest"})
"""The extensions by which a script asks how mail was judged."""

MOST_HOPS = 50
"""Received fields of mail that is sent on: far more than mail has, and fewer than its reception allows."""

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

    def resolve(self, address: Address) -> AccountId | None:
        """Whose mailbox it is. May raise StorageError."""
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
    def is_junk(self) -> bool:
        return self.copy.recipient.folder == JUNK_FOLDER


class Sender(Protocol):
    """What `ScriptMail` does: sends what scripts want sent, each once, from a thread of the queue process."""

    def redirect(self, met: Met, action: Redirect) -> str:
        """What was done, in plain words. Raises StorageError."""
        ...

    def tell(self, met: Met, problem: Problem) -> None:
        """The owner of a script that has gone wrong. Raises StorageError."""
        ...


class Scripted:
    """A sorter behind which scripts are asked. sender: None where others send."""

    def __init__(
        self, sorter: Sorting | None, store: MailStore, directory: Addresses, clock: Clock, sender: Sender | None = None
    ) -> None:
        self._sorter = sorter
        self._store = store
        self._directory = directory
        self._clock = clock
        self._sender = sender

    def sort(self, copies: Sequence[Copy]) -> Sequence[Sorted]:
        """As `Sorter.sort`. A copy whose script has something sent is for the queue process where this is another one."""
        sorted_copies = copies if self._sorter is None else self._sorter.sort(copies)
        if copies[0].recipient.route != "mailbox":
            return sorted_copies
        account = AccountId(copies[0].recipient.account)
        store = self._store.open(account)
        script = next((one for one in store.scripts() if one.is_active), None)
        addresses = () if script is None else self._directory.addresses_of(account)
        if script is None or not addresses:
            return sorted_copies
        return [self._scripted(one, store, script, addresses) if isinstance(one, Copy) else one for one in sorted_copies]

    def _scripted(self, copy: Copy, store: AccountStore, script: StoredScript, addresses: tuple[Address, ...]) -> Sorted:
        met = Met(copy, store, script, addresses[0], MessageView(copy.render()))
        try:
            outcome = self._outcome(met, addresses)
        except Exception:  # a fault of ours must not keep the owner from his mail
            log.exception("script failed unforeseen", id=copy.item.id, account=copy.recipient.account, script=script.name)
            return copy
        if outcome is None:
            return copy
        if outcome.problem is None and not any(isinstance(action, _SENDING) for action in outcome.actions):
            return replace(copy, filings=_filings(met, outcome.actions))
        if self._sender is None:
            return ForQueue()
        return _unwanted(met, outcome) or self._sent(met, outcome, self._sender)

    def _outcome(self, met: Met, addresses: tuple[Address, ...]) -> Outcome | None:
        """None where it is not for a script to say."""
        copy = met.copy
        try:
            script = compiled(met.script.text)
        except ScriptError as error:  # it was right when it was stored, by another release
            return Outcome((Keep("", Place(0, 0), is_implicit=True),), error.problems[0])
        if met.is_junk and not script.extensions & JUDGING:
            return None
        reverse_path, forward_path = copy.item.reverse_path_of(copy.index), copy.recipient.asked or copy.recipient.forward_path
        return evaluate(
            script, met.message, world_of(met.store, reverse_path, forward_path, copy.item.user, addresses, self._clock.now())
        )

    def _sent(self, met: Met, outcome: Outcome, sender: Sender) -> Copy:
        """With all that is sent on its way."""
        if outcome.problem is not None:
            sender.tell(met, outcome.problem)
        actions: list[Action] = []
        said = []
        for action in outcome.actions:
            if not isinstance(action, Redirect):
                actions.append(action)
            elif reason := self._why_not(met, action):
                actions.append(Keep(action.script, action.place))
                said.append(f"not redirected to {action.address}, since {reason}")
            else:
                said.append(sender.redirect(met, action))
        filings = _filings(met, actions)
        problem = () if outcome.problem is None else (f"the script {met.script.name} went wrong: {outcome.problem}",)
        return replace(met.copy, filings=Filings(filings.places, (*filings.said, *said, *problem)))

    def _why_not(self, met: Met, action: Redirect) -> str:
        """Why it is kept instead of sent on; "" when it is sent."""
        if met.is_junk:
            return "it is junk"
        if self._directory.resolve(action.address) == met.copy.recipient.account:
            return "that is this mailbox"
        if has_passed(met.message, met.owner):
            return f"{met.owner} has had it before"
        if count_received(met.message) > MOST_HOPS:
            return "it has passed too many servers"
        return ""


def _unwanted(met: Met, outcome: Outcome) -> Unwanted | None:
    """Junk is never answered, as whoever sends it is seldom who it says."""
    refusal = next((action for action in outcome.actions if isinstance(action, Reject)), None)
    if refusal is None or met.is_junk:
        return None
    reason = one_line(refusal.reason, REASON_CHARACTERS)
    return Unwanted(reason, f"refused by {met.why(refusal)}: {reason}")


def _octets(message: MessageView | None) -> bytes | None:
    return None if message is None else bytes(message.octets)


def _filings(met: Met, actions: Sequence[Action]) -> Filings:
    places, said = [], []
    for action in actions:
        why = met.why(action)
        match action:
            case Keep():
                octets = _octets(action.message)
                places.append(Filing(flags=action.flags, octets=octets, why="" if action.is_implicit else why))
            case FileInto():
                octets = _octets(action.message)
                places.append(Filing(action.mailbox, action.flags, octets, action.creates, action.special_use, why))
            case Reject():  # of junk, which is not answered
                places.append(Filing(why=why))
            case Discard():
                said.append(f"discarded by {why}")
    return Filings(tuple(places), tuple(said))
