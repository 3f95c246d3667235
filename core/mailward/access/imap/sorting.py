"""Messages in the order that SORT asks for (RFC 5256 section 3): a stable sort a key, the last one first. Runs in a thread."""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from math import isqrt

from mailward.access.imap.contents import Contents
from mailward.access.imap.turns import sorted_in_turns
from mailward.protocol.imap.sorting import Criterion, SortKey
from mailward.store.base import AccountStore, Column

_NUMBERS: Mapping[SortKey, Column] = {"ARRIVAL": "internal_date", "DATE": "sent_date", "SIZE": "size_octets"}
_TEXTS: Mapping[SortKey, Column] = {
    "SUBJECT": "subject_key",
    "FROM": "from_key",
    "TO": "to_key",
    "CC": "cc_key",
    "DISPLAYFROM": "from_display_key",
    "DISPLAYTO": "to_display_key",
}

_COMPARED_CHARACTERS = 1000
"""More of a text is not compared, so that those of all messages can be held; the RFC knows no end."""


def in_order(contents: Contents, places: Sequence[int], criteria: Sequence[Criterion]) -> list[int]:
    """The places, sorted; equal ones stay in the order of their sequence numbers, reversed or not."""
    name = " ".join(f"{criterion.key} {criterion.reverse}" for criterion in criteria)
    order = contents.once(f"sort {name}", places, lambda: array("I", _order(contents, places, criteria)).tobytes())
    return [places[at] for at in array("I", order)]


def in_order_among(contents: Contents, order: Sequence[int], new: Collection[int], criteria: Sequence[Criterion]) -> list[int]:
    """UIDs in the order of the criteria together with new ones. Few new ones are compared with few of many: with the first of
    every so many, and then with those behind the one that they follow (T-DOS-08)."""

    def among(*some: Iterable[int]) -> list[int]:
        uids = sorted(chain(*some))
        return [uids[at] for at in _order(contents, [*map(contents.selected.place_from, uids)], criteria)]

    step = isqrt(len(order)) or 1
    starts = {order[at]: at for at in range(0, len(order), step)}
    found: list[int] = []
    segment, following = order[:0], list[int]()
    for uid in (*among(starts, new), None):
        if uid is not None and uid not in starts:
            following.append(uid)
            continue
        found += among(segment, following) if following else segment
        if uid is not None:
            segment, following = order[starts[uid] : starts[uid] + step], []
    return found


def _order(contents: Contents, places: Sequence[int], criteria: Sequence[Criterion]) -> list[int]:
    """Which of the places comes when."""
    order = list(range(len(places)))
    for criterion in reversed(criteria):
        if criterion.key in _NUMBERS:
            keys: Sequence[int] | Sequence[str] = [*contents.numbers(_NUMBERS[criterion.key], places)]
        else:
            column = _TEXTS[criterion.key]
            keys = contents.ranks(column, partial(texts_of_column, contents.store, column), places)
        # Turned round twice, since equal ones stay in order.
        order = sorted_in_turns(order[::-1] if criterion.reverse else order, keys.__getitem__)
        order = order[::-1] if criterion.reverse else order
    return order


def texts_of_column(store: AccountStore, column: Column, messages: Sequence[int]) -> Iterator[str]:
    return (str(text)[:_COMPARED_CHARACTERS] for (text,) in store.meta(messages, (column,)))
