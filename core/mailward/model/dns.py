"""What can be asked of DNS, and what comes back."""

from dataclasses import dataclass
from typing import Literal

RecordType = Literal["A", "AAAA", "MX", "PTR", "TXT", "CNAME", "SPF", "TLSA", "SRV"]
"""What can be asked of DNS."""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The answer to one question.

    status: "found", "nodata" (the name exists, the type does not) or "nxdomain".
    records: A, AAAA, PTR, CNAME as text without trailing dot; MX as "10 mx.example.net"; TLSA as "3 1 1 " and hexadecimal
    digits; TXT as latin-1 text of all strings of a record joined, one entry a record. authenticated: the resolver validated it
    by DNSSEC and is a trusted one. canonical_name: where aliases (CNAME) led to, in lower case; "" when the name is none.
    """

    status: Literal["found", "nodata", "nxdomain"]
    records: tuple[str, ...] = ()
    authenticated: bool = False
    canonical_name: str = ""
