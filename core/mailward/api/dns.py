"""A DNS record that a domain should publish."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record in zone-file terms; name ends in a dot; `why` is one sentence for people."""

    name: str
    type: str
    value: str
    why: str
