"""Who is named in an address list of a header field, and could others find somebody else? (RFC 5322 section 3.4)"""

import re
from dataclasses import dataclass

from mailward.formats.any_reader import FoundAddress, addresses_of_any_reader
from mailward.formats.domains import comparable_domain
from mailward.formats.words import decode_words
from mailward.model.address import Address

_DOMAIN_IN_NAME = re.compile(r"[@\uff20] ?([\w-]+(?:\.[\w-]+)+)|(?<=\w)[@\uff20]([\w-]+)")
"""A domain with a dot, or a label that follows a word and an at sign; "@name" alone is how people are called elsewhere."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox of an address list.

    address: None when what stands there is no address. raw: the octets between the commas, trimmed.
    name_octets, local_part_octets, domain_octets: unquoted, not decoded; the name is a phrase, or a comment where there is none.
    """

    address: Address | None
    raw: bytes
    name_octets: bytes = b""
    local_part_octets: bytes = b""
    domain_octets: bytes = b""

    @property
    def display_name(self) -> str:
        """The name as decoded text, "" when there is none."""
        return decode_words(self.name_octets).strip()

    @property
    def domains_in_name(self) -> frozenset[str]:
        """The domains of the addresses that the display name shows to people (T-HDR-08)."""
        return _domains_in(self.display_name)

    @property
    def has_other_address_in_name(self) -> bool:
        """Is one of these of another domain than the address? ADDRESS_IN_NAME."""
        return self.address is not None and not self.domains_in_name <= {self.address.domain}


@dataclass(frozen=True, slots=True)
class Group:
    """A named group of mailboxes, possibly empty (RFC 5322 section 3.4)."""

    name_octets: bytes
    mailboxes: tuple[Mailbox, ...]

    @property
    def has_other_address_in_name(self) -> bool:
        """Does its name, which people see as an author's, show an address of another domain than its mailboxes'?"""
        return not _domains_in(decode_words(self.name_octets)) <= {m.address.domain for m in self.mailboxes if m.address}


@dataclass(frozen=True, slots=True)
class AddressList:
    """All of a field.

    is_malformed: some of it is not the grammar of RFC 5322, or is a mailbox to which nothing could be sent.
    is_cut: the budget ended it. octets: what was read.
    """

    entries: tuple[Mailbox | Group, ...]
    is_malformed: bool = False
    is_cut: bool = False
    octets: bytes = b""

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """The mailboxes in order, those of groups included."""
        return tuple(m for entry in self.entries for m in (entry.mailboxes if isinstance(entry, Group) else (entry,)))

    @property
    def addresses(self) -> frozenset[Address]:
        """Every address of the strict reading."""
        return frozenset(mailbox.address for mailbox in self.mailboxes if mailbox.address is not None)

    @property
    def addresses_of_any_reader(self) -> frozenset[FoundAddress]:
        """Every address that the strict reading or some lax one takes. Read anew at each call, a few times slower."""
        strict = frozenset(FoundAddress(address.local_part, address.domain) for address in self.addresses)
        return strict | addresses_of_any_reader(self.octets)

    @property
    def domains_of_any_reader(self) -> frozenset[str]:
        """Their domains: A-labels in lower case, or the text as it stands where it is none."""
        return frozenset(found.domain for found in self.addresses_of_any_reader)

    @property
    def is_ambiguous(self) -> bool:
        """Could a lax reader take another address than the strict one? (T-HDR-06, T-HDR-07)"""
        return {(found.local_part, found.domain) for found in self.addresses_of_any_reader if found.local_part} != {
            (address.local_part, address.domain) for address in self.addresses
        }

    @property
    def has_ambiguous_domains(self) -> bool:
        """Could readers take addresses of different domains, other than by reading all of a list? FROM_AMBIGUOUS."""
        found = self.domains_of_any_reader
        return len(found) > 1 and (self.is_malformed or found != {address.domain for address in self.addresses})

    @property
    def shows_other_domains(self) -> bool:
        """Does a group pass for an author, or does a list with a mailbox that has no address name or show several domains?

        Nobody can tell which of them counts.
        """
        if any(isinstance(entry, Group) and entry.has_other_address_in_name for entry in self.entries):
            return True
        if all(mailbox.address is not None for mailbox in self.mailboxes):
            return False
        shown = frozenset[str]().union(*(mailbox.domains_in_name for mailbox in self.mailboxes))
        return len(shown | self.domains_of_any_reader) > 1


def _domains_in(shown: str) -> frozenset[str]:
    return frozenset(comparable_domain(found[1] or found[2]) for found in _DOMAIN_IN_NAME.finditer(shown))
