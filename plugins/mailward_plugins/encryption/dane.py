"""What does DNSSEC say about the certificate of a mail host? (RFC 6698, 7671, 7672)

Everything depends on whether an answer was proven: one that was not is worth nothing here, and one that cannot be had stops mail
for that host, since whoever could suppress it would otherwise turn DANE off (RFC 7672 section 2.1).
"""

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailward.api import DnsTemporaryError, MailHost, PolicyType, Resolver, Tlsa, TlsLevel, TlsPolicy, TlsRequirement, TlsResult

_DIGEST_OCTETS = {1: 32, 2: 64}


async def dane_requirement(host: MailHost, domain: str, resolver: Resolver) -> TlsRequirement:
    """RFC 7672 section 2.2. domain: where the mail goes."""
    try:
        return await _look_up(host, domain, resolver)
    except DnsTemporaryError as error:
        policy = TlsPolicy(PolicyType.TLSA, host.name)
        why = f"DANE: DNS gives no usable answer about {host.name}, so that it gets no mail now: {error}"
        return TlsRequirement(TlsLevel.VERIFIED, why, policy, problem=TlsResult.DNSSEC_INVALID)


async def _look_up(host: MailHost, domain: str, resolver: Resolver) -> TlsRequirement:
    if _is_address(host.name):
        return _none(f"DANE: {host.name} is an address and no name")
    if not host.is_certain:
        return _none(f"DANE: that {host.name} serves {domain} is not proven by DNSSEC")
    bases = await _bases(host.name, resolver)
    if not bases:
        return _none(f"DANE: the address of {host.name} is not proven by DNSSEC")
    for base in bases:
        name = f"_{host.port}._tcp.{base}"
        answer = await resolver.resolve(name, "TLSA")
        if answer.status == "found" and answer.authenticated:
            # RFC 7672 section 3.2.2: the names that usage 2 accepts; section 8.1: the base domain is the server name to ask for.
            names = tuple(dict.fromkeys((base, host.name, *(() if host.is_routed else (domain,)))))
            return _of(name, base, answer.records, names)
    return _none(f"DANE: _{host.port}._tcp.{bases[0]} has no TLSA records")


async def _bases(host: str, resolver: Resolver) -> tuple[str, ...]:
    """The names that TLSA records may be of, the preferred first; () where DANE does not apply (RFC 7672 section 2.2.2).

    Addresses are asked for first: some name servers that know nothing of DNSSEC never answer a question for TLSA records.
    """
    answers = [await resolver.resolve(host, kind) for kind in ("A", "AAAA")]
    found = [answer for answer in answers if answer.status == "found"]
    is_secure = bool(found) and all(answer.authenticated for answer in found)
    expanded = next((answer.canonical_name for answer in found if answer.canonical_name), "")
    if is_secure:
        return (expanded, host) if expanded else (host,)
    if expanded and (await resolver.resolve(host, "CNAME")).authenticated:
        return (host,)
    return ()


def _of(name: str, base: str, records: Sequence[str], names: tuple[str, ...]) -> TlsRequirement:
    """The requirement of a proven set of records."""
    policy = TlsPolicy(PolicyType.TLSA, base, tuple(records))
    usable = usable_records(records)
    if not usable:  # RFC 7672 section 2.2: encrypted, and nobody to be proven
        why = f"DANE: none of the TLSA records of {name} can be used"
        return TlsRequirement(TlsLevel.REQUIRED, why, policy, problem=TlsResult.TLSA_INVALID)
    kinds = ", ".join(dict.fromkeys(f"{one.usage} {one.selector} {one.matching}" for one in usable))
    why = f"DANE: {name} has TLSA records ({kinds})"
    return TlsRequirement(TlsLevel.VERIFIED, why, policy, usable, names)


def usable_records(records: Sequence[str]) -> tuple[Tlsa, ...]:
    """Those that mean something for SMTP: usages 2 and 3, and of several digests of one thing the strongest kind alone.

    RFC 7672 section 3.1; RFC 7671 section 9.
    """
    found = [record for record in map(_read, records) if record is not None]
    strongest: dict[tuple[int, int], int] = {}
    for one in found:
        strongest[one.usage, one.selector] = max(one.matching, strongest.get((one.usage, one.selector), 0))
    return tuple(one for one in found if one.matching in (0, strongest[one.usage, one.selector]))


def _read(text: str) -> Tlsa | None:
    usage, selector, matching, digits = (text.split(" ") + [""] * 3)[:4]
    data = bytes.fromhex(digits)
    record = Tlsa(int(usage), int(selector), int(matching), data)
    if record.usage not in (2, 3) or record.selector not in (0, 1):
        return None
    if record.matching != 0:
        return record if len(data) == _DIGEST_OCTETS.get(record.matching) else None
    try:
        x509.load_der_x509_certificate(data) if record.selector == 0 else load_der_public_key(data)
    except Exception:  # noqa: BLE001  the octets of a stranger: whatever is wrong with them, they are of no use
        return None
    return record


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _none(why: str) -> TlsRequirement:
    return TlsRequirement(TlsLevel.OPPORTUNISTIC, why)
