"""What does an MTA-STS policy say, and what the TXT record that announces it? Pure (RFC 8461 sections 3.1, 3.2 and 4.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from mailward.api import normalise_domain

Mode = Literal["enforce", "testing", "none"]
LONGEST_S = 31_557_600
"""A policy is kept for a year at most."""
MOST_MX = 200
MOST_LINES = 500
"""Of a policy; who needs more hosts has names below one that a star stands before."""

_RECORD = re.compile(r"v=STSv1[ \t]*;(.*)", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_MAX_AGE = re.compile(r"[0-9]{1,10}")


class PolicyInvalid(ValueError):
    """Says what is wrong with a policy."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """mx_hosts: A-labels in lower case; "*." before one stands for one label. max_age_s: how long it may be kept.

    lines: what it says, without what means nothing; a policy again when they are read.
    """

    mode: Mode
    mx_hosts: tuple[str, ...]
    max_age_s: int
    lines: tuple[str, ...]

    def names(self, host: str) -> bool:
        """May mail go to this host? (section 4.1)"""
        parent = "*." + host.partition(".")[2]
        return host in self.mx_hosts or parent in self.mx_hosts


def announced_id(records: Sequence[str]) -> str | None:
    """The id of the policy that TXT records announce; None when there is not exactly one that is sound (section 3.1)."""
    found = [match[1] for record in records if (match := _RECORD.match(record)) is not None]
    if len(found) != 1:
        return None
    fields = [field.strip(" \t").partition("=") for field in found[0].split(";")]
    ids = [value for key, _, value in fields if key == "id"]
    return ids[0] if len(ids) == 1 and _ID.fullmatch(ids[0]) else None


def read_policy(octets: bytes) -> StsPolicy:
    """Raises PolicyInvalid. Of a key that comes twice the first counts, but for mx; unknown keys mean nothing (section 3.2)."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyInvalid("it is no UTF-8") from None
    if text.count("\n") > MOST_LINES:
        raise PolicyInvalid(f"it has more than {MOST_LINES} lines")
    lines = [line.removesuffix("\r") for line in text.split("\n") if line.strip()]
    values: dict[str, str] = {}
    hosts: list[str] = []
    for line in lines:
        key, colon, value = line.partition(":")
        if not colon or "\r" in line:
            raise PolicyInvalid(f"the line '{line[:60]}' is no key with a value")
        if key.strip() == "mx":
            if len(hosts) == MOST_MX:
                raise PolicyInvalid(f"it names more than {MOST_MX} mx")
            hosts.append(_pattern(value.strip()))
        else:
            values.setdefault(key.strip(), value.strip())
    if values.get("version") != "STSv1":
        raise PolicyInvalid("it does not say version: STSv1")
    mode, max_age = values.get("mode", ""), values.get("max_age", "")
    if mode not in ("enforce", "testing", "none"):
        raise PolicyInvalid(f"its mode is '{mode[:20]}'")
    if not _MAX_AGE.fullmatch(max_age):
        raise PolicyInvalid("its max_age is no number of seconds")
    if mode != "none" and not hosts:
        raise PolicyInvalid("it names no mx")
    hosts = list(dict.fromkeys(hosts))
    said = ("version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), f"max_age: {max_age}")
    return StsPolicy(cast(Mode, mode), tuple(hosts), min(int(max_age), LONGEST_S), said)


def _pattern(text: str) -> str:
    star = "*." if text.startswith("*.") else ""
    try:
        return star + normalise_domain(text.removeprefix(star).removesuffix("."))
    except ValueError:
        raise PolicyInvalid(f"its mx '{text[:60]}' is no host name") from None
