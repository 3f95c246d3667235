"""Lists of ops from several threads as one transaction: one sync of the pack, one of the database.

Order: octets into the pack and synced, then the rows. So a row never points to octets that could be lost, and octets
without a row are just unused. A list that is refused is rolled back to its savepoint and does not hurt the others.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mailward.database import transaction
from mailward.model.ids import MailboxId
from mailward.model.limits import MailLimits
from mailward.store import annotations, deliveries, grants, mailboxes, scripts
from mailward.store.clauses import number_clause
from mailward.store.oplist import OpList, Stored
from mailward.store.ops import (
    ActivateScript,
    Append,
    Copy,
    CreateMailbox,
    DeleteMailbox,
    DeleteScript,
    Expunge,
    Named,
    Op,
    OpResult,
    PutScript,
    RenameMailbox,
    RenameScript,
    Renumber,
    SetAnnotations,
    SetFlags,
    SetRights,
    SetSpecialUse,
    Subscribe,
    Undelete,
)
from mailward.store.packing import append_records
from mailward.store.packs import Packs, Record
from mailward.store.quota import Gauge
from mailward.store.refusals import OverQuota, StoreRefusal
from mailward.store.rendered import Rendered
from mailward.store.uids import Numbers


@dataclass(slots=True)
class Request:
    """One list of ops with its messages parsed, and what became of it: results, or an error, which is never both."""

    ops: Sequence[Op]
    rendered: Sequence[Rendered]
    results: tuple[OpResult, ...] | None = None
    error: Exception | None = None


Outcome = tuple[Request, tuple[OpResult, ...] | None, Exception | None]


def run_batch(
    connection: sqlite3.Connection, packs: Packs, requests: Sequence[Request], now_s: int, limits: MailLimits
) -> tuple[set[MailboxId], int]:
    """Do all requests and set their results or refusals; the mailboxes that have changed, and how much is written untidied.

    Durable when it returns; when it raises, nothing has happened.
    """
    changed: set[MailboxId] = set()
    with transaction(connection):
        gauge = Gauge(connection, limits)
        requests, outcomes = _within(gauge, requests)
        stored = _store_octets(connection, packs, requests)
        numbers = Numbers(connection)
        for request in requests:
            given = numbers.given
            ops = OpList(connection, numbers, now_s, iter([*islice(stored, len(request.rendered))]))  # all, even if refused
            connection.execute("SAVEPOINT one_list")
            try:
                results = tuple(run_op(ops, op) for op in request.ops)
                ops.finish()
                ops.check_sizes()
                gauge.check_after(request.ops)
                outcomes.append((request, results, None))
                changed |= ops.changed
            except StoreRefusal as refusal:
                connection.execute("ROLLBACK TO one_list")
                numbers.take_back(given)
                outcomes.append((request, None, refusal))
            connection.execute("RELEASE one_list")
        numbers.save()
    for request, done, refused in outcomes:
        request.results, request.error = done, refused
    return changed, numbers.untidied_octets


def _within(gauge: Gauge, requests: Sequence[Request]) -> tuple[list[Request], list[Outcome]]:
    """Those to be tried, and what becomes of those that are too much by themselves."""
    tried: list[Request] = []
    refused: list[Outcome] = []
    for request in requests:
        try:
            gauge.check_before(request.ops)
            tried.append(request)
        except OverQuota as error:
            refused.append((request, None, error))
    return tried, refused


def run_op(ops: OpList, op: Op) -> OpResult:
    """One op of a list."""
    match op:
        case Append():
            return ops.append(op)
        case SetFlags():
            return ops.set_flags(op)
        case Expunge():
            return ops.expunge(op)
        case Undelete():
            return ops.undelete(op)
        case Copy():
            return ops.copy(op)
        case Named():
            return mailboxes.check_name(ops, op)
        case CreateMailbox():
            return mailboxes.create(ops, op)
        case RenameMailbox():
            return mailboxes.rename(ops, op)
        case DeleteMailbox():
            return mailboxes.delete(ops, op)
        case Renumber():
            return mailboxes.renumber(ops, op)
        case Subscribe():
            return mailboxes.subscribe(ops, op)
        case SetRights():
            return grants.change(ops, op)
        case SetSpecialUse():
            return mailboxes.set_special_use(ops, op)
        case SetAnnotations():
            return annotations.change(ops, op)
        case PutScript():
            return scripts.put(ops.connection, op)
        case RenameScript():
            return scripts.rename(ops.connection, op)
        case DeleteScript():
            return scripts.delete(ops.connection, op)
        case ActivateScript():
            return scripts.activate(ops.connection, op)


def _store_octets(connection: sqlite3.Connection, packs: Packs, requests: Sequence[Request]) -> Iterator[Stored]:
    """Every message that has a mailbox and is not known, written and synced."""
    targets = sorted({op.mailbox for request in requests for op in request.ops if isinstance(op, Append)})
    if not targets:
        return iter(())
    messages: list[tuple[Rendered, Record | None]] = []
    where, values = number_clause("id", targets)
    names: dict[MailboxId, str] = dict(connection.execute(f"SELECT id, name FROM mailbox WHERE {where}", values))  # noqa: S608
    for request in requests:
        appends = (op for op in request.ops if isinstance(op, Append))
        for op, rendered in zip(appends, request.rendered, strict=True):
            name = names.get(op.mailbox)
            wanted = name is not None and deliveries.find(connection, op.delivery_key) is None
            record = Record(rendered.record, op.octets, rendered.internal_date, name or "", op.flags)
            messages.append((rendered, record if wanted else None))
    records = [record for _, record in messages if record is not None]
    placed = iter(append_records(connection, packs, records))
    return ((rendered, next(placed) if record else None) for rendered, record in messages)
