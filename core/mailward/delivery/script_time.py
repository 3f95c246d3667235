"""How long may scripts run? So long for each account in an hour: they run beside everybody's mail."""

from time import monotonic

from mailward.model.ids import AccountId
from mailward.services.rates import Rates

PROCESSOR_S_PER_HOUR = 120.0
"""Of one account, in each process."""


class ScriptTime:
    """What the scripts of each account have taken, in microseconds: a usual run takes a hundred of them (T-IMAP-20)."""

    def __init__(self) -> None:
        self._taken_us = Rates(round(PROCESSOR_S_PER_HOUR * 1e6), 3600.0)

    def is_spent(self, account: AccountId) -> bool:
        return self._taken_us.is_spent(account, monotonic())

    def charge(self, account: AccountId, processor_s: float) -> None:
        self._taken_us.charge(account, monotonic(), round(processor_s * 1e6))
