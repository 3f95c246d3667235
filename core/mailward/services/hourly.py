"""How much may somebody send in an hour? One count for all processes, by whichever of them it is sent."""

from dataclasses import dataclass

from mailward.services.rates import Rates

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class HourlyLimits:
    """Of one stranger or account in an hour; 0 for none. octets: of content, that of messages broken off among it (T-DOS-05)."""

    messages: int = 0
    recipients: int = 0
    octets: int = 0


class Hourly:
    """What each of many has sent. Processes forked after it was made count together."""

    def __init__(self, limits: HourlyLimits) -> None:
        self.limits = limits
        self.messages = Rates(limits.messages, _HOUR_S)
        self.recipients = Rates(limits.recipients, _HOUR_S)
        self.octets = Rates(limits.octets, _HOUR_S)
