"""What users may say of their mail behind MAIL FROM:, and strangers may not: when it is to go (RFC 4865 HOLDFOR, HOLDUNTIL)."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mailward.model.envelope import MailParameters
from mailward.model.reply import reply
from mailward.protocol.smtp.refused import RefusedError

_SECONDS = re.compile(r"[0-9]{1,9}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339 section 5.6."""


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
        return (f"FUTURERELEASE {self.hold_s} {self.latest:%Y-%m-%dT%H:%M:%SZ}",)

    def parameter(self, parameters: MailParameters, name: str, value: str) -> MailParameters | None:
        """The parameters with this one; None when it is none of ours. Raises RefusedError."""
        match name:
            case "HOLDFOR" | "HOLDUNTIL" if parameters.hold_for_s is not None or parameters.hold_until is not None:
                raise RefusedError(reply(501, "5.5.4", "HOLDFOR and HOLDUNTIL exclude each other"))
            case "HOLDFOR":
                return replace(parameters, hold_for_s=self._seconds(value))
            case "HOLDUNTIL":
                return replace(parameters, hold_until=self._moment(value))
        return None

    def _seconds(self, value: str) -> int:
        if not _SECONDS.fullmatch(value) or not 0 < int(value) <= self.hold_s:
            raise RefusedError(reply(501, "5.5.4", f"HOLDFOR wants from 1 to {self.hold_s} seconds"))
        return int(value)

    def _moment(self, value: str) -> datetime:
        try:
            moment = datetime.fromisoformat(value.upper()) if _MOMENT.fullmatch(value) else None
        except ValueError:
            moment = None
        if moment is None or moment > self.latest:
            raise RefusedError(reply(501, "5.5.4", f"HOLDUNTIL wants a moment up to {self.latest:%Y-%m-%dT%H:%M:%SZ}"))
        return moment.astimezone(UTC)
