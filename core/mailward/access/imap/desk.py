"""What all IMAP sessions of a process share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from mailward.access.imap.allowance import Allowance
from mailward.access.imap.contents import Shelf
from mailward.access.imap.identifiers import Identifiers
from mailward.access.imap.incoming import Incoming
from mailward.access.imap.recent import RecentBook
from mailward.access.threads import Threads
from mailward.api.learning import MessageClassified, MessageMoved
from mailward.auth.exchange import Authenticator
from mailward.model.ids import AccountId
from mailward.store.base import MailStore
from mailward.store.events import Cause, Event

Moved = Callable[[MessageMoved], None]
Classified = Callable[[MessageClassified], None]

MAX_LESSONS_A_MINUTE = 1000
"""Messages of an account from which plugins learn; more are left out."""
MAX_GUESSES_AN_HOUR = 20
"""Identifiers by which an account shares something, and which name nobody."""


class Scripts(Protocol):
    """Runs the admin's script behind the replies."""

    @property
    def causes(self) -> frozenset[Cause]:
        """What it is to be told of."""
        ...

    def happened(self, event: Event) -> None:
        """Returns at once; whatever becomes of it, the command was carried out."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What all sessions of a process share.

    watch: calls back whenever the account may have changed; returns how to stop it. moved: told of each message that a person
    moved into or out of Junk; classified: of each that a keyword calls junk or not. append_octets: the largest message
    APPEND takes. capabilities_off: what is not offered to an account's user, of `SWITCHABLE`. identifiers: with whom mailboxes
    can be shared; None for nobody. scripts: told of what commands bring and change; None for nobody. lessons, guesses: what an
    account may do of these. incoming: what is being sent by APPEND. threads: for what blocks. background: what goes on
    behind replies.
    """

    store: MailStore
    authenticator: Authenticator
    watch: Callable[[AccountId, Callable[[], None]], Callable[[], None]]
    moved: Moved
    classified: Classified
    hostname: str
    append_octets: int
    capabilities_off: Callable[[AccountId], frozenset[str]] = lambda _: frozenset()
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    identifiers: Identifiers | None = None
    scripts: Scripts | None = None
    recent: RecentBook = field(default_factory=RecentBook)
    shelf: Shelf = field(default_factory=Shelf)
    lessons: Allowance = field(default_factory=lambda: Allowance(MAX_LESSONS_A_MINUTE, 60.0))
    guesses: Allowance = field(default_factory=lambda: Allowance(MAX_GUESSES_AN_HOUR, 3600.0))
    incoming: Incoming = field(default_factory=Incoming)
    threads: Threads = field(default_factory=Threads)
    background: set[asyncio.Task[None]] = field(default_factory=set)
