"""The decision record: why each recipient of one message got the verdict it got. Never content, never credentials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from mailward.model.evidence import FactValue, HookCall
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
    """A plugin or a rule that counts for some mail. kind: plugin or rule. counted: it did for this message.

    recipients: for whom it did; empty where it did for all.
    """

    kind: str
    name: str
    counted: bool
    recipients: tuple[str, ...] = ()

    def counted_for(self, recipient: str) -> bool:
        """Did it for this one of the message's recipients?"""
        return self.counted and (not self.recipients or recipient in self.recipients)


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
    grounds: of what is refused, kept or discarded, in the words of `model.grounds`: what decided first, then all else that would
    have kept it at least.
    facts: what was found of it alone; it stands before the record's, which hold for all. told: what the sender wants for it, and
    where an alias leads, which no policy has decided.
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
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    grounds: tuple[str, ...] = ()


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
    of each of the record's, in their order; empty when nothing would have been otherwise for anybody. own: instead of the `facts`
    of each of the record's; empty when nothing was found of one alone.
    """

    calls: tuple[HookCall, ...]
    facts: Mapping[str, FactValue]
    shadow: tuple[InShadow, ...]
    recipients: tuple[tuple[WithIt, ...], ...]
    own: tuple[Mapping[str, FactValue], ...] = ()

    def to_json(self) -> str:
        """One line of JSON."""
        return _written(self)

    @classmethod
    def from_json(cls, text: str) -> "Looked":
        """What `to_json` wrote. Raises ValueError for anything else."""
        try:
            return _LOOKED.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(f"no record of what looked in shadow: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Everything `explain` shows about one message. Times are ISO 8601 in UTC; reply is the text sent to the peer.

    What has a default stays so for mail that no policy judged: what the core refused, and what it wrote itself.
    shadow: what looked and did not count. canaries: of what counts for some mail, whether it did.
    takes_each: the peer took a reply for each recipient (LMTP, PRDR).
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
    takes_each: bool = False
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
        own = looked.own or tuple(one.facts for one in self.recipients)
        return replace(
            self,
            calls=self.calls + looked.calls,
            facts={**self.facts, **looked.facts},
            shadow=looked.shadow,
            recipients=tuple(
                replace(one, shadow=shadow, facts=facts) for one, shadow, facts in zip(self.recipients, found, own, strict=True)
            ),
        )

    def to_json(self) -> str:
        """One line of JSON."""
        return _written(self)

    @classmethod
    def from_json(cls, text: str) -> "DecisionRecord":
        """The record that `to_json` wrote. Raises ValueError for a newer version or anything else."""
        return _checked(lambda: _RECORD.decode(text))

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> "DecisionRecord":
        """The same from what JSON says."""
        return _checked(lambda: msgspec.convert(raw, cls))


def _checked(read: Callable[[], DecisionRecord]) -> DecisionRecord:
    try:
        record = read()
    except msgspec.DecodeError as error:
        raise ValueError(f"no decision record: {error}") from error
    if record.version != RECORD_VERSION:
        raise ValueError(f"decision record of version {record.version}, this release reads {RECORD_VERSION}")
    return record


def _written(value: "DecisionRecord | Looked") -> str:
    try:
        return _ENCODER.encode(value).decode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which no file takes
        return _ENCODER.encode(_mended(msgspec.to_builtins(value))).decode("utf-8")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list | tuple) else value


_ENCODER = msgspec.json.Encoder()
_RECORD = msgspec.json.Decoder(DecisionRecord)
_LOOKED = msgspec.json.Decoder(Looked)


def utc_text(moment: datetime) -> str:
    """An aware moment as ISO 8601 in UTC with milliseconds and a Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
