"""The admin's lists that scripts may ask (RFC 6134): those that mailward.yaml gives a URI, of those whose entries commands keep.

Whoever has an account can find out by his own mail what is on them, so no other list is there for scripts.
"""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime

from mailward.formats.address_lists import read_address_list
from mailward.lists import ListQuestions, ListStore


class ScriptLists:
    """names: of lists, by their URIs in the form of `sieve.lists.list_name`."""

    def __init__(self, names: Mapping[str, str], kept: ListStore) -> None:
        self._names = names
        self._kept = kept

    def asked(self, at: datetime) -> "AskedLists":
        """For one run of a script, as they are then."""
        return AskedLists(self._names, self._kept.questions(at))


class AskedLists:
    """Of one run; to be closed. The methods raise StorageError."""

    def __init__(self, names: Mapping[str, str], kept: ListQuestions) -> None:
        self._names = names
        self._kept = kept

    def has(self, uri: str) -> bool:
        """Whether there is one, with or without entries."""
        return uri in self._names

    def first_held(self, uris: Sequence[str], values: Sequence[str]) -> str | None:
        """The first value on any of these. On lists of addresses it may be one with a name around it, or several."""
        held = {value for uri in uris for value in self._held(self._names[uri], values)}
        return next((value for value in values if value in held), None)

    def addresses(self, uri: str, most: int) -> tuple[str, ...] | None:
        """So many at most; None for a list of something else."""
        name = self._names[uri]
        return self._kept.newest(name, most) if self._kept.type(name) in ("address", None) else None

    def close(self) -> None:
        """No further use."""
        self._kept.close()

    def _held(self, name: str, values: Sequence[str]) -> Set[str]:
        if self._kept.type(name) != "address":
            return self._kept.held(name, values)
        addresses = {value: _addresses(value) for value in values}
        held = self._kept.held(name, (address for some in addresses.values() for address in some))
        return {value for value, some in addresses.items() if not held.isdisjoint(some)}


def _addresses(value: str) -> list[str]:
    mailboxes = read_address_list(value.encode("utf-8", "surrogateescape")).mailboxes
    return [str(one.address) for one in mailboxes if one.address is not None]
