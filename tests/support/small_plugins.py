"""Plugin declarations for policy tests: the facts and symbols of the bundled plugins, without the plugins."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from mailward.api import Facts, Plugin, Settings, Symbol
from mailward.model.evidence import EvidenceSet, FactValue, HookCall, StoredFinding


@dataclass(frozen=True)
class SpfFacts(Facts):
    result: str = "none"
    domain: str = ""


@dataclass(frozen=True)
class DkimFacts(Facts):
    result: str = "none"
    domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class DmarcFacts(Facts):
    result: str = "none"
    policy: str = ""
    domain: str = ""


class Depth(enum.Enum):
    FAST = "fast"
    DEEP = "deep"


@dataclass(frozen=True)
class AntivirusSettings(Settings):
    socket: str = "/run/clamav/clamd.ctl"
    max_octets: int = 25_000_000
    idle: timedelta = timedelta(seconds=10)
    depth: Depth = Depth.FAST
    form: Literal["whole", "parts"] = "whole"
    skip: tuple[str, ...] = ()
    ratio: float = 1.0
    enabled: bool = True


@dataclass(frozen=True)
class AntivirusFacts(Facts):
    infected: bool = False
    name: str = ""


@dataclass(frozen=True)
class SpamFacts(Facts):
    probability: float = 0.5


@dataclass(frozen=True)
class DlpSettings(Settings):
    at_least: int = 1


@dataclass(frozen=True)
class DlpFacts(Facts):
    cards: int = 0


@dataclass(frozen=True)
class EncryptionSettings(Settings):
    default: Literal["opportunistic", "required"] = "opportunistic"
    domains: Mapping[str, Literal["opportunistic", "required"]] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class EncryptionFacts(Facts):
    required: bool = False
    satisfied: bool = False


@dataclass(frozen=True)
class AmbiguityFacts(Facts):
    mime: bool = False
    author: bool = False


PLUGINS = {
    "accounts": Plugin(1, "passwords"),
    "totp": Plugin(1, "codes"),
    "login_guard": Plugin(1, "guards", symbols={"LOGIN_SPRAYING": Symbol(10.0, "many names")}),
    "encryption": Plugin(1, "TLS", settings=EncryptionSettings, facts=EncryptionFacts),
    "spf": Plugin(1, "SPF", facts=SpfFacts, symbols={"SPF_FAIL": Symbol(2.5, "fails"), "SPF_PASS": Symbol(-0.2, "passes")}),
    "dkim": Plugin(1, "DKIM", facts=DkimFacts, symbols={"DKIM_PASS": Symbol(-0.2, "holds")}),
    "dmarc": Plugin(1, "DMARC", facts=DmarcFacts, symbols={"DMARC_FAIL": Symbol(1.0, "fails")}),
    "client": Plugin(1, "names of clients"),
    "ambiguity": Plugin(1, "readers", facts=AmbiguityFacts, symbols={"AMBIGUOUS_MIME": Symbol(4.0, "differs")}),
    "antivirus": Plugin(
        1, "clamd", settings=AntivirusSettings, facts=AntivirusFacts, symbols={"VIRUS_FOUND": Symbol(20.0, "malware")}
    ),
    "spam": Plugin(1, "words", facts=SpamFacts, symbols={"BAYES_SPAM": Symbol(6.0, "spam"), "BAYES_HAM": Symbol(-3.0, "ham")}),
    "tlsrpt": Plugin(1, "TLS reports"),
    "acme_dlp": Plugin(1, "cards", settings=DlpSettings, facts=DlpFacts, symbols={"ACME_DLP_CARDS": Symbol(3.0, "cards")}),
}

STAGES: dict[str, Literal["mail", "rcpt", "message"]] = {"spf": "mail", "encryption": "mail"}


def finding(plugin: str, symbol: str | None = None, strength: float = 1.0, asks: str | None = None) -> HookCall:
    """One successful call with one finding."""
    return HookCall(
        plugin, "0", "inspect_message", "message", 1.0, "ok", None, (StoredFinding(plugin, symbol, "found", strength, 0.0, asks),)
    )


def failed(plugin: str) -> HookCall:
    """A call that failed."""
    return HookCall(plugin, "0", "inspect_message", "message", 1.0, "failed", "it raised", ())


def evidence(calls: Sequence[HookCall] = (), /, **facts: FactValue) -> EvidenceSet:
    """Calls, and facts written dmarc__result="pass"."""
    return EvidenceSet(tuple(calls), {name.replace("__", "."): value for name, value in facts.items()})
