"""How much an account holds, and when that is too much (RFC 9208). The counters of its mailboxes are the sum that counts."""

import sqlite3
from collections.abc import Sequence

from mailward.model.limits import NO_LIMITS, MailLimits
from mailward.store import deliveries
from mailward.store.base import Quota
from mailward.store.clauses import uid_clause
from mailward.store.ops import Append, Expunge, Op
from mailward.store.refusals import OverQuota

GRACE = 0.1
"""So much beyond the limit is still delivered: who is at the limit can store nothing, and gets mail for a while."""
STEPS = 100
"""Of the limit: strangers hear of an account's room in no smaller ones. To the octet they would hear of each message that comes
and of each that is deleted (T-RELAY-18)."""


def load_quota(connection: sqlite3.Connection, limits: MailLimits) -> Quota:
    row: tuple[int, int] = connection.execute(
        "SELECT coalesce(sum(size_octets), 0), coalesce(sum(n_exists), 0) FROM mailbox"
    ).fetchone()
    return Quota(*row, limits)


def has_room(held: Quota, octets: int) -> bool:
    """Would a message of so many octets, were it delivered now, be taken? 0 where they are not known.

    It counts as whole steps, one or more: what would just have found room is refused, what finds none is never let in, and an
    account with less room than a step is full for all.
    """
    step = max((held.limits.octets or 0) // STEPS, 1)
    whole = step * max(-(-octets // step), 1)
    return _excess(held, Quota(held.octets + whole, held.messages + 1, held.limits), 1 + GRACE) is None


class Gauge:
    """What an account holds while lists of ops are carried out."""

    def __init__(self, connection: sqlite3.Connection, limits: MailLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._quota = Quota(0, 0, limits) if limits == NO_LIMITS else load_quota(connection, limits)

    def check_before(self, ops: Sequence[Op]) -> None:
        """Raises OverQuota for a list of messages to add and to expunge that adds too much: its octets are not even written."""
        if self._limits == NO_LIMITS or not all(isinstance(op, Append | Expunge) for op in ops):
            return
        octets, messages = self._quota.octets, self._quota.messages
        for op in ops:
            if isinstance(op, Append) and deliveries.find(self._connection, op.delivery_key) is None:
                octets, messages = octets + len(op.octets), messages + 1
            elif isinstance(op, Expunge):
                freed_octets, freed_messages = self._held_by(op)
                octets, messages = octets - freed_octets, messages - freed_messages
        self._check(ops, Quota(octets, messages, self._limits))

    def check_after(self, ops: Sequence[Op]) -> None:
        """Raises OverQuota when the list has left the account with more than it had, and more than it may have."""
        if self._limits != NO_LIMITS:
            held = load_quota(self._connection, self._limits)
            self._check(ops, held)
            self._quota = held

    def _check(self, ops: Sequence[Op], held: Quota) -> None:
        only_deliveries = all(isinstance(op, Append) and deliveries.is_delivery(op.delivery_key) for op in ops)
        excess = _excess(self._quota, held, 1 + GRACE if only_deliveries else 1)
        if excess is not None:
            raise OverQuota(excess)

    def _held_by(self, op: Expunge) -> tuple[int, int]:
        where, values = uid_clause(sorted(set(op.uids)))
        query = f"SELECT coalesce(sum(size_octets), 0), count(*) FROM entry WHERE mailbox = ? AND {where}"  # noqa: S608
        octets, messages = self._connection.execute(query, (op.mailbox, *values)).fetchone()
        return octets, messages


def _excess(before: Quota, after: Quota, share: float) -> str | None:
    """Why an account may not come to hold this, None when it may. share: of its limits, so much may be used."""
    most_octets, most_messages = before.limits.octets, before.limits.messages
    if most_octets is not None and after.octets > max(most_octets * share, before.octets):
        return _told("octets of mail", most_octets, share, before.octets, after.octets)
    if most_messages is not None and after.messages > max(most_messages * share, before.messages):
        return _told("messages", most_messages, share, before.messages, after.messages)
    return None


def _told(unit: str, most: int, share: float, before: int, after: int) -> str:
    """What would be added stands in it: there may be room for less."""
    at_delivery = f" ({int(most * share)} at delivery)" if share > 1 else ""
    return f"The account may hold {most} {unit}{at_delivery} and has {before}; this would add {after - before}"
