"""Does a DNS list know an address or a domain? The questions of one message, all at once, within one budget (RFC 5782)."""

import asyncio
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mailward.api import DnsTemporaryError, Resolver
from mailward_plugins.dnsbl.codes import CodePattern, UnusableAnswer, listed_strength

MOST_QUESTIONS = 64
"""Of one message, whatever lists answer: two for each thing asked, one for the reason of each listing while some are left."""

REASON_OCTETS = 160
REASON_S = 1.0
"""A listing does not wait longer for its words."""

_NAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z][A-Za-z0-9-]{1,62}")

Kind = Literal["address", "domain", "allow"]


@dataclass(frozen=True, slots=True)
class Question:
    """subject: an address or a domain. zone: the list. patterns: the codes that count."""

    kind: Kind
    subject: str
    zone: str
    patterns: tuple[CodePattern, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """code: the A records, joined. reason: the list's own words, one line of printable ASCII, "" when it gives none."""

    question: Question
    strength: float
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A list that gave no usable answer. why: in plain words."""

    question: Question
    why: str


def address_name(address: str) -> str:
    """The name of an address below a zone: octets of IPv4, nibbles of IPv6, last one first (RFC 5782 sections 2.1 and 2.4)."""
    ip = ipaddress.ip_address(address)
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def asked_domain(text: str) -> str:
    """The domain in the form lists know, "" for what is none: address literals, single labels, numbers."""
    name = text.removesuffix(".").lower()
    return name if len(name) <= 253 and _NAME.fullmatch(name) else ""


def never_listed(question: Question) -> str:
    """The name that no list may list (RFC 5782 section 5); one that does answers yes to everything."""
    if question.kind == "domain":
        return "invalid"
    return address_name("::ffff:7f00:1" if ":" in question.subject else "127.0.0.1")


class Lookup:
    """The questions about one message."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._reasons_left = 0

    async def ask(self, questions: Iterable[Question], limit_s: float) -> list[Listing | Failure]:
        """What the lists know, in the order of the questions; those that list nothing are left out."""
        asked = list(questions)
        self._reasons_left = MOST_QUESTIONS - 2 * len(asked)
        tasks = [asyncio.create_task(self._one(question)) for question in asked]
        if not tasks:
            return []
        try:
            await asyncio.wait(tasks, timeout=limit_s)
            late = f"no answer in {limit_s:g} s"
            found = [t.result() if t.done() else Failure(q, late) for q, t in zip(asked, tasks, strict=True)]
        finally:
            for task in tasks:
                task.cancel()
        return [one for one in found if one is not None]

    async def _one(self, question: Question) -> Listing | Failure | None:
        subject = question.subject if question.kind == "domain" else address_name(question.subject)
        name = f"{subject}.{question.zone}"
        try:
            answer = await self._resolver.resolve(name, "A")
            strength = listed_strength(answer.records, question.patterns)
            if strength is None:
                return None
            # Asked only now: most mail is listed nowhere, and the resolver remembers the answer for the next that is.
            if (await self._resolver.resolve(f"{never_listed(question)}.{question.zone}", "A")).records:
                raise UnusableAnswer("it lists everything")
        except (DnsTemporaryError, UnusableAnswer) as error:
            return Failure(question, plain(str(error)))
        return Listing(question, strength, ", ".join(list(dict.fromkeys(answer.records))[:4]), await self._reason(name))

    async def _reason(self, name: str) -> str:
        self._reasons_left -= 1
        if self._reasons_left < 0:
            return ""
        try:
            async with asyncio.timeout(REASON_S):
                return plain(next(iter((await self._resolver.resolve(name, "TXT")).records), ""))
        except (DnsTemporaryError, TimeoutError):
            return ""


def plain(text: str) -> str:
    """One line of printable ASCII of bounded length: whoever runs the list has written it."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:REASON_OCTETS]).strip()
