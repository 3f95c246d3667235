"""What may a script want to be done? The answers of a run, which others carry out."""

from dataclasses import dataclass

from mailward.model.address import Address
from mailward.sieve.problems import Place


@dataclass(frozen=True, slots=True)
class Action:
    """script, place: the command that asked for it; 0:0 for the implicit keep."""

    script: str
    place: Place


@dataclass(frozen=True, slots=True)
class Keep(Action):
    """Store it where it would be without a script (RFC 5228 section 4.3). is_implicit: no command said so (section 2.10.2)."""

    is_implicit: bool = False


@dataclass(frozen=True, slots=True)
class FileInto(Action):
    """Store it in this mailbox (RFC 5228 section 4.1). mailbox: its name in UTF-8, as the store writes names."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Redirect(Action):
    """Send it on to this address, the envelope's reverse-path unchanged (RFC 5228 section 4.2)."""

    address: Address


@dataclass(frozen=True, slots=True)
class Discard(Action):
    """Say nothing, store nothing (RFC 5228 section 4.4). It is there where it matters: when nothing else was asked for."""
