"""Messages in the order that SORT asks for (RFC 5256 section 3): a stable sort a key, the last one first. Runs in a thread."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from mailward.access.imap.contents import Contents
from mailward.access.imap.envelopes import display_key, mailbox_key
from mailward.protocol.imap.sorting import Criterion, SortKey
from mailward.store.base import AccountStore, Column

_NUMBERS: Mapping[SortKey, Column] = {"ARRIVAL": "internal_date", "DATE": "sent_date", "SIZE": "size_octets"}
_TEXTS: Mapping[SortKey, Column] = {"SUBJECT": "subject_key", "FROM": "from_key", "TO": "to_key"}
_OF_ENVELOPES: Mapping[SortKey, Callable[[bytes], str]] = {
    "CC": lambda envelope: mailbox_key(envelope, "Cc"),
    "DISPLAYFROM": lambda envelope: display_key(envelope, "From"),
    "DISPLAYTO": lambda envelope: display_key(envelope, "To"),
}


def in_order(contents: Contents, places: Sequence[int], criteria: Sequence[Criterion]) -> list[int]:
    """The places, sorted; equal ones stay in the order of their sequence numbers, reversed or not."""
    order = list(range(len(places)))
    for criterion in reversed(criteria):
        if criterion.key in _NUMBERS:
            keys: Sequence[int] | Sequence[str] = [*contents.numbers(_NUMBERS[criterion.key], places)]
        else:
            keys = contents.ranks(f"sort {criterion.key}", partial(sort_texts, contents.store, criterion.key), places)
        order.sort(key=keys.__getitem__, reverse=criterion.reverse)
    return [places[at] for at in order]


def sort_texts(store: AccountStore, key: SortKey, messages: Sequence[int]) -> Iterator[str]:
    """What SORT compares of each message by a key that is no number."""
    if key in _TEXTS:
        return (str(text) for (text,) in store.meta(messages, (_TEXTS[key],)))
    make = _OF_ENVELOPES[key]
    return (make(envelope) for (envelope,) in store.meta(messages, ("envelope",)) if isinstance(envelope, bytes))
