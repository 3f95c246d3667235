"""What scripts send: redirected mail, replies, notifications, and notices of their own mistakes; each once, whatever is repeated.

Nothing is sent in consequence of junk, and no reply to a sender whom nothing proves, as with reports (`delivery.bounce`): who
forges addresses must not choose whom we write to.
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from mailward.api.services import Clock
from mailward.delivery.bounce import no_report_reason
from mailward.delivery.filing import Filing
from mailward.delivery.own_mail import own_author
from mailward.delivery.ports import Directory
from mailward.delivery.redirecting import Onward, Redirecting, why_not_on
from mailward.delivery.script_allowance import ScriptAllowance
from mailward.delivery.script_memory import ScriptMemory
from mailward.delivery.script_notice import notice
from mailward.delivery.scripted import Met, Sending, Sent, filed
from mailward.delivery.submitting import OwnMail, own_id
from mailward.directory.forwarding import End, MembersOnlyError
from mailward.formats.address_lists import read_address_list
from mailward.model.ids import QueueId, queue_id_for
from mailward.sieve import Problem
from mailward.sieve.actions import Action, FileInto, Notify, Redirect, Vacation
from mailward.sieve.replying import notify_message, vacation_message

T = TypeVar("T")

_SENDER = "mail filter"
MOST_ENDS = 100
"""Of one redirect: what an alias may lead to here. For more there are lists, and whoever writes to them."""


class ScriptMail:
    """Implements `delivery.scripted.Sender`. loop: on which mail is put into the spool."""

    def __init__(
        self,
        redirecting: Redirecting,
        mail: OwnMail,
        memory: ScriptMemory,
        allowance: ScriptAllowance,
        directory: Directory,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._redirecting = redirecting
        self._mail = mail
        self._submit = mail.of_server(_SENDER)
        self._memory = memory
        self._allowance = allowance
        self._directory = directory
        self._clock = clock
        self._loop = loop

    def send(self, met: Met, action: Sending, before: Sequence[Action]) -> Sent:
        match action:
            case Redirect():
                return self._redirect(met, action, before)
            case Vacation():
                return self._reply(met, action)
            case Notify():
                return self._notify(met, action)

    def is_marked(self, met: Met, key: str) -> bool:
        return self._on_loop(self._memory.holds(met.copy, f"seen {key}"))

    def mark(self, met: Met, key: str, period_s: int) -> None:
        self._on_loop(self._memory.note(met.copy, f"seen {key}", period_s))

    def tell(self, met: Met, problem: Problem) -> None:
        # Of each text of a script and each line of it the owner hears once: what else is said of it strangers may have a say in.
        digest = hashlib.sha256(met.script.text).hexdigest()
        key = f"{met.account} {digest} {problem.script} {problem.place}"
        octets = notice(
            met.owner, met.script.name, str(problem), met.message.subject, self._clock.now().astimezone(), queue_id_for(key)
        )
        self._on_loop(self._submit(str(met.owner), octets, key=key))

    def why_not_refused(self, met: Met) -> str:
        if no_report_reason(met.copy.item):
            return ""  # nobody hears of it
        return self._allowance.take(met.account, str(met.owner))

    def _why_not_sent(self, met: Met, id: QueueId, recipients: int = 1) -> str:
        """What was sent by a delivery that is repeated is not counted again, as it is not sent again."""
        if self._on_loop(self._mail.is_known(id)):
            return ""
        return self._allowance.take(met.account, str(met.owner), recipients)

    # --- redirect ---

    def _redirect(self, met: Met, action: Redirect, before: Sequence[Action]) -> Sent:
        """What is not sent on is kept, so that it is somewhere."""
        onward = Onward(met.copy, met.owner, action.address, action.message, met.why(action))
        kept = (Filing(why=met.why(action)),)
        try:
            ends = self._redirecting.ends(onward)
        except MembersOnlyError:
            return Sent(f"not redirected to {action.address}, since only its members may send there", kept)
        others = [end for end in ends if end.account != met.account]
        if reason := self._why_not_on(met, action, ends, others):
            return Sent(f"not redirected to {action.address}, since {reason}", kept)
        reached = self._reached(met, before)
        others = [end for end in others if _place(end) not in reached]
        filings = kept if len(others) < len(ends) and any(end.account == met.account for end in ends) else ()
        if not others:
            return Sent(f"{action.address} has it already", filings)
        if reason := self._why_not_sent(met, self._redirecting.id_of(onward), len(others)):
            return Sent(f"not redirected to {action.address}, since {reason}", kept)
        id = self._on_loop(self._redirecting.send(onward, others))
        return Sent(f"redirected to {action.address} as {id} by {onward.why}", filings)

    def _why_not_on(self, met: Met, action: Redirect, ends: Sequence[End], others: Sequence[End]) -> str:
        if met.is_junk:
            return "it is junk"
        if not ends:
            return "that is no mailbox of this server"
        if not others:
            return "that is this mailbox"
        if len(ends) > MOST_ENDS:
            return f"it leads to more than {MOST_ENDS} mailboxes"
        if self._redirecting.has_passed(met.message, ends):
            return f"{action.address} has had it before"
        return why_not_on(met.message, met.owner, self._directory.is_local_domain)

    def _reached(self, met: Met, before: Sequence[Action]) -> set[str]:
        """Where it goes by redirects that stand before this one, so that each mailbox gets one copy."""
        found: set[str] = set()
        for action in before:
            if isinstance(action, Redirect):
                with suppress(MembersOnlyError):
                    ends = self._redirecting.ends(Onward(met.copy, met.owner, action.address, None, ""))
                    found |= {_place(end) for end in ends}
        return found

    # --- vacation and notify ---

    def _reply(self, met: Met, action: Vacation) -> Sent:
        to = action.recipient
        if to is None or (reason := self._why_no_reply(met, action)):
            return Sent(f"no reply, since {reason if to else 'nobody sent it'}")
        what = f"replied to {str(to).lower()} {action.key}"
        if self._on_loop(self._memory.holds(met.copy, what)):
            return Sent(f"no reply, since {to} had one")
        key = f"{met.copy.delivery_key} reply"
        if reason := self._why_not_sent(met, own_id(_SENDER, key)):
            return Sent(f"no reply, since {reason}")
        # Noted first: what is repeated after a crash between the two is this delivery, which may do it once more.
        self._on_loop(self._memory.note(met.copy, what, action.period_s))
        action = replace(action, sender=own_author(self._directory, met.account, met.owner, action.sender))
        octets = vacation_message(action, _message_id(key, met), self._clock.now().astimezone())
        return self._submitted(met, str(to), octets, key, f"replied to {to} by {met.why(action)}", action.fcc)

    def _why_no_reply(self, met: Met, action: Vacation) -> str:
        return action.withheld or ("it is junk" if met.is_junk else no_report_reason(met.copy.item))

    def _notify(self, met: Met, action: Notify) -> Sent:
        if reason := action.withheld or ("it is junk" if met.is_junk else ""):
            return Sent(f"nobody notified, since {reason}")
        key = f"{met.copy.delivery_key} notify {action.script} {action.place}"
        action = replace(action, sender=own_author(self._directory, met.account, met.owner, action.sender))
        octets = notify_message(action, _message_id(key, met), self._clock.now().astimezone())
        said, filings = [], []
        for written in (*action.to, *action.cc):
            to = read_address_list(written.encode()).mailboxes[0].address
            if reason := self._why_not_sent(met, own_id(_SENDER, f"{key} {to}")):
                said.append(f"{to} not notified, since {reason}")
                continue
            sent = self._submitted(met, str(to), octets, f"{key} {to}", f"notified {to} by {met.why(action)}", action.fcc)
            said.append(sent.said)
            filings += [one for one in sent.filings if one not in filings]
        return Sent("; ".join(said), tuple(filings))

    def _submitted(self, met: Met, to: str, octets: bytes, key: str, said: str, fcc: FileInto | None) -> Sent:
        """fcc: where a copy of it goes (RFC 8580)."""
        try:
            self._on_loop(self._submit(to, octets, key=key))
        except ValueError as error:  # of our domain, and nobody's
            return Sent(f"nothing sent, since {error}")
        return Sent(said) if fcc is None else Sent(said, (filed(met, fcc, octets),))

    def _on_loop(self, work: Coroutine[object, object, T]) -> T:
        """Done when this returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _place(end: End) -> str:
    return end.account or end.path.lower()


def _message_id(key: str, met: Met) -> str:
    return f"<{queue_id_for(key)}.filter@{met.owner.domain}>"
