"""The DNS records a domain should publish so that others can send it mail and trust what it says."""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailward.api.dns import DnsRecord
from mailward.api.services import DnsTemporaryError, Resolver
from mailward.app.config import Config
from mailward.app.filters import load_filters
from mailward.app.judging import PluginServices
from mailward.model.dns import RecordType
from mailward.pipeline.collecting import Collecting

_LOOKED_UP: tuple[RecordType, ...] = ("MX", "TXT", "SRV", "TLSA", "CNAME")


@dataclass(frozen=True, slots=True)
class Records:
    """What to publish. problems: one line for each plugin that could not be asked."""

    records: tuple[DnsRecord, ...]
    problems: tuple[str, ...]


def domain_records(domain: str, hostname: str) -> tuple[DnsRecord, ...]:
    """The records of one domain served by `hostname`. The host's own A and AAAA records are the network's business."""
    return (
        DnsRecord(f"{domain}.", "MX", f"10 {hostname}.", "mail for the domain comes to this server (RFC 5321 section 5)"),
        DnsRecord(f"{domain}.", "TXT", '"v=spf1 mx -all"', "only the domain's MX hosts send mail for it (RFC 7208)"),
        DnsRecord(
            f"_dmarc.{domain}.",
            "TXT",
            f'"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"',
            "reports about mail in the domain's name; once they show all of it signed, p=quarantine, then p=reject (RFC 9989)",
        ),
        DnsRecord(f"_imaps._tcp.{domain}.", "SRV", f"0 1 993 {hostname}.", "mail clients find IMAP over TLS (RFC 6186)"),
        DnsRecord(f"_imap._tcp.{domain}.", "SRV", "0 0 0 .", "and no IMAP without it (RFC 6186)"),
        DnsRecord(f"_pop3s._tcp.{domain}.", "SRV", f"10 1 995 {hostname}.", "POP3 over TLS, for who has no IMAP (RFC 6186)"),
        DnsRecord(f"_sieve._tcp.{domain}.", "SRV", f"0 1 4190 {hostname}.", "rules for mail are kept here (RFC 5804)"),
        DnsRecord(
            f"_submissions._tcp.{domain}.", "SRV", f"0 1 465 {hostname}.", "they send mail over TLS (RFC 8314 section 5.1)"
        ),
        DnsRecord(f"_submission._tcp.{domain}.", "SRV", f"10 1 587 {hostname}.", "or by STARTTLS (RFC 6186)"),
    )


def privacy_records(domain: str, hostname: str, certificate: Path) -> tuple[DnsRecord, ...]:
    """By which others can know that mail for the domain must come encrypted. certificate: of this server, in PEM.

    Its TLSA record only where the host is in the domain's own zone.
    """
    policy = ("version: STSv1", "mode: testing", f"mx: {hostname}", "max_age: 604800")
    policy_id = hashlib.sha256("".join(policy).encode()).hexdigest()[:20]
    where = f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
    records = [
        DnsRecord(
            f"_mta-sts.{domain}.",
            "TXT",
            f'"v=STSv1; id={policy_id}"',
            f"only once {where} serves these lines as text/plain: {' | '.join(policy)}; a new id with every change (RFC 8461)",
        )
    ]
    key = _key_digest(certificate) if hostname == domain or hostname.endswith(f".{domain}") else ""
    if key:
        why = (
            "others prove this server by its key, if the zone is signed; a renewed certificate keeps the key, or the record of "
            "the next key is published first (RFC 7672)"
        )
        records.append(DnsRecord(f"_25._tcp.{hostname}.", "TLSA", f"3 1 1 {key}", why))
    return tuple(records)


def _key_digest(certificate: Path) -> str:
    """SHA2-256 of the public key, "" when the file cannot be read: whoever starts the server is told."""
    try:
        key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


async def all_records(config: Config, domain: str) -> Records:
    """The domain's own and what the enabled plugins add. Raises ConfigError when policies or plugins cannot be used."""
    filters = load_filters(config)
    services = PluginServices(config)
    try:
        collected = await Collecting(filters.policies, filters.host, services.of).dns_records(domain)
    finally:
        services.close()
    return Records(
        domain_records(domain, config.hostname)
        + privacy_records(domain, config.hostname, config.tls.certificate)
        + tuple(record for one in collected for record in one.values),
        tuple(f"{one.plugin}: {one.problem}" for one in collected if one.problem),
    )


State = Literal["published", "missing", "different", "not looked at"]


@dataclass(frozen=True, slots=True)
class Compared:
    """A record beside what DNS shows. said: what it shows instead, or why it could not be asked."""

    record: DnsRecord
    state: State
    said: str = ""

    def __str__(self) -> str:
        """A sentence for people."""
        sentences: dict[State, str] = {
            "published": "in DNS",
            "missing": "not in DNS, add it",
            "different": f"DNS shows something else, {self.said}",
            "not looked at": f"not looked at: {self.said}",
        }
        return f"{self.record.name} {self.record.type}: {sentences[self.state]}"


async def compared(records: Iterable[DnsRecord], resolver: Resolver) -> list[Compared]:
    """What DNS shows of these records; blanks, quotes and case of names make no difference."""
    return await asyncio.gather(*(_compared(record, resolver) for record in records))


async def _compared(record: DnsRecord, resolver: Resolver) -> Compared:
    kind = next((kind for kind in _LOOKED_UP if kind == record.type), None)
    if kind is None:
        return Compared(record, "not looked at", f"{record.type} records are not asked for")
    try:
        answer = await resolver.resolve(record.name, kind)
    except DnsTemporaryError as error:
        return Compared(record, "not looked at", str(error))
    wanted = _plain(record.value, kind)
    shown = [text for text in answer.records if kind != "TXT" or _version(text) == _version(record.value)]
    if wanted in [_plain(text, kind) for text in shown]:
        return Compared(record, "published")
    return Compared(record, "different", shown[0]) if shown else Compared(record, "missing")


def _version(text: str) -> str:
    """By what the TXT records of one name are told apart: v=spf1, v=DMARC1."""
    return text.strip('"').replace(";", " ").split(" ")[0].lower()


def _plain(text: str, kind: RecordType) -> str:
    if kind == "TXT":
        return _without_blanks(text.replace('"', ""))
    return " ".join(word.lower().rstrip(".") for word in text.split()).rstrip()


def _without_blanks(text: str) -> str:
    return "".join(text.split())
