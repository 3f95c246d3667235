"""The admin's lists that scripts may ask (RFC 6134): those that mailward.yaml gives a URI, of those whose entries commands keep.

Whoever has an account can find out by his own mail what is on them, so no other list is there for scripts.
"""

from collections.abc import Mapping
from datetime import datetime

from mailward.formats.address_lists import read_address_list
from mailward.lists import ListStore


class ScriptLists:
    """names: of lists, by their URIs in the form of `sieve.lists.list_name`. The methods raise StorageError."""

    def __init__(self, names: Mapping[str, str], kept: ListStore) -> None:
        self._names = names
        self._kept = kept

    def has(self, uri: str) -> bool:
        """Whether there is one, with or without entries."""
        return uri in self._names

    def holds(self, uri: str, value: str, at: datetime) -> bool:
        """Whether a value is on it then. On lists of addresses it may be one with a name around it, or several."""
        name = self._names[uri]
        if self._kept.types().get(name) != "address":
            return self._kept.holds(name, (value,), at)
        mailboxes = read_address_list(value.encode("utf-8", "surrogateescape")).mailboxes
        return self._kept.holds(name, [str(one.address) for one in mailboxes if one.address is not None], at)

    def addresses(self, uri: str, most: int, at: datetime) -> tuple[str, ...] | None:
        """So many at most; None for a list of something else."""
        name = self._names[uri]
        if self._kept.types().get(name, "address") != "address":
            return None
        return tuple(entry.value for entry in self._kept.entries(name, at, most))
