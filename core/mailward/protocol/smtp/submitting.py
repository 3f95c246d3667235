"""What users may say of their mail behind MAIL FROM:, and strangers may not.

When it is to go (RFC 4865 HOLDFOR, HOLDUNTIL), by when it is to be there (RFC 2852 BY), before what (RFC 6710 MT-PRIORITY).
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mailward.model.envelope import DeliverBy, MailParameters
from mailward.model.replies import HOLD_TWICE
from mailward.protocol.smtp.refused import RefusedError, wrong_value

_SECONDS = re.compile(r"[0-9]{1,9}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339 section 5.6."""
_BY = re.compile(r"([+-]?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)
_PRIORITY = re.compile(r"-?[1-9]|0")


@dataclass(frozen=True, slots=True)
class Submitting:
    """What a submission listener offers beyond others. hold_s: so long mail may be held, from `since` on, an aware moment."""

    hold_s: int
    since: datetime

    @property
    def latest(self) -> datetime:
        """Until then mail may be held, in whole seconds."""
        return (self.since.astimezone(UTC) + timedelta(seconds=self.hold_s)).replace(microsecond=0)

    @property
    def keywords(self) -> tuple[str, ...]:
        """For the reply to EHLO."""
        return (f"FUTURERELEASE {self.hold_s} {self.latest:%Y-%m-%dT%H:%M:%SZ}", "DELIVERBY", "MT-PRIORITY")

    def parameter(self, parameters: MailParameters, name: str, value: str) -> MailParameters | None:
        """The parameters with this one; None when it is none of ours. Raises RefusedError."""
        match name:
            case "HOLDFOR" | "HOLDUNTIL" if parameters.hold_for_s is not None or parameters.hold_until is not None:
                raise RefusedError(HOLD_TWICE)
            case "HOLDFOR":
                return replace(parameters, hold_for_s=self._seconds(value))
            case "HOLDUNTIL":
                return replace(parameters, hold_until=self._moment(value))
            case "BY":
                return replace(parameters, deliver_by=_deliver_by(value))
            case "MT-PRIORITY":
                if not _PRIORITY.fullmatch(value):
                    raise RefusedError(wrong_value("MT-PRIORITY", "wants a number from -9 to 9"))
                return replace(parameters, priority=int(value))
        return None

    def _seconds(self, value: str) -> int:
        if not _SECONDS.fullmatch(value) or not 0 < int(value) <= self.hold_s:
            raise RefusedError(wrong_value("HOLDFOR", f"wants from 1 to {self.hold_s} seconds"))
        return int(value)

    def _moment(self, value: str) -> datetime:
        try:
            moment = datetime.fromisoformat(value.upper()).astimezone(UTC) if _MOMENT.fullmatch(value) else None
        except (ValueError, OverflowError):  # the latter where UTC has no such year
            moment = None
        if moment is None or moment > self.latest:
            raise RefusedError(wrong_value("HOLDUNTIL", f"wants a moment up to {self.latest:%Y-%m-%dT%H:%M:%SZ}"))
        return moment


def _deliver_by(value: str) -> DeliverBy:
    found = _BY.fullmatch(value)
    if found is None:
        raise RefusedError(wrong_value("BY", "wants seconds, a semicolon, and R or N, behind which T may stand"))
    deliver_by = DeliverBy(int(found[1]), found[2].upper() == "R", bool(found[3]))
    if deliver_by.returns and deliver_by.within_s <= 0:  # RFC 2852 section 4
        raise RefusedError(wrong_value("BY", "in mode R wants more than 0 seconds"))
    return deliver_by
