"""What the commands about domains have in common: which domain, and its DNS records as text."""

import asyncio
from collections.abc import Iterable

from mailward.api.dns import DnsRecord
from mailward.app.config import Config
from mailward.app.records import Records, all_records
from mailward.cli.options import opened_directory, parsed_domain
from mailward.cli.output import NO_INPUT, fail, warn


def served(config: Config, domain: str) -> str:
    """The domain, which must be one of those served here."""
    name = parsed_domain(domain)
    with opened_directory(config) as directory:
        known = directory.domains()
    if name not in known:
        fail(f"'{name}' is not served here; served are: {', '.join(known) or 'none'}", NO_INPUT)
    return name


def found_records(config: Config, domain: str) -> Records:
    """What a plugin failed at is told on standard error."""
    found = asyncio.run(all_records(config, domain))
    for problem in found.problems:
        warn(problem)
    return found


def zone_lines(records: Iterable[DnsRecord]) -> str:
    """The records as lines of a zone file, each with its reason above it."""
    return "\n".join(f"; {record.why}\n{record.name}\tIN\t{record.type}\t{record.value}" for record in records)


def records_data(records: Iterable[DnsRecord]) -> list[dict[str, str]]:
    """The same for JSON."""
    return [{"name": r.name, "type": r.type, "value": r.value, "why": r.why} for r in records]


def selector_of(record: DnsRecord, domain: str) -> str:
    """The selector whose key this record publishes (RFC 6376 section 3.6.2.1), "" for other records."""
    suffix = f"._domainkey.{domain}."
    return record.name.removesuffix(suffix) if record.name.endswith(suffix) else ""
