"""Which level and which bypass hold for a domain? Pure."""

from collections.abc import Mapping
from datetime import date
from typing import TypeVar

from mailward.api import TlsLevel, TlsRequirement
from mailward_plugins.encryption.settings import EncryptionSettings, Level

T = TypeVar("T")


def level_of(domain: str, settings: EncryptionSettings) -> tuple[Level, str]:
    """The level and the entry it comes from, "default" for none. domain: A-labels in lower case, "" for none."""
    entry = entry_of(domain, settings.domains)
    return (settings.domains[entry], entry) if entry else (settings.default, "default")


def entry_of(domain: str, entries: Mapping[str, T]) -> str:
    """The key that holds for a domain, "" for none: its own before those of its parents, a nearer parent's before a farther's."""
    entry = domain
    while entry and entry not in entries:
        dot = entry.find(".", 1)
        entry = entry[dot:] if dot > 0 else ""
    return entry


def own_requirement(domain: str, settings: EncryptionSettings, today: date) -> tuple[TlsRequirement, bool]:
    """What the admin asks for, and whether that is a bypass, beside which nothing else counts."""
    level, entry = level_of(domain, settings)
    why = f"the outbound policy says of encryption: {entry}: {level}"
    exempt = entry_of(domain, settings.bypass)
    if exempt:
        bypass = settings.bypass[exempt]
        if today <= bypass.until:
            text = f"the outbound policy has a bypass for {exempt} until {bypass.until}: {bypass.reason}"
            return TlsRequirement(TlsLevel.OPPORTUNISTIC, text), True
        why += f" (its bypass ended on {bypass.until})"
    return TlsRequirement(TlsLevel(level), why), False
