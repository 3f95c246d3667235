"""Object identifiers as clients see them: a letter for what it is and the account's number of it (RFC 8474 section 7).

Behind it stands whose it is, where it is somebody else's: two accounts have the same numbers.
"""

import re
from typing import Literal

Kind = Literal["F", "M", "T"]
"""A mailbox, an email, a thread. The letters keep an email and a thread of one number apart (RFC 8474 section 5.2)."""

_WRITTEN = re.compile(rb"([FMT])([1-9][0-9]{0,18})(?:-([a-z0-9_-]{1,64}))?")


def object_id(kind: Kind, number: int, whose: str = "") -> str:
    """whose: an account's id, "" for the account that asks."""
    return f"{kind}{number}-{whose}" if whose else f"{kind}{number}"


def number_of(kind: Kind, written: bytes) -> tuple[int, str] | None:
    """And whose it is; None for what is no identifier of this kind that we gave."""
    found = _WRITTEN.fullmatch(written)
    if found is None or found[1] != kind.encode("ascii"):
        return None
    return int(found[2]), (found[3] or b"").decode("ascii")
