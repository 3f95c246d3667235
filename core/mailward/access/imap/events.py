"""What is told of commands that bring messages into a mailbox, or change their flags? (RFC 6785 section 2.2)"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mailward.access.imap.reach import Reached
from mailward.model.identity import Identity

Cause = Literal["APPEND", "COPY", "FLAG"]


@dataclass(frozen=True, slots=True)
class Event:
    """identity: of who gave the command. mailbox: where the messages are, which may be somebody else's.

    changed_flags: of all of them, for the cause FLAG.
    """

    cause: Cause
    identity: Identity
    mailbox: Reached
    uids: Sequence[int]
    changed_flags: tuple[str, ...] = ()


class Scripts(Protocol):
    """Runs the admin's script behind the replies."""

    @property
    def causes(self) -> frozenset[Cause]:
        """What it is to be told of."""
        ...

    def happened(self, event: Event) -> None:
        """Returns at once; whatever becomes of it, the command was carried out."""
        ...
