"""For which mail, or which logins, is something? The `for:` of overrides and canaries: keys, each of them with words.

All keys of a scope must hold, and a key holds where the mail has any of its words. What a word may be is checked in `scoping`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from mailward.formats.network import Network, parsed_ip
from mailward.model.address import Address
from mailward.model.evidence import FactValue
from mailward.policy.ruling import RecipientFacts

Key = Literal["sender", "identity", "network", "listener", "recipient"]
PeopleKey = Literal["sender", "identity", "recipient"]
PEOPLE_KEYS: tuple[PeopleKey, ...] = get_args(PeopleKey)
KEYS: tuple[Key, ...] = get_args(Key)
GROUP = "group:"
MOST_ORIGINS = 256
"""For so many it is kept what holds for them: of one mail transaction it is asked at MAIL, at each RCPT and at the end."""

_SHOWN: Mapping[Key, str] = {"sender": "from", "identity": "by", "network": "in", "listener": "on", "recipient": "to"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mail transaction or a login comes from: what is known of it before any recipient is named.

    ip, listener: of the session. reverse_path: "local-part@domain", "" for the null one. user: the address of the account that
    has logged in, "" for none; groups: those it is in.
    """

    ip: str = ""
    listener: str = ""
    reverse_path: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, FactValue]) -> "Origin":
        """The one that these facts tell of."""
        groups = facts.get("identity.groups", ())
        return cls(
            str(facts.get("peer.ip", "")),
            str(facts.get("listener.name", "")),
            str(facts.get("mail_from.address", "")),
            str(facts.get("identity.user", "")),
            groups if isinstance(groups, tuple) else (),
        )


NOWHERE = Origin()
"""Where it does not matter, or while nothing is known."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The words of each key, None where the key is not there.

    recipient, sender, identity: addresses and domains in lower case (A-labels), "group:name". listener: names.
    """

    recipient: frozenset[str] | None = None
    sender: frozenset[str] | None = None
    network: frozenset[Network] | None = None
    listener: frozenset[str] | None = None
    identity: frozenset[str] | None = None

    def domains(self, key: PeopleKey) -> frozenset[str]:
        """Those that are named under a key, also by an address."""
        words: frozenset[str] = getattr(self, key) or frozenset()
        return frozenset(word.rpartition("@")[2] for word in words if not word.startswith(GROUP))

    def groups(self, key: PeopleKey) -> frozenset[str]:
        """The names of those that are named under a key."""
        words: frozenset[str] = getattr(self, key) or frozenset()
        return frozenset(word.removeprefix(GROUP) for word in words if word.startswith(GROUP))

    def __str__(self) -> str:
        """As people read it: "from example.net in 192.0.2.0/24 to example.org, cfo@example.com"."""
        parts = [(word, getattr(self, key)) for key, word in _SHOWN.items()]
        return " ".join(f"{word} {', '.join(_in_order(words))}" for word, words in parts if words is not None)


EVERYTHING = Scope()
"""Of what is for all mail."""


def _in_order(words: Iterable[object]) -> list[str]:
    """Domains, then addresses, then groups."""
    return sorted(map(str, words), key=lambda word: (word.startswith(GROUP), "@" in word, word))


class Scopes:
    """Several scopes, asked together. Their words are looked up, so that a hundred of them cost hardly more than one."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._all = frozenset(range(len(scopes)))
        self._sizes = {(network.version, _bits(network)) for one in scopes for network in one.network or ()}
        self._places = {key: _Places([_filed(one, key) for one in scopes]) for key in KEYS}
        self._of_origin = tuple(key for key in KEYS if key != "recipient" and self._places[key].matters)
        self._from = lru_cache(maxsize=MOST_ORIGINS)(self._look_up)

    def holding(self, origin: Origin, recipient: RecipientFacts | None) -> tuple[int, ...]:
        """The places of those that hold, in their order. recipient: None while nobody is named, so that those for some wait."""
        if not self._all:
            return ()
        found = self._places["recipient"].of(self._words("recipient", origin, recipient))
        if found and self._of_origin:
            found &= self._from(origin)
        return tuple(sorted(found))

    def failing(self, place: int, origin: Origin, recipient: RecipientFacts | None) -> tuple[Key, ...]:
        """The keys that keep one of them from holding."""
        return tuple(key for key in KEYS if place not in self._places[key].of(self._words(key, origin, recipient)))

    def _look_up(self, origin: Origin) -> frozenset[int]:
        found = self._all
        for key in self._of_origin:
            found &= self._places[key].of(self._words(key, origin, None))
        return found

    def _words(self, key: Key, origin: Origin, recipient: RecipientFacts | None) -> Sequence[Hashable]:
        """All that a scope could call this mail by."""
        match key:
            case "recipient":
                return () if recipient is None else _names(_addresses(recipient), recipient.groups)
            case "sender":
                return _names((origin.reverse_path,), origin.groups)
            case "identity":
                return _names((origin.user,), origin.groups)
            case "listener":
                return (origin.listener,)
            case "network":
                address = parsed_ip(origin.ip)
                if address is None:
                    return ()
                return [(version, bits, int(address) >> bits) for version, bits in self._sizes if version == address.version]


class _Places:
    """One key of several scopes. words: of each of them, None where it has not this key."""

    def __init__(self, words: Sequence[Iterable[Hashable] | None]) -> None:
        self._without = frozenset(place for place, own in enumerate(words) if own is None)
        self.matters = len(self._without) < len(words)
        places: dict[Hashable, set[int]] = {}
        for place, own in enumerate(words):
            for word in own or ():
                places.setdefault(word, set()).add(place)
        self._by_word = {word: frozenset(found) for word, found in places.items()}

    def of(self, words: Iterable[Hashable]) -> frozenset[int]:
        """Those that have one of these words, or have not this key."""
        found = [self._by_word[word] for word in words if word in self._by_word]
        return self._without.union(*found) if found else self._without


def _filed(scope: Scope, key: Key) -> Iterable[Hashable] | None:
    if key == "network" and scope.network is not None:
        return [(one.version, _bits(one), int(one.network_address) >> _bits(one)) for one in scope.network]
    words: Iterable[Hashable] | None = getattr(scope, key)
    return words


def _bits(network: Network) -> int:
    """Of a host in it."""
    return network.max_prefixlen - network.prefixlen


def _addresses(recipient: RecipientFacts) -> tuple[str, ...]:
    """All that lead where its mail goes: none of them may be a way round what is said of a mailbox."""
    base = recipient.local_part.removesuffix(f"+{recipient.tag}") if recipient.tag and recipient.is_local else ""
    return (recipient.address, *((str(Address(base, recipient.domain)),) if base else ()), *recipient.mailboxes)


def _names(addresses: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
    lowered = tuple(address.lower() for address in addresses)
    return (*lowered, *{address.rpartition("@")[2] for address in lowered}, *(GROUP + name for name in groups))
