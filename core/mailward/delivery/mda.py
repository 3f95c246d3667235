"""Final delivery: one recipient's copy is made from the spool's octets and put where the verdict said (RFC 5321 section 4.4).

It may be called again for the same recipient after a crash: store and quarantine know the delivery key and add nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from mailward.api.services import Clock
from mailward.delivery.filing import UNSCRIPTED, Destination, Filing, Filings, destination_of
from mailward.formats.address import parse_mailbox
from mailward.formats.edits import render_pieces
from mailward.formats.message import MessageView
from mailward.formats.trace import return_path_field
from mailward.model.address import NULL_REVERSE_PATH, ReversePath
from mailward.model.decision import RecipientDecision, utc_text
from mailward.model.edits import RemoveHeader
from mailward.model.errors import LocalError
from mailward.model.ids import AccountId, MailboxId
from mailward.pipeline.folders import Chosen
from mailward.quarantine import Held, Quarantine
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.store.base import AccountStore, MailStore
from mailward.store.ops import Append, OpResult
from mailward.store.refusals import NotPermitted


@dataclass(frozen=True, slots=True)
class Copy:
    """One recipient's copy to be made. index: the recipient's place in the item, from 0.

    chosen: a plugin's word on its folder, where the recipient's own does not hold. filings: what the account's script says.
    """

    item: QueueItem
    index: int
    octets: bytes
    chosen: Chosen | None = None
    filings: Filings = UNSCRIPTED

    @property
    def recipient(self) -> QueuedRecipient:
        return self.item.recipients[self.index]

    @property
    def delivery_key(self) -> str:
        return f"{self.item.id}:{self.index}"

    def key_of(self, filing: Filing) -> str:
        """A script may want it in several mailboxes; of each name there is one, whatever is repeated."""
        kind = "sent:" if filing.is_other else ""
        return f"{self.delivery_key}:{kind}{filing.mailbox}" if filing.mailbox else self.delivery_key

    @property
    def decision(self) -> RecipientDecision | None:
        """About its recipient, or the address that led to it; None for none."""
        judged = self.recipient.asked or self.recipient.forward_path
        return next((one for one in self.item.decision.recipients if one.recipient == judged), None)

    def render(self) -> bytes:
        """The message as this recipient gets it: Return-Path, our trace fields, then the received octets with the edits."""
        sender = self.item.reverse_path_of(self.index)
        reverse_path = ReversePath(parse_mailbox(sender)) if sender else NULL_REVERSE_PATH
        on_top = (return_path_field(reverse_path) + self.item.trace).encode("utf-8")
        # Only the one that we write may be believed (RFC 5321 section 4.4).
        edits = (RemoveHeader("Return-Path"), *self.item.edits, *self.recipient.edits)
        return b"".join((on_top, *render_pieces(self.octets, edits)))


class Mda:
    """All calls block; run them in a thread."""

    def __init__(self, store: MailStore, quarantine: Quarantine, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._quarantine = quarantine

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        """Deliver copies of one account, or of one other route, together; what became of each in plain words, durable.

        Raises StorageError, and then none of them, or all of them, have been delivered.
        """
        route = copies[0].recipient.route
        if route == "mailbox":
            return self._to_mailboxes(AccountId(copies[0].recipient.account), copies)
        if route == "quarantine":
            return tuple(self._to_quarantine(copy) for copy in copies)
        if route == "expanded":
            return ("an alias: passed on to those whom it stands for",) * len(copies)
        raise LocalError(f"{copies[0].delivery_key}: no route is called '{route}'")

    def _to_mailboxes(self, account: AccountId, copies: Sequence[Copy]) -> tuple[str, ...]:
        store = self._store.open(account)
        wanted = [(copy, _aims(store, copy)) for copy in copies]
        appends = [(_append(copy, aim), aim) for copy, aims in wanted for aim in aims]
        try:
            stored = store.apply([append for append, _ in appends])
        except NotPermitted:  # a mailbox has so many different keywords, and the mail matters more than those of a script
            stored = store.apply([replace(append, flags=aim.rule_flags) for append, aim in appends])
        results = iter(stored)
        return tuple(
            "; ".join(
                [
                    *(_outcome(store, aim, result) for aim, result in zip(aims, islice(results, len(aims)), strict=True)),
                    *copy.filings.said,
                ]
            )
            for copy, aims in wanted
        )

    def keep(self, copy: Copy, reason: str) -> None:
        """See that a copy is in the quarantine, whatever became of one that was kept before; durable when it returns.

        Users cannot release it: no decision kept it. Raises StorageError.
        """
        index = copy.index
        while not self._keep_as(index, copy, reason) and not self._quarantine.find(copy.item.id, index):
            index += len(copy.item.recipients)  # what was kept under that index is released or dropped, and not to come back

    def _keep_as(self, index: int, copy: Copy, reason: str, decision: RecipientDecision | None = None) -> bool:
        """False when a copy was kept under this index before. decision: by which it is kept."""
        octets = copy.render()
        message = MessageView(octets)
        grounds = () if decision is None else decision.grounds
        held = Held(
            delivery_key=f"{copy.item.id}:{index}",
            id=copy.item.id,
            index=index,
            recipient=copy.recipient.forward_path,
            reason=reason,
            held_at=copy.item.received_at,
            kept_at=utc_text(self._clock.now()),
            size_octets=len(octets),
            route=copy.recipient.destination,
            reverse_path=copy.item.reverse_path,
            subject=message.subject,
            infected=copy.item.decision.is_infected,
            origin=copy.item.origin,
            user=copy.item.user,
            smtputf8=copy.item.smtputf8,
            require_tls=copy.item.require_tls,
            ret=copy.item.ret,
            envelope_id=copy.item.envelope_id,
            notify=",".join(copy.recipient.parameters.notify),
            original_recipient=copy.recipient.parameters.original_recipient,
            tls_optional=copy.item.tls_optional,
            hold_until=copy.item.hold_until,
            deliver_by=copy.item.deliver_by,
            by_mode=copy.item.by_mode,
            by_trace=copy.item.by_trace,
            priority=copy.item.priority,
            own_reverse_path=copy.recipient.reverse_path,
            asked=copy.recipient.asked,
            account=copy.recipient.account,
            author=shown_author(message),
            verdict="" if decision is None else decision.wanted or decision.verdict,
            cause=next(iter(grounds), ""),
            grounds="\n".join(grounds),
        )
        return self._quarantine.add(held, octets)

    def _to_quarantine(self, copy: Copy) -> str:
        self._keep_as(copy.index, copy, copy.recipient.reason, copy.decision)
        return f"put into quarantine: {copy.recipient.reason}"


def shown_author(message: MessageView) -> str:
    """Who From names, for people: the address first, so that no name passes for it; "" without a From."""
    first = next(iter(message.authors), None)
    if first is None:
        return ""
    address = first.raw.decode("utf-8", "replace") if first.address is None else str(first.address)
    return f"{address} ({first.display_name})" if first.address and first.display_name else address


@dataclass(frozen=True, slots=True)
class _Aim:
    """Where one filing leads. rule_flags: those that no script wants."""

    destination: Destination
    filing: Filing
    rule_flags: tuple[str, ...]
    flags: tuple[str, ...]


def _aims(store: AccountStore, copy: Copy) -> list[_Aim]:
    """Where it goes; once into each mailbox, with all flags that are wanted there (RFC 5228 section 2.10.3)."""
    found: dict[tuple[MailboxId, bool], _Aim] = {}
    for filing in copy.filings.wanted:
        destination = destination_of(store, copy.recipient, copy.chosen, filing)
        rule_flags = copy.recipient.flags
        key = destination.mailbox, filing.is_other
        aim = found.get(key, _Aim(destination, filing, rule_flags, rule_flags))
        found[key] = replace(aim, flags=tuple(dict.fromkeys((*aim.flags, *filing.flags))))
    return list(found.values())


def _append(copy: Copy, aim: _Aim) -> Append:
    octets = copy.render() if aim.filing.octets is None else aim.filing.octets
    return Append(aim.destination.mailbox, octets, copy.item.available_at, aim.flags, copy.key_of(aim.filing))


def _outcome(store: AccountStore, aim: _Aim, result: OpResult) -> str:
    return aim.destination.outcome if result.mailbox == aim.destination.mailbox else _delivered_before(store, result.mailbox)


def _delivered_before(store: AccountStore, mailbox: MailboxId) -> str:
    """An attempt that died after it had stored the copy had another folder in mind."""
    name = next((one.name for one in store.mailboxes() if one.id == mailbox), "a mailbox that is gone")
    return f"delivered to {name} by an earlier attempt"
