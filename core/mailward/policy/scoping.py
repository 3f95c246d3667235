"""Does a `for:` name what can be? Its words become a Scope; what they cannot mean in this direction is a Problem."""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import fields

from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.nearest import nearest
from mailward.formats.network import Network, unmapped
from mailward.formats.yaml_nodes import Node
from mailward.model.errors import Problem
from mailward.policy.directions import RULES, Direction
from mailward.policy.schema import ScopeKeys
from mailward.policy.scope import GROUP, PEOPLE_KEYS, Key, PeopleKey, Scope

Listeners = Mapping[str, Collection[Direction]]
"""Name of a listener -> the directions that judge what comes by it."""

_EXAMPLES: Mapping[Key, str] = {
    **dict.fromkeys(PEOPLE_KEYS, "[example.org]"),
    "network": "[192.0.2.0/24]",
    "listener": "[mx]",
}


class Scoping:
    """Of one policy. listeners: those there are, None where nobody knows. Problems are added to the list it was made with."""

    def __init__(self, direction: Direction, listeners: Listeners | None, problems: list[Problem]) -> None:
        self.direction = direction
        self._listeners = listeners
        self._problems = problems

    def scope(self, keys: ScopeKeys, node: Node, path: str) -> Scope:
        """What `for:` of this node means, as far as it means something."""
        read = _Reading(self.direction, self._listeners, node, f"{path}.for", self._problems)
        written = node.at("for")
        if written is not None and not written.mapping:
            possible = [key.name for key in fields(ScopeKeys) if key.name not in RULES[self.direction].unscoped]
            read.problem((), "it does not say for what", f"Keys: {', '.join(possible)}.")
        return Scope(
            recipient=read.names("recipient", keys.recipient),
            sender=read.names("sender", keys.sender),
            network=read.networks(keys.network),
            listener=read.listeners(keys.listener),
            identity=read.names("identity", keys.identity),
        )


class _Reading:
    """Of one `for:`."""

    def __init__(self, direction: Direction, listeners: Listeners | None, node: Node, path: str, problems: list[Problem]) -> None:
        self._direction = direction
        self._listeners = listeners
        self._node = node
        self._path = path
        self._problems = problems

    def problem(self, place: tuple[str | int, ...], text: str, hint: str = "") -> None:
        key = f".{place[0]}" if place else ""
        self._problems.append(Problem(self._node.where_of(["for", *place]), self._path + key, text, hint))

    def names(self, key: PeopleKey, words: tuple[str, ...] | None) -> frozenset[str] | None:
        found = set()
        for place, word in self._words(key, words):
            try:
                found.add(self._name(key, word))
            except AddressSyntaxError as error:
                kinds = "domain or address" if self._has_no_groups(key) else "domain, address or group:name"
                self.problem(place, f"'{word[:80]}' is no {kinds}: {error}", self._hint(key, word))
        return None if words is None else frozenset(found)

    def _has_no_groups(self, key: PeopleKey) -> bool:
        return key == "sender" and self._direction == "inbound"

    def _name(self, key: PeopleKey, word: str) -> str:
        if word.startswith(GROUP):
            if self._has_no_groups(key):
                raise AddressSyntaxError("a stranger is in no group of yours")
            if not word.removeprefix(GROUP):
                raise AddressSyntaxError("the group has no name")
            return word
        return str(parse_mailbox(word)).lower() if "@" in word else normalise_domain(word)

    def _hint(self, key: PeopleKey, word: str) -> str:
        if word == "<>" and key == "sender":
            return "For the null reverse-path write a rule with when: mail_from.is_null."
        return "Each domain is named for itself: no form means all below one." if word.startswith(("*", ".")) else ""

    def networks(self, words: tuple[str, ...] | None) -> frozenset[Network] | None:
        found = set()
        for place, word in self._words("network", words):
            try:
                network = ipaddress.ip_network(word)
            except ValueError:
                self.problem(place, *_no_network(word))
                continue
            if "%" in word:
                self.problem(place, f"'{word}' has a zone, and clients are known without", f"Write {word.partition('%')[0]}.")
            elif (written := unmapped(network)) != network:
                text = f"'{word}' is IPv4 in IPv6, and such clients are known by their IPv4 address"
                self.problem(place, text, f"Write {written}.")
            found.add(network)
        return None if words is None else frozenset(found)

    def listeners(self, words: tuple[str, ...] | None) -> frozenset[str] | None:
        for place, word in self._words("listener", words):
            if self._listeners is None or self._direction in self._listeners.get(word, ()):
                continue
            here = [name for name, directions in self._listeners.items() if self._direction in directions]
            hint = nearest(word, here) or f"Listeners of {self._direction}: {', '.join(here) or 'none'}."
            if word in self._listeners:
                self.problem(place, f"what comes by the listener '{word}' is not judged in {self._direction}", hint)
            else:
                self.problem(place, f"mailward.yaml has no listener '{word[:80]}'", hint)
        return None if words is None else frozenset(words)

    def _words(self, key: Key, words: tuple[str, ...] | None) -> list[tuple[tuple[str | int, ...], str]]:
        """Each with its place; none where the key can never hold, which is said."""
        if words is None:
            return []
        if (why := RULES[self._direction].unscoped.get(key)) is not None:
            self.problem((key,), *why)
            return []
        if not words:
            self.problem((key,), "nobody is named" if key in PEOPLE_KEYS else "none is named", f"Write {_EXAMPLES[key]}.")
        written = self._node.at("for", key)
        several = written is not None and isinstance(written.value, list)
        return [((key, index) if several else (key,), word) for index, word in enumerate(words)]


def _no_network(word: str) -> tuple[str, str]:
    """Why, and what to write."""
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        why = ": a group is of people" if word.startswith(GROUP) else ""
        return f"'{word[:80]}' is no network{why}", "Write 192.0.2.0/24, 2001:db8::/32, or one address."
    host = word.partition("/")[0]
    text = f"'{word}' is no network: the address goes on behind the first {network.prefixlen} bits"
    return text, f"Write {network} for all of it, or {host} for the one address."
