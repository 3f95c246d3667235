"""Who wants reports about a domain? The TXT record of `_smtp._tls.<domain>` (RFC 8460 section 3)."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from mailward.api import Resolver

MOST_RUA = 10
MOST_ADDRESSES = 3
"""URIs of a record that are looked at, and addresses of these that get a report (T-TLS-24)."""

_VERSION = "v=TLSRPTv1"
_DELIMITER = re.compile(r"[ \t]*;[ \t]*")
_COMMA = re.compile(r"[ \t]*,[ \t]*")
_ADDRESS = re.compile(r"[!-~]{1,64}@[!-~]{1,253}")


@dataclass(frozen=True, slots=True)
class Rua:
    """addresses: of mailto URIs. others: URIs of other kinds, https above all."""

    addresses: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


async def rua_of(domain: str, resolver: Resolver) -> Rua:
    """Where reports about this domain go; nowhere unless there is exactly one record. Raises DnsTemporaryError."""
    answer = await resolver.resolve(f"_smtp._tls.{domain}", "TXT")
    records = [text for text in answer.records if _DELIMITER.split(text.rstrip(" \t"))[0] == _VERSION]
    return parse_record(records[0]) if len(records) == 1 else Rua()


def parse_record(text: str) -> Rua:
    """The first `rua` of a record; fields of other names, and URIs that cannot be read, are passed over."""
    for field in _DELIMITER.split(text.strip(" \t"))[1:]:
        name, _, value = field.partition("=")
        if name == "rua":
            uris = _COMMA.split(value)[:MOST_RUA]
            addresses = [address for uri in uris if (address := _address(uri))]
            others = [uri for uri in uris if uri.lower().startswith("https:")]
            return Rua(tuple(dict.fromkeys(addresses))[:MOST_ADDRESSES], tuple(others))
    return Rua()


def _address(uri: str) -> str:
    """The one address of a mailto URI, "" for any other URI."""
    scheme, _, rest = uri.partition(":")
    address = unquote(rest.partition("?")[0])
    return address if scheme.lower() == "mailto" and _ADDRESS.fullmatch(address) else ""
