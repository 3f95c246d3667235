"""When is a submitted message to go, by what its sender said behind MAIL FROM:? (RFC 4865, RFC 2852)"""

from datetime import datetime, timedelta

from mailward.model.decision import utc_text
from mailward.model.envelope import MailParameters
from mailward.model.replies import BACK_BEFORE_RELEASE, PAST_RELEASE
from mailward.model.reply import Reply


def untimely(parameters: MailParameters, now: datetime) -> Reply | None:
    """Why the message cannot go when its sender wants it to, None when it can."""
    if parameters.hold_until is not None and parameters.hold_until <= now:
        return PAST_RELEASE
    returns = parameters.deliver_by is not None and parameters.deliver_by.returns
    return BACK_BEFORE_RELEASE if returns and deliver_by(parameters, now) <= hold_until(parameters, now) else None


def hold_until(parameters: MailParameters, at: datetime) -> str:
    """Until when it is held, as of a queue item; at: when it was received."""
    if parameters.hold_for_s is not None:
        return utc_text(at + timedelta(seconds=parameters.hold_for_s))
    return "" if parameters.hold_until is None else utc_text(parameters.hold_until)


def deliver_by(parameters: MailParameters, at: datetime) -> str:
    """By when it is to be delivered, as of a queue item; at: when it was received."""
    return "" if parameters.deliver_by is None else utc_text(at + timedelta(seconds=parameters.deliver_by.within_s))
