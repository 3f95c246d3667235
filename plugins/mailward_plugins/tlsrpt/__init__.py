"""TLSRPT: what becomes of the connections to others' servers, and what would if more were asked of them (RFC 8460)."""

from collections.abc import Iterable
from datetime import date

from mailward.api import Plugin, RelayingAttempt, ServerCommand, Services, hookimpl
from mailward_plugins.tlsrpt.commands import COMMANDS
from mailward_plugins.tlsrpt.history import count
from mailward_plugins.tlsrpt.sending import send_reports
from mailward_plugins.tlsrpt.settings import TlsrptSettings

plugin = Plugin(
    api=1,
    summary="Remembers how well connections to other servers were protected, and reports it to those who want that",
    settings=TlsrptSettings,
)


@hookimpl
async def on_attempt(attempt: RelayingAttempt, settings: TlsrptSettings, services: Services) -> None:
    """What may go without TLS, reports above all, says nothing about the policies that others publish."""
    if attempt.sessions and not attempt.relaying.tls_optional:
        left_out = await count(services.kv, attempt, settings.keep)
        if left_out:
            services.log.warning("history_is_full", domain=attempt.relaying.domain, connections=left_out)


@hookimpl
async def on_day(day: date, settings: TlsrptSettings, services: Services) -> None:
    """The reports of the day, where somebody is to send them."""
    if settings.domain:
        await send_reports(day, settings, services)


@hookimpl
def collect_commands() -> Iterable[ServerCommand]:
    """mailward tls forecast."""
    return COMMANDS
