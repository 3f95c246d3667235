"""For whom is an override or a canary? Addresses, whole domains and groups, named in `for:`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.yaml_nodes import Node
from mailward.model.errors import Problem


@dataclass(frozen=True, slots=True)
class Whom:
    """Some people. addresses: in lower case. domains: A-labels in lower case, each for itself. groups: names."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def holds_for(self, address: str, groups: Collection[str]) -> bool:
        """Is it somebody of them? address: "local-part@domain" with the domain as A-labels. groups: those he is in."""
        lowered = address.lower()
        return lowered in self.addresses or lowered.rpartition("@")[2] in self.domains or not self.groups.isdisjoint(groups)

    def __str__(self) -> str:
        return ", ".join([*sorted(self.domains), *sorted(self.addresses), *(f"group:{name}" for name in sorted(self.groups))])


def whom(words: Sequence[str], node: Node, key: str, path: str, problems: list[Problem]) -> Whom:
    """What `for: {key: words}` of this node means, as far as it means something; the rest is added to the problems."""
    addresses: set[str] = set()
    domains: set[str] = set()
    groups: set[str] = set()
    written = node.at("for", key)
    several = written is not None and isinstance(written.value, list)
    for index, word in enumerate(words):
        try:
            if word.startswith("group:"):
                groups.add(word.removeprefix("group:"))
            elif "@" in word:
                addresses.add(str(parse_mailbox(word)).lower())
            else:
                domains.add(normalise_domain(word))
        except AddressSyntaxError as error:
            place = node.where_of(["for", key, *([index] if several else [])])
            text = f"'{word[:80]}' is no domain, address or group:name: {error}"
            hint = "Each domain is named for itself: no form means all below one." if word.startswith(("*", ".")) else ""
            problems.append(Problem(place, f"{path}.for.{key}", text, hint))
    if not words:
        problems.append(Problem(node.where_of(["for", key]), f"{path}.for.{key}", "nobody is named", "Write [example.org]."))
    return Whom(frozenset(addresses), frozenset(domains), frozenset(groups))
