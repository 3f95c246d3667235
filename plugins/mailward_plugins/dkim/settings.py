"""What an admin may set for the dkim plugin, and the facts it gives to policies."""

from dataclasses import dataclass
from datetime import timedelta

from mailward.api import Facts, Settings


@dataclass(frozen=True)
class DkimSettings(Settings):
    """For verifying (policies/inbound.yaml):

    max_signatures: more are not checked. time_limit: for fetching all keys; a key that comes later counts as temperror.
    clock_jitter: how far clocks may differ when t= and x= are judged. stale_after: older signatures are reported (replay).
    weak_key_bits: RSA keys below this size are reported (below 1024 they are refused, RFC 8301 section 3.2).

    For signing (policies/outbound.yaml):

    expire_after: how long a signature is good for (x=), counted from each attempt to relay; 0s for no limit.
    """

    max_signatures: int = 8
    time_limit: timedelta = timedelta(seconds=10)
    clock_jitter: timedelta = timedelta(hours=1)
    stale_after: timedelta = timedelta(days=7)
    weak_key_bits: int = 2048
    expire_after: timedelta = timedelta(0)


@dataclass(frozen=True)
class DkimFacts(Facts):
    """result: pass if any signature passed, else the most telling of fail, temperror, policy, permerror, neutral; else none.

    domains: the d= of passing signatures that cover the whole message, in lower case.
    """

    result: str = "none"
    domains: tuple[str, ...] = ()
