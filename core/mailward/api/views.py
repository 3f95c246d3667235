"""Read-only views of session, envelope, message and evidence, as hooks see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mailward.api.plugin import Facts, Finding
from mailward.formats.message import Link, MessageView, PartView, TextPart
from mailward.model.envelope import Envelope
from mailward.model.evidence import AuthResult
from mailward.model.session import Session

F = TypeVar("F", bound=Facts)

SessionView = Session
"""Session values are frozen, so they are their own view."""

EnvelopeView = Envelope
"""Envelope values are frozen, so they are their own view."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a hook may know of the work of others: earlier stages, and the plugins it names in `needs` and `after`.

    facts_by_plugin: the Facts instance of each such plugin. findings: (plugin name, finding) in the order they came.
    status: "ok", "off", "shadow", "skipped" or "failed" of each such plugin.
    """

    facts_by_plugin: Mapping[str, Facts] = field(default_factory=dict)
    findings: tuple[tuple[str, Finding], ...] = ()
    status: Mapping[str, str] = field(default_factory=dict)

    def facts(self, plugin: str) -> Facts | None:
        """The facts of that plugin, None when it is not enabled or not visible to this hook."""
        return self.facts_by_plugin.get(plugin)

    def value(self, plugin: str, name: str) -> str:
        """One fact as text, "" when it is not there: for plugins that may not import each other's Facts classes."""
        facts = self.facts_by_plugin.get(plugin)
        return "" if facts is None else str(getattr(facts, name, ""))

    def values(self, plugin: str, name: str) -> tuple[str, ...]:
        """A fact that holds several strings, () when it is not there."""
        found = getattr(self.facts_by_plugin.get(plugin), name, ())
        return found if isinstance(found, tuple) else (str(found),)

    def auth_results(self) -> tuple[AuthResult, ...]:
        """All authentication results so far."""
        return tuple(result for _, finding in self.findings for result in finding.auth)


__all__ = ["EnvelopeView", "Evidence", "Link", "MessageView", "PartView", "SessionView", "TextPart"]
