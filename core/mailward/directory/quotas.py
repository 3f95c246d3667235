"""How much mail accounts may hold: a domain says it for all of its accounts, an account for itself. Nothing said is no limit."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mailward.model.ids import AccountId
from mailward.model.limits import NO_LIMITS, MailLimits

NO_LIMIT = 0
"""What an account says that is to have none although its domain has."""

Owner = Literal["account", "domain"]


@dataclass(frozen=True, slots=True)
class Quotas:
    """All of one moment, as they were set: by an account's id, by a domain's name."""

    accounts: Mapping[str, MailLimits]
    domains: Mapping[str, MailLimits]

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> "Quotas":
        found: dict[str, dict[str, MailLimits]] = {"account": {}, "domain": {}}
        for owner, name, octets, messages in connection.execute("SELECT owner, name, octets, messages FROM quota"):
            found[owner][name] = MailLimits(octets, messages)
        return cls(found["account"], found["domain"])

    def of(self, account: AccountId, domain: str) -> MailLimits:
        """What holds for an account of a domain."""
        own, domains = self.accounts.get(account, NO_LIMITS), self.domains.get(domain, NO_LIMITS)
        octets = domains.octets if own.octets is None else own.octets
        messages = domains.messages if own.messages is None else own.messages
        return MailLimits(octets or None, messages or None)


def put(connection: sqlite3.Connection, owner: Owner, name: str, limits: MailLimits) -> None:
    """Set, or with NO_LIMITS forget."""
    connection.execute("DELETE FROM quota WHERE owner = ? AND name = ?", (owner, name))
    if limits != NO_LIMITS:
        connection.execute("INSERT INTO quota VALUES (?, ?, ?, ?)", (owner, name, limits.octets, limits.messages))
