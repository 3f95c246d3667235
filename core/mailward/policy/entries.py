"""What is an entry of a list, and which values does it stand for? Addresses, domains, networks, hashes, texts.

Where lists are read from is left to `lists`.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Literal

from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.network import unmapped
from mailward.model.address import Address

ListType = Literal["address", "domain", "network", "hash", "text"]

_PLAIN_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]+")
_DOMAIN_CHARACTERS = 255
"""No domain is longer (RFC 1035 section 2.3.4)."""
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")


class EntryError(ValueError):
    """An entry that does not fit the type of its list, in words for an admin."""


def _address(text: str) -> str:
    local_part, at, domain = text.rpartition("@")
    if not at or not local_part:
        raise EntryError("an address such as bob@example.org was expected")
    if not _PLAIN_LOCAL_PART.fullmatch(local_part):  # the form in which the fact has it, in quotes where they are needed
        try:
            return _composed(str(parse_mailbox(text))).lower()
        except AddressSyntaxError:
            return _composed(str(Address(local_part, _domain(domain)))).lower()
    return f"{_composed(local_part).lower()}@{_domain(domain)}"


def _composed(text: str) -> str:
    """In Unicode's normal form C: the same letters are the same text however they were typed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _text(text: str) -> str:
    return _composed(_composed(text).casefold())


def _domain(text: str) -> str:
    dot = "." if text.startswith(".") else ""
    try:
        return dot + normalise_domain(text.removeprefix("."))
    except AddressSyntaxError as error:
        raise EntryError(str(error)) from None


def _network(text: str) -> str:
    try:
        return str(unmapped(ipaddress.ip_network(text)))
    except ValueError as error:
        raise EntryError(f"a network such as 192.0.2.0/24 was expected: {error}") from None


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text.lower()):
        raise EntryError("an MD5, SHA-1, SHA-256 or SHA-512 in hexadecimal was expected")
    return text.lower()


_NORMALISE: Mapping[ListType, Callable[[str], str]] = {
    "address": _address,
    "domain": _domain,
    "network": _network,
    "hash": _hash,
    "text": _text,
}


def normalised(type: ListType, text: str) -> str:
    """An entry in the form in which it is kept and asked for. Raises EntryError."""
    return _NORMALISE[type](text)


def entries_holding(type: ListType, value: str) -> tuple[str, ...]:
    """All entries by which a value would be listed, itself the first and the widest last."""
    found = [value]
    with suppress(EntryError):
        found.append(normalised(type, value))
    if type == "domain" and len(value) <= _DOMAIN_CHARACTERS:
        domain = _composed(value).lower()
        found += (domain[place:] for place, sign in enumerate(domain) if sign == "." and place)
    if type == "network":
        with suppress(ValueError):
            found += _networks_of(ipaddress.ip_address(value))
    return tuple(dict.fromkeys(found))


def _networks_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[str]:
    """As `str` of an `ip_network` has them, which takes three times as long to make."""
    number, of_number = int(address), type(address)
    for bits in range(address.max_prefixlen + 1):
        yield f"{of_number(number >> bits << bits)}/{address.max_prefixlen - bits}"


class Entries:
    """The content of one list, made for fast questions. Raises nothing at a value that is no address, domain or network."""

    def __init__(self, type: ListType, entries: Iterable[str]) -> None:
        self.type = type
        self._exact = frozenset(entries)
        self._networks: dict[tuple[int, int], set[int]] = {}
        if type == "network":
            for entry in self._exact:
                network = ipaddress.ip_network(entry)
                bits = network.max_prefixlen - network.prefixlen
                self._networks.setdefault((network.version, bits), set()).add(int(network.network_address) >> bits)

    def __contains__(self, value: str) -> bool:
        if self.type == "network":
            return self._in_networks(value)
        if self.type == "text":
            return _text(value) in self._exact
        lowered = _composed(value).lower()
        if lowered in self._exact:
            return True
        return self.type == "domain" and self._parent_of(lowered) is not None

    def _parent_of(self, domain: str) -> str | None:
        """The next entry above that stands for all below it: ".example.org" of "mail.example.org"."""
        dot = domain.find(".")
        while dot > 0:
            if domain[dot:] in self._exact:
                return domain[dot:]
            dot = domain.find(".", dot + 1)
        return None

    def holding(self, value: str) -> tuple[str, ...]:
        """The entries by which a value is listed, and the one that it is itself; the widest last."""
        return tuple(entry for entry in entries_holding(self.type, value) if entry in self._exact)

    def _in_networks(self, value: str) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        number = int(address)
        return any(version == address.version and number >> bits in known for (version, bits), known in self._networks.items())
