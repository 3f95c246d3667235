"""The plugins of a policy, and what became of their calls: plain values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec
import structlog
from msgspec import structs

from mailward.api.plugin import Facts, Finding, Settings
from mailward.api.services import Services
from mailward.metering import METERS
from mailward.model.address import ForwardPath
from mailward.model.evidence import HookCall, StoredFinding
from mailward.model.metrics import Counter
from mailward.model.verdict import Verdict
from mailward.pipeline.plugins import LoadedPlugin
from mailward.pipeline.stages import PLACES

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CALLS = Counter("plugin_calls", "Calls of hooks that were asked for", ("plugin",))
FAILURES = Counter(
    "plugin_failures",
    "Calls of hooks that failed; so have those that were not made: of a suspended plugin, or after what it needs had failed",
    ("plugin",),
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Enabled:
    """One plugin as a policy uses it. place: among those that edit, lowest first. timeout_s: limit of each of its calls.

    on_error: what a failed call counts as. isolated: it runs in a process of its own.
    """

    plugin: LoadedPlugin
    settings: Settings
    services: Services
    timeout_s: float
    mode: Literal["enforce", "shadow"] = "enforce"
    place: int = 0
    on_error: Verdict = Verdict.TEMPFAIL
    isolated: bool = False

    @property
    def name(self) -> str:
        return self.plugin.name


class Answer(msgspec.Struct, Generic[T]):
    """What a guarded call came to. error: why there is no value. is_final: nor will there ever be one for this message.

    took_s: how long it took; 0 when it was not made. cost_s: what the failure costs beyond that. is_suspect: its process ended,
    maybe by another call under way in it.
    """

    value: T | None = None
    error: str | None = None
    is_final: bool = False
    took_s: float = 0.0
    cost_s: float = 0.0
    is_suspect: bool = False


class Called(msgspec.Struct, Generic[T_co], frozen=True):
    """One call that was made: `call` for the record; value: the checked answer, None when it failed or had none.

    is_final: it failed for a fault of the message itself. forward_path: the one it looked at, where there may be others; its
    facts are that recipient's.
    """

    call: HookCall
    value: T_co | None = None
    is_final: bool = False
    forward_path: ForwardPath | None = None

    @property
    def failed(self) -> bool:
        return self.call.error is not None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of an `inspect_*` hook."""
        return tuple(entry for entry in self.value if isinstance(entry, Finding)) if isinstance(self.value, tuple) else ()


Calls = Sequence[Called[object]]
"""Of any hooks."""


def recorded(one: Enabled, hook: str, answer: Answer[T]) -> Called[T]:
    """The call with its record; a failed one is told in the log. Findings are recorded for `inspect_*` hooks."""
    stage, error, value = PLACES[hook].stage, answer.error, answer.value
    if error is not None:
        METERS.of("").count(FAILURES, plugin=one.name)
        _log.warning("plugin failed", plugin=one.name, hook=hook, stage=stage, mode=one.mode, reason=error)
    status = "shadow" if one.mode == "shadow" else "ok" if error is None else "failed"
    stored: tuple[StoredFinding, ...] = ()
    if value and isinstance(value, tuple) and hook.startswith("inspect_"):
        stored = tuple(StoredFinding(one.name, f.symbol, f.text, float(f.strength), asks=f.asks) for f in value)
    took_ms = int(answer.took_s * 1_000_000) / 1000
    call = HookCall(one.plugin.name, one.plugin.version, hook, stage, took_ms, status, error, stored)
    return Called(call, value, answer.is_final)


def facts_of(calls: Iterable[Called[object]]) -> dict[str, Facts]:
    """The facts that hold for every recipient, by plugin; a later call's replace an earlier one's."""
    for_all = (called for called in calls if called.forward_path is None)
    return {called.call.plugin: finding.facts for called in for_all for finding in called.findings if finding.facts is not None}


def own_facts_of(calls: Iterable[Called[object]]) -> dict[ForwardPath, dict[str, Facts]]:
    """Those that hold for one recipient alone, by plugin; a later call about no one in particular replaces them.

    Never another recipient's: their number and order are the sender's choice.
    """
    own: dict[ForwardPath, dict[str, Facts]] = {}
    for called in calls:
        facts = next((finding.facts for finding in reversed(called.findings) if finding.facts is not None), None)
        if facts is None:
            continue
        if called.forward_path is not None:
            own.setdefault(called.forward_path, {})[called.call.plugin] = facts
        else:
            for found in own.values():
                found.pop(called.call.plugin, None)
    return own


def about(path: ForwardPath | None, calls: Iterable[Called[T]]) -> tuple[Called[T], ...]:
    """The same calls as about this forward-path; None: as about the only one there is, so that its facts are those that hold."""
    return tuple(called if called.forward_path == path else structs.replace(called, forward_path=path) for called in calls)


def status_of(calls: Iterable[Called[object]]) -> dict[str, str]:
    """plugin -> "failed" when one of its calls failed, else what its calls say."""
    status: dict[str, str] = {}
    for called in calls:
        if status.get(called.call.plugin) != "failed":
            status[called.call.plugin] = called.call.status
    return status
