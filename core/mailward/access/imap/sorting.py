"""Messages in the order that SORT asks for (RFC 5256 section 3): a stable sort a key, the last one first. Runs in a thread."""

from collections.abc import Callable, Sequence

from mailward.access.imap.envelopes import display_key, mailbox_key
from mailward.access.imap.selected import Selected, taken
from mailward.protocol.imap.sorting import Criterion, SortKey
from mailward.store.base import AccountStore, Column

Value = int | bytes | str

_COLUMNS: dict[SortKey, tuple[Column, Callable[[Value], Value] | None]] = {
    "ARRIVAL": ("internal_date", None),
    "DATE": ("sent_date", None),
    "SIZE": ("size_octets", None),
    "SUBJECT": ("subject_key", None),
    "FROM": ("from_key", None),
    "TO": ("to_key", None),
    "CC": ("envelope", lambda envelope: mailbox_key(_octets(envelope), "Cc")),
    "DISPLAYFROM": ("envelope", lambda envelope: display_key(_octets(envelope), "From")),
    "DISPLAYTO": ("envelope", lambda envelope: display_key(_octets(envelope), "To")),
}
"""Where each key comes from, and what makes it of that."""


def in_order(store: AccountStore, selected: Selected, places: Sequence[int], criteria: Sequence[Criterion]) -> list[int]:
    """The places, sorted; equal ones stay in the order of their sequence numbers, reversed or not."""
    messages = taken(selected.messages, places)
    order = list(range(len(places)))
    for criterion in reversed(criteria):
        column, make = _COLUMNS[criterion.key]
        values = [value for (value,) in store.meta(messages, (column,))]
        keys = values if make is None else [make(value) for value in values]
        order.sort(key=keys.__getitem__, reverse=criterion.reverse)
    return [places[at] for at in order]


def _octets(envelope: Value) -> bytes:
    if not isinstance(envelope, bytes):
        raise TypeError(f"octets were expected, {type(envelope).__name__} came")
    return envelope
