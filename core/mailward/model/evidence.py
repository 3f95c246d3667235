"""What was observed about a message, and by whom: findings and authentication results."""

from dataclasses import dataclass, field

import msgspec

Scalar = str | int | float | bool
"""What a single fact may hold, beside tuples of strings."""

FactValue = Scalar | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuthResult:
    """One result of an authentication method (RFC 8601 section 2.2), e.g. spf=pass smtp.mailfrom=example.net.

    properties: ("smtp.mailfrom", "example.net") pairs in order. reason: plain words, None when there is none.
    """

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding in the form that is judged, recorded and explained: plain values only.

    points: the symbol's default or the policy's score, times strength; set when the policy has judged.
    asks: the word of the verdict the plugin asks for, or None.
    """

    plugin: str
    symbol: str | None
    text: str
    strength: float = 1.0
    points: float = 0.0
    asks: str | None = None


class HookCall(msgspec.Struct, frozen=True):
    """One call of one hook of one plugin. status: ok, failed, shadow, off or skipped; error: why it failed.

    A Struct, since each call of a hook makes one: a frozen dataclass takes seven times as long to make.
    """

    plugin: str
    version: str
    hook: str
    stage: str
    duration_ms: float
    status: str
    error: str | None = None
    findings: tuple[StoredFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceSet:
    """All that is known for judging one message: the calls made and every declared fact of every enabled plugin.

    facts: "spf.result" -> value; every declared fact is present with its type, "<plugin>.status" too.
    """

    calls: tuple[HookCall, ...] = ()
    facts: dict[str, FactValue] = field(default_factory=dict)
    auth_results: tuple[AuthResult, ...] = ()
