"""The reports of a day that has ended: to everybody who asks for one, once, and to nobody too many.

Whoever publishes the record decides where reports about his domain go, and he may have a thousand domains. So what one receiver
can be sent in strangers' names is limited, and so are all reports of a day (T-TLS-24).
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from mailward.api import DnsTemporaryError, Services, alike
from mailward_plugins.tlsrpt.history import Row, rows
from mailward_plugins.tlsrpt.record import rua_of
from mailward_plugins.tlsrpt.report import build, delay, mail
from mailward_plugins.tlsrpt.settings import TlsrptSettings

PATIENCE = timedelta(hours=12)
"""So long after the end of the day name servers that fail are asked again; who has none that work by then gets no report."""
AT_ONCE = 20
"""Domains whose name servers are asked at the same time, so that one that lets us wait holds up no other."""
MOST_A_DAY = 5000
MOST_FROM_OTHERS = 100
"""Reports of a day to addresses in domains that end alike, about domains that are neither the address's own nor below it."""
MOST_ABOUT_ONE = 200
"""Reports of a day about domains that end alike, so that one with thousands of them leaves room for everybody else's."""
COUNTED_FOR = timedelta(days=30)

_SENT = b"sent/"


class NotAllSent(Exception):
    """Name servers fail; the rest is to be done later."""


async def send_reports(day: date, settings: TlsrptSettings, services: Services) -> None:
    """Raises NotAllSent. What was sent before is not sent again. The domains that most connections went to come first."""
    by_domain: dict[str, list[Row]] = {}
    async for row in rows(services.kv, day, day):
        if row.session.is_routed:  # a next hop of ours, of which the domain knows nothing
            continue
        by_domain.setdefault(row.domain, []).append(row)
    sending = _Sending(day, settings, services)
    waiting = iter(sorted(by_domain, key=lambda domain: -sum(row.count for row in by_domain[domain])))

    async def send() -> None:
        for domain in waiting:
            await sending.send(domain, by_domain.pop(domain))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(send())
    if sending.left_out:
        services.log.warning("reports left out", day=day.isoformat(), reports=sending.left_out)
    if sending.unasked and services.clock.now() < sending.over_at + PATIENCE:
        raise NotAllSent(f"the name servers of {sending.unasked} domains do not say who wants a report")


class _Sending:
    """One day's. unasked: domains whose name servers fail. left_out: reports beyond the limits."""

    def __init__(self, day: date, settings: TlsrptSettings, services: Services) -> None:
        self.over_at = datetime.combine(day, time(), UTC) + timedelta(days=1)
        self.unasked = 0
        self.left_out = 0
        self._day = day
        self._settings = settings
        self._services = services
        self._one_at_a_time = asyncio.Lock()  # between what a counter says and what it says then nobody else may come

    async def send(self, domain: str, some: Sequence[Row]) -> None:
        try:
            rua = await rua_of(domain, self._services.resolver)
        except DnsTemporaryError:
            self.unasked += 1
            return
        if rua.others:
            self._services.log.info("report not by HTTPS", domain=domain)
        for address in rua.addresses:
            async with self._one_at_a_time:
                counters = self._counters(domain, address)
                known = await self._services.kv.counters(list(counters))
                if any(known.get(key, (0,))[0] >= most for key, most in counters.items()):
                    self.left_out += 1
                elif await self._submit(domain, some, address):
                    one_more = dict.fromkeys(counters, (1,))
                    await self._services.kv.add_many(one_more, expires_after_s=COUNTED_FOR.total_seconds())

    def _counters(self, domain: str, address: str) -> dict[bytes, int]:
        """Those that one more report counts in, each with its limit."""
        receiver = address.rpartition("@")[2].lower()
        all_key = _SENT + self._day.isoformat().encode("ascii")
        about_key = all_key + b"/about/" + alike(domain).encode("ascii")[:200]
        counters = {all_key: MOST_A_DAY, about_key: MOST_ABOUT_ONE}
        if domain != receiver and not domain.endswith(f".{receiver}"):  # names that end alike may be strangers' (duckdns.org)
            counters[all_key + b"/" + alike(receiver).encode("ascii")[:200]] = MOST_FROM_OTHERS
        return counters

    async def _submit(self, domain: str, some: Sequence[Row], address: str) -> bool:
        """Is it a new one?"""
        day, now, settings = self._day, self._services.clock.now(), self._settings
        octets = await self._services.run_blocking(
            lambda: mail(day, domain, build(day, domain, some, settings), address, now, settings)
        )
        key, not_before = f"{day.isoformat()} {domain} {address}", self.over_at + delay(domain, settings)
        try:
            return await self._services.submit(address, octets, key=key, not_before=not_before, tls_optional=True)
        except ValueError as error:
            self._services.log.info("report not sent", to=address, reason=str(error))
            return False
