"""How much may a script send? What the account may for which it runs: its limits of an hour, by whatever way it sends."""

import time

import structlog

from mailward.model.ids import AccountId
from mailward.services.hourly import Hourly
from mailward.services.rates import Rates

log = structlog.get_logger("mailward.delivery")


class ScriptAllowance:
    """accounts: what each has sent, over SMTP among it."""

    def __init__(self, accounts: Hourly) -> None:
        self._accounts = accounts
        self._told = Rates(1, 60.0)

    def take(self, account: AccountId, who: str, recipients: int = 1) -> str:
        """Count one message. Why it cannot be sent now, in plain words; "" when it may. who: for the log."""
        spent, now = self._accounts, time.monotonic()
        if not spent.messages.take(account, now):
            return self._reached("account_messages_per_hour", f"the {spent.limits.messages} messages", who)
        if not spent.recipients.take(account, now, recipients):
            return self._reached("account_recipients_per_hour", f"to the {spent.limits.recipients} recipients", who)
        return ""

    def _reached(self, limit: str, what: str, who: str) -> str:
        if self._told.take(who, time.monotonic()):  # once a minute is enough (T-DOS-15)
            log.info("limit reached", limit=limit, source=who, by="script")
        return f"{who} has sent {what} that it may in an hour"
