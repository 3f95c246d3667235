"""Which hosts would not have got their mail, had TLS been asked for? Judged from what became of earlier connections."""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mailward.api import TlsLevel
from mailward_plugins.tlsrpt.history import Row

IN_CLEAR = "the server does not offer STARTTLS"

Verdict = Literal["safe", "fails", "unknown"]


@dataclass(slots=True)
class Host:
    """One host that got mail for the domain. is_routed: a route or an order here named it, and not the domain.

    connections: so many were looked at. failing: of them would have failed; reason: of the last.
    """

    mx_host: str
    is_routed: bool
    connections: int = 0
    failing: int = 0
    unknown: int = 0
    reason: str = ""
    last_failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """hosts: by name, those that would have failed first."""

    hosts: tuple[Host, ...]

    @property
    def connections(self) -> int:
        return sum(host.connections for host in self.hosts)

    @property
    def failing(self) -> int:
        return sum(host.failing for host in self.hosts)

    @property
    def unknown(self) -> int:
        return sum(host.unknown for host in self.hosts)


async def forecast(rows: AsyncIterable[Row], domain: str, level: TlsLevel) -> Forecast:
    """What would have become of the mail for a domain at this level: required or verified."""
    hosts: dict[tuple[str, bool], Host] = {}
    async for row in rows:
        if row.domain != domain:
            continue
        key = (row.session.mx_host, row.session.is_routed)
        host = hosts.setdefault(key, Host(*key))
        host.connections += row.count
        verdict, reason = judge(row, level)
        if verdict == "unknown":
            host.unknown += row.count
        elif verdict == "fails":
            host.failing += row.count
            if host.last_failed_at is None or row.last_at > host.last_failed_at:
                host.reason, host.last_failed_at = reason, row.last_at
    return Forecast(tuple(sorted(hosts.values(), key=lambda host: (-host.failing, host.mx_host))))


def judge(row: Row, level: TlsLevel) -> tuple[Verdict, str]:
    """Would such a connection have been good enough, and if not, why?"""
    session = row.session
    if session.level is None:
        return "fails", session.detail
    if session.level.strength >= level.strength:
        return "safe", ""
    if session.level is TlsLevel.OPPORTUNISTIC:
        return "fails", session.detail or IN_CLEAR
    if session.unproven is None:
        return "unknown", ""
    return ("fails", session.unproven) if session.unproven else ("safe", "")
