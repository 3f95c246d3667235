"""What an admin may set for the spf plugin, and the facts it gives to policies."""

from dataclasses import dataclass
from datetime import timedelta

from mailward.api import Facts, Settings


@dataclass(frozen=True)
class SpfSettings(Settings):
    """time_limit: for one whole evaluation (RFC 7208 section 4.6.4 wants at least 20 s); past it the result is temperror.

    wide_open_bits: networks of fewer prefix bits (IPv4; four times as many for IPv6) authorise anybody, as does `+all`.
    """

    time_limit: timedelta = timedelta(seconds=20)
    wide_open_bits: int = 8


@dataclass(frozen=True)
class SpfFacts(Facts):
    """result: none, neutral, pass, fail, softfail, temperror or permerror. domain: the one evaluated, "" when there was none."""

    result: str = "none"
    domain: str = ""
