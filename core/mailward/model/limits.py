"""How much mail an account may hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailLimits:
    """octets and messages in all mailboxes together; None is no limit."""

    octets: int | None = None
    messages: int | None = None


NO_LIMITS = MailLimits()
