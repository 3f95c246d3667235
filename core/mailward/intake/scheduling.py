"""When is a submitted message to go, by what its sender said behind MAIL FROM:? (RFC 4865)"""

from datetime import datetime, timedelta

from mailward.model.decision import utc_text
from mailward.model.envelope import MailParameters
from mailward.model.reply import Reply, reply

PAST_RELEASE = reply(501, "5.5.4", "HOLDUNTIL names a moment that is over")


def untimely(parameters: MailParameters, now: datetime) -> Reply | None:
    """Why the message cannot go when its sender wants it to, None when it can."""
    if parameters.hold_until is not None and parameters.hold_until <= now:
        return PAST_RELEASE
    return None


def hold_until(parameters: MailParameters, at: datetime) -> str:
    """Until when it is held, as of a queue item; at: when it was received."""
    if parameters.hold_for_s is not None:
        return utc_text(at + timedelta(seconds=parameters.hold_for_s))
    return "" if parameters.hold_until is None else utc_text(parameters.hold_until)
