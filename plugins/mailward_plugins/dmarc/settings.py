"""What an admin may set for the dmarc plugin, and the facts it gives to policies."""

from dataclasses import dataclass
from datetime import timedelta

from mailward.api import Facts, Settings


@dataclass(frozen=True)
class DmarcSettings(Settings):
    """time_limit: for all DNS questions of one message; past it the result is temperror."""

    time_limit: timedelta = timedelta(seconds=15)


@dataclass(frozen=True)
class DmarcFacts(Facts):
    """result: pass, fail, none, temperror or permerror. domain: the author's (From), "" when there is not exactly one.

    policy: what the domain asks for mail that fails: none, quarantine or reject, after sp=, np= and t=; "" for no record.
    """

    result: str = "none"
    policy: str = ""
    domain: str = ""
