"""SEARCH over a selected mailbox: flags and numbers from the session's arrays, the rest from stored columns. Blocking."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from mailward.access.imap.selected import Selected
from mailward.formats.message import MessageView
from mailward.protocol.imap.search import Age, And, Day, Flag, Key, Not, Numbers, Or, Size, Text
from mailward.store.base import AccountStore

_BATCH = 500


def search(store: AccountStore, selected: Selected, key: Key, now: datetime) -> list[int]:
    """Places (sequence number - 1) of the messages that match, in order."""
    sets = _Sets(selected)
    cheap, costly = _split(key)
    found = [index for index in range(len(selected)) if _cheap(cheap, index, selected, sets)]
    if costly is None:
        return found
    matching = []
    for start in range(0, len(found), _BATCH):
        some = found[start : start + _BATCH]
        meta = store.meta([selected.messages[i] for i in some], ("internal_date", "sent_date", "size_octets", "headers"))
        for index, (arrived, sent, size, headers) in zip(some, meta, strict=True):
            message = _Message(store, selected.messages[index], int(arrived), int(sent), int(size), headers)
            if _matches(costly, index, selected, sets, message, now):
                matching.append(index)
    return matching


class _Sets:
    """Resolved number sets, each once a search."""

    def __init__(self, selected: Selected) -> None:
        self._selected = selected
        self._resolved: dict[Numbers, frozenset[int]] = {}

    def holds(self, key: Numbers, index: int) -> bool:
        found = self._resolved.get(key)
        if found is None:
            found = self._resolved[key] = frozenset(self._selected.indexes(key.numbers, uid=key.uid))
        return index in found


class _Message:
    """What a costly key looks at; the message itself is read once, if at all."""

    def __init__(self, store: AccountStore, number: int, arrived: int, sent: int, size_octets: int, headers: object) -> None:
        self._store = store
        self._number = number
        self.arrived_at = datetime.fromtimestamp(arrived, UTC)
        self.sent_at = datetime.fromtimestamp(sent, UTC)
        self.size_octets = size_octets
        self._headers = headers if isinstance(headers, bytes) else b""

    @cached_property
    def header_view(self) -> MessageView:
        return MessageView(self._headers)

    @cached_property
    def header_text(self) -> str:
        return "\n".join(f"{field.name}: {field.text}" for field in self.header_view.fields).casefold()

    @cached_property
    def body_text(self) -> str:
        view = MessageView(self._store.read(self._number))
        texts = [text.part.text for text in view.texts()]
        if not texts:
            texts = [view.body_octets.decode("utf-8", "replace")]
        return "\n".join(texts).casefold()

    def has_in_header(self, name: str, text: str) -> bool:
        return any(text in field.text.casefold() for field in self.header_view.all(name))


def _is_cheap(key: Key) -> bool:
    if isinstance(key, And):
        return all(map(_is_cheap, key.keys))
    if isinstance(key, Or):
        return _is_cheap(key.first) and _is_cheap(key.second)
    if isinstance(key, Not):
        return _is_cheap(key.key)
    return isinstance(key, Flag | Numbers)


def _split(key: Key) -> tuple[Key, Key | None]:
    """What can be told from the arrays, and the rest, which is asked only of messages that pass."""
    if _is_cheap(key):
        return key, None
    if not isinstance(key, And):
        return And(()), key
    cheap = tuple(k for k in key.keys if _is_cheap(k))
    return And(cheap), And(tuple(k for k in key.keys if not _is_cheap(k)))


def _cheap(key: Key, index: int, selected: Selected, sets: _Sets) -> bool:
    if isinstance(key, And):
        return all(_cheap(k, index, selected, sets) for k in key.keys)
    if isinstance(key, Or):
        return _cheap(key.first, index, selected, sets) or _cheap(key.second, index, selected, sets)
    if isinstance(key, Not):
        return not _cheap(key.key, index, selected, sets)
    if isinstance(key, Flag):
        return bool(selected.flags[index] & selected.bit_of(key.name))
    assert isinstance(key, Numbers)
    return sets.holds(key, index)


def _matches(key: Key, index: int, selected: Selected, sets: _Sets, message: _Message, now: datetime) -> bool:
    if isinstance(key, And):
        return all(_matches(k, index, selected, sets, message, now) for k in key.keys)
    if isinstance(key, Or):
        return any(_matches(k, index, selected, sets, message, now) for k in (key.first, key.second))
    if isinstance(key, Not):
        return not _matches(key.key, index, selected, sets, message, now)
    if isinstance(key, Flag | Numbers):
        return _cheap(key, index, selected, sets)
    if isinstance(key, Size):
        return message.size_octets > key.octets if key.larger else message.size_octets < key.octets
    if isinstance(key, Day):
        return _RELATIONS[key.relation]((message.arrived_at if key.field == "internal" else message.sent_at).date(), key.day)
    if isinstance(key, Age):
        return (message.arrived_at >= now - timedelta(seconds=key.seconds)) == key.younger
    return _has_text(key, message)


_RELATIONS: dict[str, Callable[[date, date], bool]] = {
    "before": lambda a, b: a < b,
    "on": lambda a, b: a == b,
    "since": lambda a, b: a >= b,
}


def _has_text(key: Text, message: _Message) -> bool:
    wanted = re.sub(r"\s+", " ", key.text).casefold()
    if key.where.startswith("header:"):
        return message.has_in_header(key.where.partition(":")[2], wanted)
    if key.where == "body":
        return wanted in message.body_text
    return wanted in message.header_text or wanted in message.body_text
