"""The reports of a day that has ended: to everybody who asks for one, once."""

from datetime import UTC, date, datetime, time, timedelta

from mailward.api import DnsTemporaryError, Services
from mailward_plugins.tlsrpt.history import Row, rows
from mailward_plugins.tlsrpt.record import rua_of
from mailward_plugins.tlsrpt.report import build, delay, mail
from mailward_plugins.tlsrpt.settings import TlsrptSettings

PATIENCE = timedelta(hours=12)
"""So long after the end of the day name servers that fail are asked again; who has none that work by then gets no report."""


class NotAllSent(Exception):
    """Name servers fail; the rest is to be done later."""


async def send_reports(day: date, settings: TlsrptSettings, services: Services) -> None:
    """Raises NotAllSent. What was sent before is not sent again."""
    by_domain: dict[str, list[Row]] = {}
    async for row in rows(services.kv, day, day):
        if row.session.is_routed:  # a next hop of ours, of which the domain knows nothing
            continue
        by_domain.setdefault(row.domain, []).append(row)
    over_at = datetime.combine(day, time(), UTC) + timedelta(days=1)
    unasked = 0
    for domain, some in by_domain.items():
        try:
            rua = await rua_of(domain, services.resolver)
        except DnsTemporaryError:
            unasked += 1
            continue
        if rua.others:
            services.log.info("report_not_by_https", domain=domain)
        if rua.addresses:
            report = build(day, domain, some, settings)
            not_before = over_at + delay(domain, settings)
            for address in rua.addresses:
                octets = mail(day, domain, report, address, services.clock.now(), settings)
                await _submit(services, address, octets, f"{day.isoformat()} {domain} {address}", not_before)
    if unasked and services.clock.now() < over_at + PATIENCE:
        raise NotAllSent(f"the name servers of {unasked} domains do not say who wants a report")


async def _submit(services: Services, address: str, octets: bytes, key: str, not_before: datetime) -> None:
    try:
        await services.submit(address, octets, key=key, not_before=not_before, tls_optional=True)
    except ValueError as error:
        services.log.info("report_not_sent", to=address, reason=str(error))
