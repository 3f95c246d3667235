"""Object identifiers as clients see them: a letter for what it is and the account's number of it (RFC 8474 section 7)."""

import re
from typing import Literal

Kind = Literal["F", "M", "T"]
"""A mailbox, an email, a thread. The letters keep an email and a thread of one number apart (RFC 8474 section 5.2)."""

_WRITTEN = re.compile(rb"([FMT])([1-9][0-9]{0,18})")


def object_id(kind: Kind, number: int) -> str:
    return f"{kind}{number}"


def number_of(kind: Kind, written: bytes) -> int | None:
    """None for what is no identifier of this kind that we gave."""
    found = _WRITTEN.fullmatch(written)
    return int(found[2]) if found is not None and found[1] == kind.encode("ascii") else None
