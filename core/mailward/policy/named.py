"""Some plugins and rules of a policy, by their names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Thing(Protocol):
    """Whatever is told of a plugin or a rule. kind: plugin or rule."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Named:
    """Names of plugins, and names of rules: a plugin and a rule may have the same."""

    plugins: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, things: Iterable[Thing]) -> "Named":
        """Those that these are told of."""
        found = [(thing.kind, thing.name) for thing in things]
        return cls(*(frozenset(name for kind, name in found if kind == wanted) for wanted in ("plugin", "rule")))

    def __bool__(self) -> bool:
        return bool(self.plugins or self.rules)
