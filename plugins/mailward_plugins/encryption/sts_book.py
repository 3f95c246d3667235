"""Which MTA-STS policy does a domain have now? Asked in DNS, fetched over HTTPS, kept between restarts (RFC 8461 section 3).

A policy that is kept holds to the end of its max_age whatever DNS or the web say meanwhile, since whoever could silence them
would turn it off otherwise. It is fetched anew once a day, as long as mail goes to the domain now and then. There may be as many
policies as strangers have domains, so both memory and disk have a limit. In memory the one that was used the longest ago gives
way, on the disk one of the hand that has most, so that nobody's thousand names push off the policies of others.
"""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from mailward.api import DnsTemporaryError, HttpFailed, Services, TlsResult, alike
from mailward_plugins.encryption.sts_policy import PolicyInvalid, StsPolicy, announced_id, read_policy

LIMIT_OCTETS = 64_000
LIMIT_S = 60.0
"""Of a fetch (section 3.3)."""
FRESH_FOR = timedelta(days=1)
USED_FOR = timedelta(days=60)
"""So long after the last mail for its domain a policy is still fetched anew."""
FAILED_FOR = timedelta(minutes=5)
"""A fetch that failed is not tried again before (section 3.3)."""
MOST_OCTETS = 16 << 20
"""Of the policies in memory, as they are counted: what one takes beside its own octets among it."""
MOST_KEPT_OCTETS = 64 << 20
"""On the disk at the end of a day."""
MOST_FAILURES = 10_000
_TAKEN_BESIDE = 1024
_PREFIX = b"sts:"
_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy that was fetched. id: that announced it then. used_on: the last day on which mail went by it."""

    id: str
    fetched_at: datetime
    used_on: date
    policy: StsPolicy

    @property
    def octets(self) -> bytes:
        return "\n".join(self.policy.lines).encode()

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

    def __init__(self) -> None:
        self._known: OrderedDict[str, Kept | None] = OrderedDict()
        self._known_octets = 0
        self._failures: OrderedDict[str, Failure] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[Kept | None]] = {}
        self._tidying: asyncio.Task[None] | None = None

    async def policy(self, domain: str, services: Services) -> tuple[Kept | None, Failure | None]:
        """What holds now, and what went wrong when it was last asked for."""
        now = services.clock.now()
        kept = await self._load(domain, services)
        if kept is not None and kept.expires_at <= now:
            kept = None
        if kept is not None and kept.used_on != now.date():
            kept = replace(kept, used_on=now.date())
            await self._keep(domain, kept, services)
        try:
            answer = await services.resolver.resolve(f"_mta-sts.{domain}", "TXT")
        except DnsTemporaryError as error:
            return kept, Failure(TlsResult.STS_POLICY_FETCH_ERROR, f"DNS gives no usable answer: {error}", now, "")
        announced = announced_id(answer.records)
        if announced is None:
            return kept, None
        if kept is not None and kept.id == announced:
            if now - kept.fetched_at >= min(FRESH_FOR, timedelta(seconds=kept.policy.max_age_s / 2)):
                self._fetch(domain, announced, now.date(), services)  # nobody waits for it
            return kept, self._failures.get(domain)
        fetched = await asyncio.shield(self._fetch(domain, announced, now.date(), services))
        found = fetched or kept
        return found if found is not None and found.expires_at > now else None, self._failures.get(domain)

    def tidy(self, services: Services, *, renew: bool) -> None:
        """Begin to forget what is over, or one too many. renew: and to fetch anew what was used lately."""
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.get_running_loop().create_task(self._tidy(services, renew))

    async def _tidy(self, services: Services, renew: bool) -> None:
        hands: dict[str, list[tuple[date, str, int]]] = {}
        after = b""
        while found := await services.kv.find(_PREFIX, after=after, limit=_AT_ONCE):
            after = max(found)
            domains = [key.removeprefix(_PREFIX).decode() for key in found]
            left = await asyncio.gather(*(self._tidied(domain, services, renew) for domain in domains))
            for kept, domain in zip(left, domains, strict=True):
                if kept:
                    hands.setdefault(alike(domain), []).append((kept.used_on, domain, len(kept.octets) + _TAKEN_BESIDE))
        for domain in _too_many(hands):
            services.log.warning("MTA-STS policy forgotten, there are too many", domain=domain)
            await self._forget(domain, services)

    async def _tidied(self, domain: str, services: Services, renew: bool) -> Kept | None:
        """What is left of it."""
        now, kept = services.clock.now(), await self._load(domain, services)
        if kept is None or kept.expires_at <= now:
            await self._forget(domain, services)
            return None
        if not renew or now - kept.fetched_at < FRESH_FOR or now.date() - kept.used_on > USED_FOR:
            return kept
        try:
            records = (await services.resolver.resolve(f"_mta-sts.{domain}", "TXT")).records
        except DnsTemporaryError:
            records = ()
        return await self._fetch(domain, announced_id(records) or kept.id, kept.used_on, services) or kept

    async def idle(self) -> None:
        """Returns when nothing is being fetched."""
        if self._tidying is not None:
            await self._tidying
        while self._fetching:
            await asyncio.wait(self._fetching.values())

    def _fetch(self, domain: str, announced: str, used_on: date, services: Services) -> asyncio.Future[Kept | None]:
        """One fetch of a domain at a time, whoever wants it; None when it fails."""
        loop = asyncio.get_running_loop()
        failure = self._failures.get(domain)
        if failure is not None and failure.id == announced and services.clock.now() - failure.at < FAILED_FOR:
            done: asyncio.Future[Kept | None] = loop.create_future()
            done.set_result(None)
            return done
        task = self._fetching.get(domain)
        if task is None:
            task = loop.create_task(self._fetch_now(domain, announced, used_on, services))
            self._fetching[domain] = task
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return task

    async def _fetch_now(self, domain: str, announced: str, used_on: date, services: Services) -> Kept | None:
        now = services.clock.now()
        try:
            octets = await _fetched(domain, services)
            kept = Kept(announced, now, used_on, read_policy(octets))
        except HttpFailed as error:
            result = TlsResult.STS_WEBPKI_INVALID if error.is_certificate else TlsResult.STS_POLICY_FETCH_ERROR
            failure = Failure(result, str(error), now, announced)
        except PolicyInvalid as error:
            failure = Failure(TlsResult.STS_POLICY_INVALID, str(error), now, announced)
        else:
            self._failures.pop(domain, None)
            await self._keep(domain, kept, services)
            return kept
        services.log.warning("MTA-STS policy not fetched", domain=domain, problem=failure.text)
        self._failures[domain] = failure
        self._failures.move_to_end(domain)
        if len(self._failures) > MOST_FAILURES:
            self._failures.popitem(last=False)
        return None

    async def _keep(self, domain: str, kept: Kept, services: Services) -> None:
        self._remember(domain, kept)
        head = f"{kept.id} {kept.fetched_at.astimezone(UTC).isoformat()} {kept.used_on}\n".encode()
        await services.kv.put_many({_PREFIX + domain.encode(): head + kept.octets})

    async def _load(self, domain: str, services: Services) -> Kept | None:
        if domain in self._known:
            self._known.move_to_end(domain)
            return self._known[domain]
        key = _PREFIX + domain.encode()
        value = (await services.kv.get_many([key])).get(key)
        kept = None if value is None else _read(value)
        if domain in self._known:  # it was fetched while this was read
            return self._known[domain]
        self._remember(domain, kept)
        return kept

    async def _forget(self, domain: str, services: Services) -> None:
        key = _PREFIX + domain.encode()
        await services.kv.remove(key, key + b"\0")
        if domain in self._known:
            self._known_octets -= _taken(self._known.pop(domain))

    def _remember(self, domain: str, kept: Kept | None) -> None:
        if domain in self._known:
            self._known_octets -= _taken(self._known.pop(domain))
        self._known[domain] = kept
        self._known_octets += _taken(kept)
        while self._known_octets > MOST_OCTETS:
            self._known_octets -= _taken(self._known.popitem(last=False)[1])


def _too_many(hands: dict[str, list[tuple[date, str, int]]]) -> Iterator[str]:
    """Domains whose policies have to go: of the hand that has most by then, the one that was used the longest ago.

    hands: what belongs together, each with the last day on which it was used, the domain and the octets. What a hand has counts
    in powers of two, so that no policy goes for one line more.
    """
    has = {hand: sum(octets for *_, octets in some) for hand, some in hands.items()}
    too_many = sum(has.values()) - MOST_KEPT_OCTETS
    for some in hands.values():
        some.sort(reverse=True)
    most = [(-has[hand].bit_length(), some[-1], hand) for hand, some in hands.items()]
    heapq.heapify(most)
    while too_many > 0:
        _, (_, domain, octets), hand = most[0]
        hands[hand].pop()
        has[hand] -= octets
        too_many -= octets
        yield domain
        if hands[hand]:
            heapq.heapreplace(most, (-has[hand].bit_length(), hands[hand][-1], hand))
        else:
            heapq.heappop(most)


def _taken(kept: Kept | None) -> int:
    """How much of the memory it is counted for: its octets, and about twice as much for what was read in them."""
    return _TAKEN_BESIDE + (0 if kept is None else 3 * len(kept.octets))


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
        return Kept(known, datetime.fromisoformat(at), date.fromisoformat(used_on), read_policy(octets))
    except PolicyInvalid:  # a later release may be stricter
        return None
