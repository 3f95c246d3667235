"""Which domain is this? One spelling for every domain: A-labels in lower case, address literals checked.

RFC 5321 sections 4.1.2 and 4.1.3, RFC 1035 section 2.3.4, RFC 5890; U-labels are mapped by UTS 46, never by the older
IDNA2003, which names other domains (T-RELAY-05).
"""

import ipaddress
import re
from functools import lru_cache

import idna

from mailward.model.errors import MailwardError

MAX_DOMAIN_OCTETS = 255
"""RFC 5321 section 4.5.3.1.2."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE | re.ASCII)


class AddressSyntaxError(MailwardError, ValueError):
    """Not an address. The text says what is wrong, without repeating the address.

    needs_smtputf8: it is well-formed, but only for a transaction with SMTPUTF8 (RFC 6531: 553 5.6.7).
    """

    def __init__(self, text: str, *, needs_smtputf8: bool = False) -> None:
        super().__init__(text)
        self.needs_smtputf8 = needs_smtputf8


@lru_cache(maxsize=4096)
def normalise_domain(text: str) -> str:
    """The domain as A-labels in lower case, or the address literal in its shortest form with brackets.

    Raises AddressSyntaxError for anything that is no domain, a trailing dot included.
    """
    if text.startswith("["):
        return _normalise_literal(text)
    if len(text) > MAX_DOMAIN_OCTETS:
        raise AddressSyntaxError("the domain is longer than 255 octets")
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
        except idna.IDNAError:
            raise AddressSyntaxError("the domain is not a valid internationalised name") from None
    if not _DOMAIN.fullmatch(text):
        raise AddressSyntaxError("the domain is not a host name")
    if len(text) > MAX_DOMAIN_OCTETS:
        raise AddressSyntaxError("the domain is longer than 255 octets")
    return text.lower()


def comparable_domain(text: str) -> str:
    """The domain as normalise_domain gives it, or the text in lower case where it is none. Never raises."""
    try:
        return normalise_domain(text.strip("."))
    except AddressSyntaxError:
        return text.strip(".").lower()


def alike(domain: str) -> str:
    """What names in one hand have in common, as far as can be told without a list: two labels, three below such as co.uk.

    Strangers below a shared suffix (duckdns.org) have it in common, too: good for sharing out, not for trust.
    """
    labels = domain.lower().split(".")
    is_shared = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if is_shared else -2 :])


def _normalise_literal(text: str) -> str:
    if not text.endswith("]") or not text.isascii():
        raise AddressSyntaxError("the address literal is not closed")
    inner = text[1:-1]
    try:
        if inner[:5].lower() != "ipv6:":
            return f"[{ipaddress.IPv4Address(inner)}]"
        if "%" in inner:
            raise AddressSyntaxError("an address literal has no zone")
        return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
    except ValueError:
        raise AddressSyntaxError("the address literal is not an IPv4 or IPv6 address") from None
