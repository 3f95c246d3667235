"""What a plugin declares about itself and what its hooks return."""

import inspect
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Literal, get_args

from mailward.model.evidence import AuthResult
from mailward.model.verdict import Verdict

PLUGIN_NAME = re.compile(r"[a-z][a-z0-9_]*")
SYMBOL_NAME = re.compile(r"[A-Z][A-Z0-9_]*")

API_VERSION = 1
"""What this server offers, for `Plugin(api=1, ...)`."""

Asked = Literal["reject", "tempfail", "quarantine", "junk"]
"""The verdicts a finding may ask for; the policy's `heed: true` decides whether anybody listens."""


@dataclass(frozen=True)
class Settings:
    """Base of a plugin's settings: a frozen dataclass whose fields are the keys under `plugins: {name: ...}`.

    Types: bool, int, float, str, `datetime.timedelta` (written 30s, 5m, 2h), `datetime.date` (2026-12-01), an enum, a Literal,
    a frozen dataclass of these, tuples of these, and `Mapping[str, ...]` to one of these (with `field(default_factory=dict)`).
    Every field needs a default. Names of the core's own keys (mode, timeout, on_error ...) are refused.
    """


@dataclass(frozen=True)
class Facts:
    """Base of a plugin's facts: a frozen dataclass of bool, int, float, str or tuple[str, ...], each with a default.

    Policies read them as `<plugin>.<fact>`. Every declared fact always exists, with its default until a finding sets it.
    """


Capability = Literal["body", "edits", "network", "files", "credentials"]
"""What a plugin may do beyond looking at session and envelope.

body: see what people wrote, that is name `message`, `moved` or `classified`. edits: propose changes (`edit_*` hooks), or the
folder that mail goes into (`provide_folder`).
network: ask or send by `resolver`, `http` and `submit`, and open sockets. files: read and write files by itself.
credentials: see what proves a name and say who it is (`secret`, `code`, `provide_identity`, `provide_second_factor`,
`services.credentials`), and read private keys (`services.secrets`).
"""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named observation a plugin can make. points: its default weight in the score at strength 1; may be negative."""

    points: float
    description: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one hook call observed.

    symbol: one of the plugin's declared symbols, or None for an observation without weight ("clean").
    text: one plain sentence for people; control characters are removed, at most 300 characters are kept.
    strength: 0 to 1, multiplies the symbol's points. facts: an instance of the plugin's Facts class; replaces earlier ones.
    asks: a verdict the plugin would like; it counts only when the policy says `heed: true`.
    auth: results to publish in Authentication-Results (RFC 8601).
    """

    symbol: str | None
    text: str
    strength: float = 1.0
    facts: Facts | None = None
    asks: Asked | None = None
    auth: tuple[AuthResult, ...] = ()


Findings = Finding | Iterable[Finding] | None
"""What an `inspect_*` hook returns."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """The declaration every plugin module carries under the name `plugin`.

    api: the version of `mailward.api` it was written for (1). summary: one line for `mailward plugins list`.
    capabilities: all it needs; a hook or a service that needs another one is refused. Admins read them before they enable it.
    """

    api: int
    summary: str
    settings: type[Settings] = Settings
    facts: type[Facts] = Facts
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    version: str = "0"
    capabilities: tuple[Capability, ...] = ()

    def problems(self) -> list[str]:
        """What is wrong with this declaration, in plain words; empty when it is sound."""
        found = []
        if self.api != API_VERSION:
            found.append(f"it is written for api {self.api}; this server offers api {API_VERSION}")
        if not (isinstance(self.summary, str) and isinstance(self.version, str)):
            found.append("summary and version are texts")
        if not isinstance(self.symbols, Mapping) or not all(isinstance(name, str) for name in self.symbols):
            return [*found, 'symbols maps names to Symbols: symbols={"ACME_LONG": Symbol(1.0, "The subject is long")}']
        found += [
            f"symbol {name!r} must be capitals, digits and underscores"
            for name in self.symbols
            if not SYMBOL_NAME.fullmatch(name)
        ]
        found += [
            f"symbol {name!r} needs Symbol(points, description), a number and a text: Symbol(1.0, 'The subject is long')"
            for name, symbol in self.symbols.items()
            if not _is_symbol(symbol)
        ]
        found += _capability_problems(self.capabilities)
        found += _class_problems(self.facts, Facts, "facts") + _class_problems(self.settings, Settings, "settings")
        if found:
            return found
        if "status" in {f.name for f in fields(self.facts)}:
            found.append("the fact name 'status' belongs to the core")
        found += [
            f"the fact '{f.name}' has the default {f.default!r}; bool, int, float, str or a tuple of str was expected"
            for f in fields(self.facts)
            if not _can_be_fact(f.default)
        ]
        return found


def _is_symbol(symbol: object) -> bool:
    """Whoever wrote it may have written anything."""
    if not isinstance(symbol, Symbol):
        return False
    points: object = symbol.points
    is_number = isinstance(points, (int, float)) and not isinstance(points, bool) and math.isfinite(points)
    return is_number and isinstance(symbol.description, str)


def _capability_problems(declared: object) -> list[str]:
    known = get_args(Capability)
    if not isinstance(declared, tuple):
        return ['capabilities must be a tuple: capabilities=("body",)']
    return [f"there is no capability {name!r}; {', '.join(known)} were expected" for name in declared if name not in known]


def _class_problems(declared: type[Facts] | type[Settings], base: type, what: str) -> list[str]:
    if not (isinstance(declared, type) and issubclass(declared, base)):
        return [f"{what}={declared!r} must be a class derived from mailward.api.{base.__name__}"]
    if inspect.get_annotations(declared) and "__dataclass_params__" not in declared.__dict__:
        return [f"{declared.__name__} needs @dataclass(frozen=True) above it"]
    return [
        f"{declared.__name__}.{f.name} needs a default" for f in fields(declared) if f.default is MISSING is f.default_factory
    ]


def _can_be_fact(default: object) -> bool:
    if isinstance(default, tuple):
        return all(isinstance(item, str) for item in default)
    return isinstance(default, (bool, int, float, str))


def asked_verdict(finding: Finding) -> Verdict | None:
    """The verdict a finding asks for, None when it asks for none. Raises ValueError for a word that is none of `Asked`."""
    if finding.asks is None:
        return None
    if finding.asks not in get_args(Asked):
        raise ValueError(f"asks={finding.asks!r}; one of {', '.join(get_args(Asked))} was expected")
    return Verdict(finding.asks)
