"""How much may a stranger or an account send? Counted by all processes together, in bounded memory; what is over is deferred.

A stranger is an address (IPv6: a /64). Mail from networks that are exempt, and from this machine, is not counted.
"""

import time
from collections.abc import Sequence

import structlog

from mailward.formats.network import Network, is_in, is_own, source_of
from mailward.intake.refusing import CoreRefusal
from mailward.model import replies
from mailward.model.session import Session
from mailward.services.hourly import Hourly
from mailward.services.rates import Rates

log = structlog.get_logger("mailward.smtp")


TOO_MANY_MESSAGES = CoreRefusal("messages per hour", replies.MESSAGES_PER_HOUR)
TOO_MANY_RECIPIENTS = CoreRefusal("recipients per hour", replies.RECIPIENTS_PER_HOUR)
TOO_MANY_OCTETS = CoreRefusal("octets per hour", replies.OCTETS_PER_HOUR)


class Allowances:
    """What is left of the limits. strangers: of who has not logged in. accounts: of each account, its scripts among it."""

    def __init__(self, strangers: Hourly, accounts: Hourly, exempt: Sequence[Network] = ()) -> None:
        self._exempt = tuple(exempt)
        self._told = Rates(1, 60.0)
        self._strangers, self._accounts = strangers, accounts

    def message(self, session: Session) -> CoreRefusal | None:
        """A transaction begins: why it may not."""
        spent, source = self._of(session)
        if spent is None:
            return None
        now = time.monotonic()
        if spent.octets.is_spent(source, now):
            return self._reached(TOO_MANY_OCTETS, spent.limits.octets, session)
        return None if spent.messages.take(source, now) else self._reached(TOO_MANY_MESSAGES, spent.limits.messages, session)

    def further_recipient(self, session: Session) -> CoreRefusal | None:
        """Is nothing left for one more, so that there is no need to find out who it is? Not counted."""
        spent, source = self._of(session)
        if spent is None or spent.recipients.would_take(source, time.monotonic()):
            return None
        return self._reached(TOO_MANY_RECIPIENTS, spent.limits.recipients, session)

    def recipient(self, session: Session) -> CoreRefusal | None:
        """A recipient whom the core would take, though a policy may not: why not now."""
        spent, source = self._of(session)
        if spent is None or spent.recipients.take(source, time.monotonic()):
            return None
        return self._reached(TOO_MANY_RECIPIENTS, spent.limits.recipients, session)

    def content(self, session: Session, octets: int) -> None:
        """So much content has come, whatever becomes of it."""
        spent, source = self._of(session)
        if spent is not None:
            spent.octets.charge(source, time.monotonic(), octets)

    def _of(self, session: Session) -> tuple[Hourly | None, str]:
        if session.identity is not None:
            return self._accounts, session.identity.account
        if is_own(session.peer_ip) or is_in(session.peer_ip, self._exempt):
            return None, ""
        return self._strangers, source_of(session.peer_ip)

    def _reached(self, refusal: CoreRefusal, value: int, session: Session) -> CoreRefusal:
        identity = session.identity
        source = source_of(session.peer_ip) if identity is None else identity.user
        if self._told.take(source, time.monotonic()):  # once a minute is enough (T-DOS-15)
            key = refusal.name.replace(" ", "_")  # as mailward.yaml has it
            log.info("limit reached", limit=key if identity is None else f"account_{key}", value=value, source=source)
        return refusal
