"""Where enrolments are kept: one value an account, changed only if nobody else has changed it meanwhile."""

from collections.abc import Callable
from typing import TypeVar

from mailward.api import KeyValue
from mailward_plugins.totp.enrolment import Enrolment

T = TypeVar("T")


async def kept(kv: KeyValue, account: str) -> Enrolment:
    """The account's enrolment, an empty one when it has none."""
    key = _key(account)
    return Enrolment.decode((await kv.get_many([key])).get(key))


async def change(kv: KeyValue, account: str, decide: Callable[[Enrolment], tuple[Enrolment, T]]) -> T:
    """Let `decide` change the enrolment. When others were faster it is asked again, about what they left.

    Of any number of processes that come with the same code one alone succeeds: the others find its time step used.
    """
    key = _key(account)
    while True:
        octets = (await kv.get_many([key])).get(key)
        before = Enrolment.decode(octets)
        after, result = decide(before)
        if after == before or await kv.change(key, octets, None if after == Enrolment() else after.encode()):
            return result


def _key(account: str) -> bytes:
    return f"account:{account}".encode()
