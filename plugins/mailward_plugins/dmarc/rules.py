"""Does the author's domain stand behind this message, and what does it ask when not? (RFC 9989)

The organisational domain is found by the DNS tree walk (section 4.10), so no list of public suffixes is needed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailward.api import DnsTemporaryError, MessageView, Resolver
from mailward_plugins.dmarc.record import Policy, Record, only_record

_AT = re.compile("[@\uff20\ufe6b]")
"""And what looks like it."""
_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_][a-z0-9_-]{0,62}\.)*[a-z0-9_][a-z0-9_-]{0,62}")
_WALK_LABELS = 7
"""Section 4.10 step 3: names of eight labels or more are cut to this at once; so a walk asks eight questions at most."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A domain that SPF or DKIM looked at. result: "pass", or "temperror" for one that might have passed."""

    method: str
    domain: str
    result: str = "pass"


@dataclass(frozen=True, slots=True)
class DmarcOutcome:
    """result: pass, fail, none, temperror, permerror. policy: what applies; None when nothing is published.

    policy_domain: whose record it is. aligned: the identifier that gave the pass. reason: plain words for the odd cases.
    """

    result: str
    policy: Policy | None = None
    policy_domain: str = ""
    aligned: Identifier | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    domain: str
    record: Record


def author_domains(message: MessageView) -> set[str]:
    """The domains of the authors; where one has no address, all domains that some reader finds in that From.

    `ceo@bank.example.` is of bank.example to the people who see it, so that domain must not be left unasked (T-HDR-07). What
    cannot be a domain is left out.
    """
    domains: set[str] = set()
    for addresses in message.author_lists:
        if all(author.address is not None for author in addresses.mailboxes):
            domains |= {address.domain for address in addresses.addresses}
        else:
            domains |= {domain for domain in addresses.domains_of_any_reader if _DOMAIN.fullmatch(domain)}
    return domains


def shows_address(message: MessageView) -> bool:
    """Does From show people something like an address? `"ceo@bank.example" <>` is one to them, whatever the grammar says."""
    return any(_AT.search(field.text) or _AT.search(field.value.decode("latin-1")) for field in message.all("From"))


async def evaluate(author_domain: str, identifiers: Sequence[Identifier], resolver: Resolver) -> DmarcOutcome:
    """author_domain: A-labels in lower case. Raises DnsTemporaryError never: that is the result temperror."""
    try:
        return await _Evaluation(author_domain, resolver).judge(identifiers)
    except DnsTemporaryError as error:
        return DmarcOutcome("temperror", reason=f"DNS: {error}")


def walk_names(domain: str) -> Iterator[str]:
    """The names a tree walk asks about, the domain first, at most eight."""
    labels = domain.split(".")
    yield domain
    start = max(1, len(labels) - _WALK_LABELS)
    for first in range(start, len(labels)):
        yield ".".join(labels[first:])


class _Evaluation:
    """One message; remembers what it has asked."""

    def __init__(self, author_domain: str, resolver: Resolver) -> None:
        self._author, self._resolver = author_domain, resolver
        self._asked: dict[str, tuple[Record | None, bool]] = {}

    async def judge(self, identifiers: Sequence[Identifier]) -> DmarcOutcome:
        record, several = await self._record(self._author)
        if several:
            return DmarcOutcome("none", reason=f"{self._author} publishes several DMARC records")
        found = _Found(self._author, record) if record is not None else await self._inherited()
        if found is None:
            return DmarcOutcome("none")
        below = found.domain != self._author
        exists = not below or found.record.absent is None or await self._exists(self._author)
        policy = found.record.policy(for_subdomain=below, exists=exists)
        if policy is None:
            result = "permerror" if found.record.is_broken() else "none"
            return DmarcOutcome(result, None, found.domain, reason=f"the DMARC record of {found.domain} has no usable policy")
        doubtful = False
        for identifier in identifiers:
            strict = found.record.strict_dkim if identifier.method == "dkim" else found.record.strict_spf
            if await self._is_aligned(identifier.domain, strict=strict):
                if identifier.result == "pass":
                    return DmarcOutcome("pass", policy, found.domain, identifier)
                doubtful = True
        if doubtful:
            return DmarcOutcome("temperror", policy, found.domain, reason="an aligned check could not be finished")
        return DmarcOutcome("fail", policy, found.domain)

    async def _inherited(self) -> _Found | None:
        """The record of the organisational domain, else that of its public suffix domain (section 4.10.1)."""
        walked = await self._walk(self._author)
        organisation = _organisation(self._author, walked)
        own = [found for found in walked if found.domain == organisation]
        suffixes = [found for found in walked if found.record.psd == "y"]
        return next(iter(own + suffixes), None)

    async def _is_aligned(self, domain: str, *, strict: bool) -> bool:
        """Section 4.4: equal, or (relaxed) of the same organisational domain."""
        domain = domain.lower().removesuffix(".")
        if domain == self._author:
            return True
        if strict or domain.rpartition(".")[2] != self._author.rpartition(".")[2]:
            return False
        organisation = _organisation(self._author, await self._walk(self._author))
        if domain != organisation and not domain.endswith("." + organisation):
            return False
        return _organisation(domain, await self._walk(domain)) == organisation

    async def _walk(self, domain: str) -> list[_Found]:
        """The records from the domain upwards; the walk ends at one that says psd=y or psd=n."""
        walked = []
        for name in walk_names(domain):
            record, _ = await self._record(name)
            if record is not None:
                walked.append(_Found(name, record))
                if record.psd != "u":
                    break
        return walked

    async def _record(self, domain: str) -> tuple[Record | None, bool]:
        if domain not in self._asked:
            answer = await self._resolver.resolve(f"_dmarc.{domain}", "TXT")
            self._asked[domain] = only_record(answer.records)
        return self._asked[domain]

    async def _exists(self, domain: str) -> bool:
        """Section 3.2.13: a domain does not exist when DNS says NXDOMAIN."""
        return (await self._resolver.resolve(domain, "A")).status != "nxdomain"


def _organisation(domain: str, walked: Sequence[_Found]) -> str:
    """Section 4.10.2: the holder of psd=n, the name below psd=y, else the shortest name with a record, else the domain."""
    for found in walked:
        if found.record.psd == "n":
            return found.domain
        if found.record.psd == "y" and found.domain != domain:
            return ".".join(domain.split(".")[-(found.domain.count(".") + 2) :])
    return walked[-1].domain if walked else domain
