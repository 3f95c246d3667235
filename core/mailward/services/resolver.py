"""How is a DNS question answered? Through explicit recursive servers, with a cache that merges questions in flight.

DNSSEC is validated by the recursive server (RFC 4035 section 4.9.3): the AD bit is believed only from a loopback address,
since anybody on a longer way could set it. Where there is such a server no other is asked: what it has found to be bogus, or
cannot find out, must not come from a server that does not look.
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.wire
from dns.rdata import GenericRdata, Rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TLSA import TLSA
from dns.rdtypes.txtbase import TXTBase

from mailward.api.services import DnsTemporaryError
from mailward.model.dns import DnsAnswer, RecordType

_EDNS_PAYLOAD_OCTETS = 1232
"""What fits an unfragmented datagram on every path (DNS flag day 2020); larger answers come over TCP."""

_TTL_LIMIT_S = 3600.0
_RECORDS_LIMIT = 100
_ATTEMPT_S = 2.0


@dataclass(frozen=True, slots=True)
class _Cached:
    answer: DnsAnswer
    until: float


class DnsResolver:
    """Implements `mailward.api.Resolver`.

    servers: (IP address, port) of recursive resolvers, asked in turn. timeout_s: limit of one question, retries included.
    cache_entries: how many answers are kept. One resolver belongs to one event loop.
    """

    def __init__(self, servers: Sequence[tuple[str, int]], timeout_s: float = 5.0, *, cache_entries: int = 20_000) -> None:
        known = tuple((host, port, ipaddress.ip_address(host).is_loopback) for host, port in servers)
        self._servers = tuple(one for one in known if one[2]) or known
        self._timeout_s = timeout_s
        self._cache_entries = cache_entries
        self._cache: OrderedDict[tuple[dns.name.Name, str], _Cached] = OrderedDict()
        self._in_flight: dict[tuple[dns.name.Name, str], asyncio.Task[DnsAnswer]] = {}

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        """The answer for `name`, at most 100 records. Raises DnsTemporaryError; a name that cannot exist counts as nxdomain."""
        question_name = _name(name)
        if question_name is None:
            return DnsAnswer("nxdomain")
        key = (question_name, record_type)
        cached = self._cache.get(key)
        if cached is not None:
            if cached.until > asyncio.get_running_loop().time():
                self._cache.move_to_end(key)
                return cached.answer
            del self._cache[key]
        task = self._in_flight.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(question_name, record_type))
            self._in_flight[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        # A caller that gives up must not take the answer away from the others who wait for it.
        return await asyncio.shield(task)

    def clear(self) -> None:
        """Forget all cached answers."""
        self._cache.clear()

    def _finished(self, key: tuple[dns.name.Name, str], task: asyncio.Task[DnsAnswer]) -> None:
        self._in_flight.pop(key, None)
        if not task.cancelled():
            task.exception()  # every waiter may have gone; then nobody else looks at it

    async def _ask(self, name: dns.name.Name, record_type: RecordType) -> DnsAnswer:
        query = dns.message.make_query(
            name, record_type, use_edns=0, want_dnssec=True, payload=_EDNS_PAYLOAD_OCTETS, flags=dns.flags.RD | dns.flags.AD
        )
        if not self._servers:
            raise DnsTemporaryError("no DNS server is configured")
        failure = "no answer"
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    for host, port, trusted in self._servers:
                        try:
                            response = await self._exchange(query, host, port)
                            answer, ttl_s = _read(response, record_type, trusted)
                        except DnsTemporaryError as error:
                            failure = f"{host}: {error}"
                            continue
                        self._keep((name, record_type), answer, ttl_s)
                        return answer
                    if failure.endswith(_LASTING):
                        break
        except TimeoutError:
            failure = failure if failure != "no answer" else f"no answer in {self._timeout_s} s"
        raise DnsTemporaryError(f"{name.to_text(omit_final_dot=True)} {record_type}: {failure}")

    async def _exchange(self, query: dns.message.Message, host: str, port: int) -> dns.message.Message:
        try:
            response, _ = await dns.asyncquery.udp_with_fallback(
                query, host, timeout=min(_ATTEMPT_S, self._timeout_s / 2), port=port, ignore_unexpected=True, ignore_errors=True
            )
        except dns.exception.Timeout:
            raise DnsTemporaryError("no answer") from None
        except (OSError, EOFError, dns.exception.DNSException) as error:
            await asyncio.sleep(0.05)  # a refused port answers at once: do not spin on it until the limit
            raise DnsTemporaryError(type(error).__name__) from None
        return response

    def _keep(self, key: tuple[dns.name.Name, str], answer: DnsAnswer, ttl_s: float) -> None:
        if ttl_s <= 0:
            return
        self._cache[key] = _Cached(answer, asyncio.get_running_loop().time() + min(ttl_s, _TTL_LIMIT_S))
        while len(self._cache) > self._cache_entries:
            self._cache.popitem(last=False)


_LASTING = ("SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "CNAME chain")
"""Failures the server has stated itself: asking the same servers again within the same second is of no use."""


def _name(text: str) -> dns.name.Name | None:
    """The absolute name, None when no such name can exist; "." is the root. Every octet but the dot is literal: no escapes, no
    IDNA.
    """
    if text == ".":
        return dns.name.root
    try:
        labels = [label.encode("ascii").lower() for label in text.removesuffix(".").split(".")]
        return dns.name.Name([*labels, b""])
    except (UnicodeError, dns.exception.DNSException):
        return None


def _read(response: dns.message.Message, record_type: RecordType, trusted: bool) -> tuple[DnsAnswer, float]:
    """The answer in a response and how long it may be kept. Raises DnsTemporaryError."""
    rcode = response.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not isinstance(response, dns.message.QueryMessage):
        raise DnsTemporaryError(dns.rcode.to_text(rcode))
    authenticated = trusted and bool(response.flags & dns.flags.AD)
    try:
        chain = response.resolve_chaining()
    except dns.exception.DNSException:
        raise DnsTemporaryError("CNAME chain") from None
    if chain.answer is None:
        # RFC 2308 section 5: without a SOA a negative answer is not cached.
        ttl_s = float(chain.minimum_ttl) if any(r.rdtype == dns.rdatatype.SOA for r in response.authority) else 0.0
        return DnsAnswer("nxdomain" if rcode == dns.rcode.NXDOMAIN else "nodata", (), authenticated), ttl_s
    readable = [rdata for rdata in chain.answer if not (isinstance(rdata, GenericRdata) and len(rdata.data) < 3)]
    records = tuple(_text(rdata) for rdata in readable[:_RECORDS_LIMIT])
    asked = response.question[0].name
    alias_to = "" if chain.canonical_name == asked else chain.canonical_name.to_text(omit_final_dot=True).lower()
    return DnsAnswer("found", records, authenticated, alias_to), float(chain.minimum_ttl)


def _tlsa(
    cls: type[TLSA],
    rdclass: dns.rdataclass.RdataClass,
    rdtype: dns.rdatatype.RdataType,
    parser: dns.wire.Parser,
    origin: dns.name.Name | None = None,
) -> GenericRdata:
    """Any octets: one record that dnspython finds wrong would take the whole answer with it (T-TLS-19)."""
    return GenericRdata(rdclass, rdtype, parser.get_remaining())


TLSA.from_wire_parser = classmethod(_tlsa)  # type: ignore[method-assign, assignment]


def _text(rdata: Rdata) -> str:
    if isinstance(rdata, TXTBase):
        return b"".join(rdata.strings).decode("latin-1")
    if isinstance(rdata, MX):
        return f"{rdata.preference} {rdata.exchange.to_text(omit_final_dot=True)}"
    if isinstance(rdata, GenericRdata) and rdata.rdtype == dns.rdatatype.TLSA:
        usage, selector, matching = rdata.data[:3]
        return f"{usage} {selector} {matching} {rdata.data[3:].hex()}"
    return rdata.to_text().removesuffix(".")
