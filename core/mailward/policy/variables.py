"""Facts become the variables of conditions, when the first condition reads them: that costs more than most conditions do."""

from collections.abc import Callable, Iterable, Mapping

import cel

from mailward.model.evidence import FactValue
from mailward.policy.facts import cleaned

Group = Mapping[str, tuple[tuple[str, str, FactValue], ...]]
"""Root -> (member, whole name, default): how facts become variables."""


def roots_of(names: Iterable[str]) -> frozenset[str]:
    """The first words of facts: "author" of "author.domain"."""
    return frozenset(name.partition(".")[0] for name in names)


def group(defaults: Mapping[str, FactValue]) -> Group:
    """The facts some conditions need, by their first word; a fact of one word has the member ""."""
    roots: dict[str, list[tuple[str, str, FactValue]]] = {}
    for name, default in defaults.items():
        root, _, member = name.partition(".")
        roots.setdefault(root, []).append((member, name, default))
    return {root: tuple(members) for root, members in roots.items()}


class Variables:
    """Those of one message. Not for several threads at once."""

    def __init__(self, needed: Group, facts: Mapping[str, FactValue], listed: Callable[[object, object], bool]) -> None:
        """facts: as they are whenever a condition reads them; what they do not hold has its default."""
        self._needed = needed
        self._facts = facts
        self._context = cel.Context()
        self._context.add_function("listed", listed)
        self._told: set[str] = set()

    def context(self, roots: frozenset[str]) -> cel.Context:
        """What a condition that reads facts of these first words is executed with."""
        if not roots <= self._told:
            for root in roots - self._told:
                self._context.add_variable(root, self._variable(root))
            self._told |= roots
        return self._context

    def changed(self, root: str) -> None:
        """Facts of this first word are others now."""
        self._told.discard(root)

    def _variable(self, root: str) -> object:
        """A fact of one word itself, or the members of a group."""
        members = self._needed[root]
        if len(members) == 1 and not members[0][0]:
            return cleaned(self._facts.get(members[0][1], members[0][2]))
        return {member: cleaned(self._facts.get(name, default)) for member, name, default in members}
