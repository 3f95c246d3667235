"""`mailward tls forecast`: what the history says, in plain words."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from mailward.api import (
    CommandAnswer,
    CommandOption,
    ServerCall,
    ServerCommand,
    TlsLevel,
    parse_duration,
)
from mailward_plugins.tlsrpt.forecast import Forecast, Host, forecast
from mailward_plugins.tlsrpt.history import first_day, rows

DEFAULT_SINCE = "30d"
ASKED = (TlsLevel.REQUIRED, TlsLevel.VERIFIED)
_WORDS = {
    TlsLevel.REQUIRED: "required (never in clear)",
    TlsLevel.VERIFIED: "verified (and the server proves its name)",
}


async def _forecast(call: ServerCall) -> CommandAnswer:
    domain, period = call.options["require"], call.options.get("since", DEFAULT_SINCE)
    today = call.services.clock.now().date()
    since = today - min(parse_duration(period), timedelta(days=36_500))
    oldest = await first_day(call.services.kv)
    found = {}
    if oldest is not None:
        for level in ASKED:
            found[level] = await forecast(rows(call.services.kv, max(since, oldest), today), domain, level)
    known = found.get(TlsLevel.REQUIRED)
    data = {
        "domain": domain,
        "since": since.isoformat(),
        "known_since": None if oldest is None else oldest.isoformat(),
        "connections": 0 if known is None else known.connections,
        "levels": {level.value: _data(one) for level, one in found.items()},
    }
    if known is None or not known.connections:
        kept = "nothing is remembered yet" if oldest is None else f"the history begins on {oldest:%Y-%m-%d}"
        return CommandAnswer(f"no connection to a server of {domain} in the last {period}; {kept}", data)
    lines = [f"{domain}: {_count(known.connections, 'connection')} since {max(since, oldest or since):%Y-%m-%d}"]
    for level, one in found.items():
        lines += _told(level, one)
    return CommandAnswer("\n".join(lines), data, 1 if any(one.failing for one in found.values()) else 0)


def _told(level: TlsLevel, found: Forecast) -> Sequence[str]:
    some = f", {found.unknown} cannot be told" if found.unknown else ""
    if not found.failing:
        return [f"{_WORDS[level]}: none would have failed{some}"]
    head = f"{_WORDS[level]}: {found.failing} of {found.connections} would have failed{some}"
    return [head, *(f"  {_line(host)}" for host in found.hosts if host.failing)]


def _line(host: Host) -> str:
    at = f"{host.last_failed_at.astimezone():%Y-%m-%d %H:%M %Z}" if host.last_failed_at else ""
    return f"{host.mx_host}: {host.failing} of {host.connections}, last {at}: {host.reason}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _data(found: Forecast) -> Mapping[str, object]:
    return {
        "failing": found.failing,
        "unknown": found.unknown,
        "hosts": [
            {
                "host": host.mx_host,
                "connections": host.connections,
                "failing": host.failing,
                "unknown": host.unknown,
                "reason": host.reason,
                "last_failed_at": host.last_failed_at.isoformat() if host.last_failed_at else None,
            }
            for host in found.hosts
        ],
    }


COMMANDS = (
    ServerCommand(
        "tls",
        "forecast",
        "Say what would have failed, had TLS been required of a domain's servers: from what became of earlier connections.\n\n"
        "Exits 1 when some connections would not have been good enough, 0 when all would, or none was made.\n\n"
        "Example: mailward tls forecast --require example.net --since 30d",
        _forecast,
        {
            "require": CommandOption("The domain that mail goes to.", "domain", required=True),
            "since": CommandOption(f"Only the last 12h, 7d ...; else {DEFAULT_SINCE}.", "duration"),
        },
    ),
)
