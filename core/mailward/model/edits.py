"""The changes to a message that may be recorded in its queue item and applied when it is delivered or relayed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddHeader:
    """Insert one header field above all others. value: no CR, LF or NUL; folded by the core."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RemoveHeader:
    """Delete every field of this name (compared without case)."""

    name: str


@dataclass(frozen=True, slots=True)
class PrefixSubject:
    """Put text before the Subject; a message without one gets a Subject of the text alone."""

    prefix: str


@dataclass(frozen=True, slots=True)
class RemoveFieldAt:
    """Delete the header field at this index of the received message, counted from 0 at the top (core only)."""

    index: int


Edit = AddHeader | RemoveHeader | PrefixSubject
"""What a plugin may propose."""

RecordedEdit = Edit | RemoveFieldAt
"""What a queue item may hold."""
