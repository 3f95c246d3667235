"""What the script of IMAP commands sends: into the spool, and left there to the queue process.

A redirected message is sent anew by the owner of the mailbox, from his address (RFC 6785 section 3.4), who so hears of it when it
comes back. It counts among what may be sent in an hour by who gave the command, not by the owner: whoever shares a mailbox would
else have others use up what he may send. Nothing is repeated, so nothing has to be known again.
"""

import asyncio
from dataclasses import replace

from mailward.api.services import Clock
from mailward.delivery.imapsieve import Met
from mailward.delivery.own_mail import own_author, own_mail, way_to
from mailward.delivery.ports import Directory
from mailward.delivery.redirecting import why_not_on
from mailward.delivery.script_allowance import ScriptAllowance
from mailward.directory.forwarding import DELIVERED_TO
from mailward.formats.address_lists import read_address_list
from mailward.formats.message import MessageView
from mailward.model.edits import AddHeader, RemoveHeader
from mailward.model.envelope import RcptParameters
from mailward.model.ids import new_queue_id
from mailward.queue.item import QueueItem
from mailward.queue.spool import Spool
from mailward.sieve.actions import Action, Notify, Redirect
from mailward.sieve.replying import notify_message


class ImapSieveMail:
    """Implements `imapsieve.Sender`. loop: on which mail is put into the spool."""

    def __init__(
        self, spool: Spool, directory: Directory, allowance: ScriptAllowance, clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._spool = spool
        self._directory = directory
        self._allowance = allowance
        self._clock = clock
        self._loop = loop

    def redirect(self, met: Met, action: Redirect) -> str:
        if why := self._why_not_redirected(met, action):
            return f"not redirected to {action.address}, since {why}"
        message = met.view if action.message is None else action.message
        try:
            item = self._item(met, action, str(action.address), message)
        except ValueError as error:
            return f"not redirected, since {error}"
        if why := self._allowance.take(met.by.account, met.by.user):
            return f"not redirected to {action.address}, since {why}"
        to = replace(item.recipients[0], edits=(AddHeader(DELIVERED_TO, str(met.owner)),), parameters=RcptParameters())
        record = replace(item.decision, reverse_path=str(met.owner))
        is_utf8 = item.smtputf8 or not (str(met.owner).isascii() and message.header_octets.isascii())
        # Its author is whoever it says, so nobody signs for it (T-DKIM-15), and Return-Path is for final delivery (RFC 5321 4.4).
        self._put(
            replace(
                item,
                reverse_path=str(met.owner),
                origin="inbound",
                recipients=(to,),
                edits=(RemoveHeader("Return-Path"),),
                decision=record,
                smtputf8=is_utf8,
            ),
            bytes(message.octets),
        )
        return ""

    def _why_not_redirected(self, met: Met, action: Redirect) -> str:
        if self._directory.resolve(action.address) == met.account:
            return "that is this mailbox"
        return why_not_on(met.view, met.owner, self._directory.is_local_domain)

    def notify(self, met: Met, action: Notify) -> str:
        if action.withheld:
            return f"nobody notified, since {action.withheld}"
        at, id = self._clock.now().astimezone(), f"<{new_queue_id()}.filter@{met.owner.domain}>"
        author = own_author(self._directory, met.account, met.owner, action.sender)
        octets = notify_message(replace(action, sender=author), id, at)
        hindrances = []
        for written in (*action.to, *action.cc):
            to = str(read_address_list(written.encode()).mailboxes[0].address)
            try:
                item = self._item(met, action, to, MessageView(octets))
            except ValueError as error:
                hindrances.append(f"nobody notified, since {error}")
                continue
            if why := self._allowance.take(met.by.account, met.by.user):
                hindrances.append(f"{to} not notified, since {why}")
            else:
                self._put(item, octets)
        return "; ".join(hindrances)

    def _item(self, met: Met, action: Action, to: str, message: MessageView) -> QueueItem:
        """Raises ValueError when the address is of a domain of ours, and nobody's."""
        return own_mail(
            new_queue_id(),
            way_to(self._directory, to),
            why=f"sent for {met.owner} by line {action.place.line} of the script {action.script}",
            message_id=message.message_id,
            size_octets=len(message.octets),
            at=self._clock.now(),
        )

    def _put(self, item: QueueItem, octets: bytes) -> None:
        """In the queue when this returns. Raises StorageError."""
        asyncio.run_coroutine_threadsafe(self._commit(item, octets), self._loop).result()

    async def _commit(self, item: QueueItem, octets: bytes) -> None:
        incoming = self._spool.begin(item.id)
        incoming.write(octets)
        await incoming.commit(item)
        self._spool.leave(item.id)
