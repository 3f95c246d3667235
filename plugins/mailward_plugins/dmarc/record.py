"""What does a DMARC record say? (RFC 9989 sections 4.7 and 4.8)"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

RECORD_LIMIT_OCTETS = 8192
"""Longer TXT records are not looked at."""

_URI = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:[^\s,!]+(?:![0-9]+[kmgt]?)?\s*", re.IGNORECASE)


class Policy(Enum):
    """What a domain asks receivers to do with mail that fails."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    def one_step_lower(self) -> "Policy":
        return Policy.QUARANTINE if self is Policy.REJECT else Policy.NONE


@dataclass(frozen=True, slots=True)
class Record:
    """One record. own, subdomain, absent: p=, sp=, np= as published, in lower case, None when not there.

    psd: "y", "n" or "u". strict_dkim, strict_spf: adkim=s, aspf=s. is_test: t=y. has_reports: rua= names a URI.
    """

    own: str | None = None
    subdomain: str | None = None
    absent: str | None = None
    psd: str = "u"
    strict_dkim: bool = False
    strict_spf: bool = False
    is_test: bool = False
    has_reports: bool = False

    def is_broken(self) -> bool:
        """A p=, sp= or np= that is none of the three words."""
        words = {policy.value for policy in Policy}
        return any(text is not None and text not in words for text in (self.own, self.subdomain, self.absent))

    def policy(self, *, for_subdomain: bool, exists: bool) -> Policy | None:
        """What applies to the record's own domain, or to a domain below it that exists or not; None: no policy is published.

        Section 4.10.1: a record without a usable p= counts as p=none when it asks for reports, else as no record.
        """
        if self.own is None or self.is_broken():
            return Policy.NONE if self.has_reports else None
        text = self.own
        if for_subdomain:
            text = self.subdomain or text
            if not exists:
                text = self.absent or text
        policy = Policy(text)
        return policy.one_step_lower() if self.is_test else policy


def parse_record(text: str) -> Record | None:
    """The record in one TXT record; None when it is something else. Unknown and odd tags are ignored, the first of two counts."""
    if len(text) > RECORD_LIMIT_OCTETS:
        return None
    tags: dict[str, str] = {}
    for number, spec in enumerate(text.split(";")):
        name, equals, value = spec.partition("=")
        name, value = name.strip(" \t").lower(), value.strip(" \t")
        if number == 0 and (name, value) != ("v", "DMARC1"):  # the version is compared with case, and stands first
            return None
        if equals:
            tags.setdefault(name, value)
    return Record(
        own=_word(tags, "p"),
        subdomain=_word(tags, "sp"),
        absent=_word(tags, "np"),
        psd=psd if (psd := tags.get("psd", "u").lower()) in ("y", "n") else "u",
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        is_test=tags.get("t", "n").lower() == "y",
        has_reports=any(_URI.fullmatch(uri) for uri in tags.get("rua", "").split(",")[:10]),
    )


def only_record(texts: Sequence[str]) -> tuple[Record | None, bool]:
    """The one DMARC record among the TXT records of a name, and whether there were several (then none counts)."""
    records = [record for text in texts if (record := parse_record(text)) is not None]
    return (records[0] if len(records) == 1 else None), len(records) > 1


def _word(tags: dict[str, str], name: str) -> str | None:
    return tags[name].lower() if name in tags else None
