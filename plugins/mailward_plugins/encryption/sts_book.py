"""Which MTA-STS policy does a domain have now? Asked in DNS, fetched over HTTPS, kept between restarts (RFC 8461 section 3).

A policy that is kept holds to the end of its max_age whatever DNS or the web say meanwhile, since whoever could silence them
would turn it off otherwise. It is fetched anew once a day, as long as mail goes to the domain now and then.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from mailward.api import DnsTemporaryError, HttpFailed, KeyValue, Services, TlsResult
from mailward_plugins.encryption.sts_policy import PolicyInvalid, StsPolicy, announced_id, read_policy

T = TypeVar("T")

LIMIT_OCTETS = 64_000
LIMIT_S = 60.0
"""Of a fetch (section 3.3)."""
FRESH_FOR = timedelta(days=1)
USED_FOR = timedelta(days=60)
"""So long after the last mail for its domain a policy is still fetched anew."""
FAILED_FOR = timedelta(minutes=5)
"""A fetch that failed is not tried again before (section 3.3)."""
_MOST = 10_000
_PREFIX = b"sts:"
_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy as it was fetched. id: that announced it then. used_on: the last day on which mail went by it."""

    id: str
    fetched_at: datetime
    used_on: date
    policy: StsPolicy
    octets: bytes

    @property
    def expires_at(self) -> datetime:
        return self.fetched_at + timedelta(seconds=self.policy.max_age_s)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a policy that a domain announces could not be had. result: as a TLS report calls it (RFC 8460 section 4.3.2)."""

    result: TlsResult
    text: str
    at: datetime
    id: str


class StsBook:
    """The policies that one plugin keeps. Belongs to one event loop."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv
        self._known: OrderedDict[str, Kept | None] = OrderedDict()
        self._failures: OrderedDict[str, Failure] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def policy(self, domain: str, services: Services) -> tuple[Kept | None, Failure | None]:
        """What holds now, and what went wrong when it was last asked for."""
        now = services.clock.now()
        kept = await self._load(domain)
        if kept is not None and kept.expires_at <= now:
            kept = None
        if kept is not None and kept.used_on != now.date():
            await self._keep(domain, replace(kept, used_on=now.date()))
        try:
            answer = await services.resolver.resolve(f"_mta-sts.{domain}", "TXT")
        except DnsTemporaryError as error:
            return kept, Failure(TlsResult.STS_POLICY_FETCH_ERROR, f"DNS gives no usable answer: {error}", now, "")
        announced = announced_id(answer.records)
        if announced is None:
            return kept, None
        if kept is not None and kept.id == announced:
            if now - kept.fetched_at >= min(FRESH_FOR, timedelta(seconds=kept.policy.max_age_s / 2)):
                self._fetch(domain, announced, services)  # nobody waits for it
            return kept, self._failures.get(domain)
        await asyncio.shield(self._fetch(domain, announced, services))
        found = self._known.get(domain)
        return found if found is not None and found.expires_at > now else None, self._failures.get(domain)

    def renew(self, services: Services) -> None:
        """Begin to fetch anew what is kept and was used lately, and to forget what is over."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew_all(services))

    async def _renew_all(self, services: Services) -> None:
        after = b""
        while found := await self._kv.find(_PREFIX, after=after, limit=_AT_ONCE):
            after = max(found)
            await asyncio.gather(*(self._renew(key.removeprefix(_PREFIX).decode(), services) for key in found))

    async def _renew(self, domain: str, services: Services) -> None:
        now, kept = services.clock.now(), await self._load(domain)
        if kept is None or kept.expires_at <= now:
            key = _PREFIX + domain.encode()
            await self._kv.remove(key, key + b"\0")
            self._known.pop(domain, None)
        elif now - kept.fetched_at >= FRESH_FOR and now.date() - kept.used_on <= USED_FOR:
            try:
                records = (await services.resolver.resolve(f"_mta-sts.{domain}", "TXT")).records
            except DnsTemporaryError:
                records = ()
            await self._fetch(domain, announced_id(records) or kept.id, services)

    async def idle(self) -> None:
        """Returns when nothing is being fetched."""
        if self._renewal is not None:
            await self._renewal
        while self._fetching:
            await asyncio.wait(self._fetching.values())

    def _fetch(self, domain: str, announced: str, services: Services) -> asyncio.Future[None]:
        """One fetch of a domain at a time, whoever wants it."""
        loop = asyncio.get_running_loop()
        failure = self._failures.get(domain)
        if failure is not None and failure.id == announced and services.clock.now() - failure.at < FAILED_FOR:
            done: asyncio.Future[None] = loop.create_future()
            done.set_result(None)
            return done
        task = self._fetching.get(domain)
        if task is None:
            task = loop.create_task(self._fetch_now(domain, announced, services))
            self._fetching[domain] = task
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return task

    async def _fetch_now(self, domain: str, announced: str, services: Services) -> None:
        now = services.clock.now()
        try:
            octets = await _fetched(domain, services)
            last = self._known.get(domain)
            kept = Kept(announced, now, last.used_on if last is not None else now.date(), read_policy(octets), octets)
        except HttpFailed as error:
            result = TlsResult.STS_WEBPKI_INVALID if error.is_certificate else TlsResult.STS_POLICY_FETCH_ERROR
            failure = Failure(result, str(error), now, announced)
        except PolicyInvalid as error:
            failure = Failure(TlsResult.STS_POLICY_INVALID, str(error), now, announced)
        else:
            self._failures.pop(domain, None)
            await self._keep(domain, kept)
            return
        services.log.warning("MTA-STS policy not fetched", domain=domain, problem=failure.text)
        _put(self._failures, domain, failure)

    async def _keep(self, domain: str, kept: Kept) -> None:
        _put(self._known, domain, kept)
        head = f"{kept.id} {kept.fetched_at.astimezone(UTC).isoformat()} {kept.used_on}\n".encode()
        await self._kv.put_many({_PREFIX + domain.encode(): head + kept.octets})

    async def _load(self, domain: str) -> Kept | None:
        if domain not in self._known:
            key = _PREFIX + domain.encode()
            value = (await self._kv.get_many([key])).get(key)
            _put(self._known, domain, None if value is None else _read(value))
        self._known.move_to_end(domain)
        return self._known[domain]


async def _fetched(domain: str, services: Services) -> bytes:
    """RFC 8461 section 3.3. Raises HttpFailed, PolicyInvalid."""
    url = f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
    answer = await services.http.get(url, limit_octets=LIMIT_OCTETS, limit_s=LIMIT_S)
    if answer.status != 200:
        raise HttpFailed(f"the web server answers {answer.status}")
    if answer.content_type != "text/plain":
        raise PolicyInvalid(f"it comes as '{answer.content_type[:60]}' and not as text/plain")
    return answer.octets


def _read(value: bytes) -> Kept | None:
    head, _, octets = value.partition(b"\n")
    known, at, used_on = head.decode().split(" ")
    try:
        return Kept(known, datetime.fromisoformat(at), date.fromisoformat(used_on), read_policy(octets), octets)
    except PolicyInvalid:  # a later release may be stricter
        return None


def _put(entries: OrderedDict[str, T], domain: str, value: T) -> None:
    entries[domain] = value
    entries.move_to_end(domain)
    while len(entries) > _MOST:
        entries.popitem(last=False)
