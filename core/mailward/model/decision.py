"""The decision record: why each recipient of one message got the verdict it got. Never content, never credentials."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mailward.model.evidence import FactValue, HookCall, StoredFinding
from mailward.model.ids import QueueId

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class InShadow:
    """A plugin or a rule that looked at a message and did not count. kind: plugin or rule. where: "file:line:column".

    unknown: why nobody knows what would have been with it; "" when it is known: each recipient's `shadow` says where it matters.
    """

    kind: str
    name: str
    where: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class OfCanary:
    """A plugin or a rule that counts for a share of senders. kind: plugin or rule. counted: it did for this one."""

    kind: str
    name: str
    counted: bool


@dataclass(frozen=True, slots=True)
class WithIt:
    """What a recipient would have got if one thing in shadow had counted, or everything (kind "all", without a name).

    The other fields are those of `RecipientDecision`; one of them differs from what the recipient did get.
    """

    kind: str
    name: str
    verdict: str
    score: float
    source_kind: str
    source_name: str
    source_where: str
    actions: tuple[str, ...] = ()

    @classmethod
    def of(cls, kind: str, name: str, decision: "RecipientDecision") -> "WithIt":
        """What a decision says, told of one thing."""
        d = decision
        return cls(kind, name, d.verdict, d.score, d.source_kind, d.source_name, d.source_where, d.actions)


@dataclass(frozen=True, slots=True)
class RecipientDecision:
    """The verdict for one forward-path. verdict and floor are the words of `Verdict`.

    rule: "infected (policies/inbound.yaml:9:3)" or "limits.junk 5 (…)" in the words of `source_*`.
    wanted: the verdict before one reply had to serve several recipients, when that changed it ("reject" kept as quarantine).
    folder, flags: where an accepted copy goes and how it is marked, when rules say so; "" is the verdict's own mailbox.
    shadow: what would have been otherwise, for each thing of the record's `shadow` that would have made a difference.
    """

    recipient: str
    verdict: str
    score: float
    source_kind: str
    source_name: str
    source_where: str
    floor: str = "accept"
    wanted: str = ""
    actions: tuple[str, ...] = ()
    shadow: tuple[WithIt, ...] = ()
    folder: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaterEvent:
    """Something that happened after the verdict: delivered, quarantined, moved to Junk ... in plain words."""

    at: str
    recipient: str
    text: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of the plugins in shadow, which look after the reply, when the record was made already.

    calls: theirs. facts: those that are otherwise by them. shadow: instead of the record's. recipients: instead of the `shadow`
    of each of the record's, in their order; empty when nothing would have been otherwise for anybody.
    """

    calls: tuple[HookCall, ...]
    facts: Mapping[str, FactValue]
    shadow: tuple[InShadow, ...]
    recipients: tuple[tuple[WithIt, ...], ...]

    def to_json(self) -> str:
        """One line of JSON."""
        return _ENCODER.encode(self)

    @classmethod
    def from_json(cls, text: str) -> "Looked":
        """What `to_json` wrote."""
        raw = json.loads(text)
        return cls(
            _calls(raw["calls"]),
            _facts(raw["facts"]),
            tuple(InShadow(**s) for s in raw["shadow"]),
            tuple(_with_its(found) for found in raw["recipients"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Everything `explain` shows about one message. Times are ISO 8601 in UTC; reply is the text sent to the peer.

    What has a default stays so for mail that no policy judged: what the core refused, and what it wrote itself.
    shadow: what looked and did not count. canaries: of what counts for a share of senders, whether it did.
    """

    id: QueueId
    received_at: str
    direction: str
    session: Mapping[str, str] = field(default_factory=dict)
    reverse_path: str
    message_id: str = ""
    size_octets: int
    calls: tuple[HookCall, ...] = ()
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    recipients: tuple[RecipientDecision, ...] = ()
    shadow: tuple[InShadow, ...] = ()
    canaries: tuple[OfCanary, ...] = ()
    reply: str = ""
    policy_hash: str = ""
    events: tuple[LaterEvent, ...] = ()
    version: int = field(default=RECORD_VERSION)

    @property
    def is_infected(self) -> bool:
        """A scanner has found malware: a fact called `infected` of any plugin is true."""
        return any(name.endswith(".infected") and value is True for name, value in self.facts.items())

    def with_events(self, events: tuple[LaterEvent, ...]) -> "DecisionRecord":
        """The same record with what happened later."""
        return replace(self, events=events)

    def looked_at(self, looked: Looked) -> "DecisionRecord":
        """The same record with what the plugins in shadow have found since."""
        found = looked.recipients or tuple(() for _ in self.recipients)
        return replace(
            self,
            calls=self.calls + looked.calls,
            facts={**self.facts, **looked.facts},
            shadow=looked.shadow,
            recipients=tuple(replace(one, shadow=shadow) for one, shadow in zip(self.recipients, found, strict=True)),
        )

    def to_json(self) -> str:
        """One line of JSON."""
        return _ENCODER.encode(self)

    @classmethod
    def from_json(cls, text: str) -> "DecisionRecord":
        """The record that `to_json` wrote. Raises ValueError for a newer version or anything else."""
        return cls.from_raw(json.loads(text))

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> "DecisionRecord":
        """The same from what JSON says, which is used up."""
        if raw.get("version") != RECORD_VERSION:
            raise ValueError(f"decision record of version {raw.get('version')}, this release reads {RECORD_VERSION}")
        raw["calls"] = _calls(raw["calls"])
        raw["facts"] = _facts(raw["facts"])
        raw["recipients"] = tuple(_recipient(r) for r in raw["recipients"])
        raw["shadow"] = tuple(InShadow(**s) for s in raw["shadow"]) if "shadow" in raw else _not_compared(raw["calls"])
        raw["canaries"] = tuple(OfCanary(**c) for c in raw.get("canaries", ()))
        raw["events"] = tuple(LaterEvent(**e) for e in raw["events"])
        return cls(**raw)


def _calls(raw: list[dict[str, Any]]) -> tuple[HookCall, ...]:
    return tuple(HookCall(**{**c, "findings": tuple(StoredFinding(**f) for f in c["findings"])}) for c in raw)


def _facts(raw: dict[str, Any]) -> dict[str, FactValue]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}


def _with_its(raw: list[Any]) -> tuple[WithIt, ...]:
    return tuple(WithIt(**{**s, "actions": tuple(s["actions"])}) for s in raw if isinstance(s, dict))


def _recipient(raw: dict[str, Any]) -> RecipientDecision:
    shadow = _with_its(raw["shadow"])
    return RecipientDecision(**{**raw, "shadow": shadow, **{key: tuple(raw[key]) for key in ("actions", "flags")}})


def _not_compared(calls: tuple[HookCall, ...]) -> tuple[InShadow, ...]:
    """Of a record of 0.1.0 before it compared: there were sentences, of points alone."""
    names = dict.fromkeys(call.plugin for call in calls if call.status == "shadow")
    return tuple(InShadow("plugin", name, unknown="recorded before such comparisons were made") for name in names)


def _fields(value: object) -> dict[str, object]:
    """The fields of one of our dataclasses, not copied as `asdict` would: this is done for every message."""
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_fields)


def utc_text(moment: datetime) -> str:
    """An aware moment as ISO 8601 in UTC with milliseconds and a Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
