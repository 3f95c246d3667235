"""The SMTP envelope of one mail transaction (RFC 5321 section 2.3.1)."""

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from mailward.model.address import ForwardPath, ReversePath


class BodyType(enum.Enum):
    """The BODY parameter of MAIL (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARY_MIME = "BINARYMIME"


Ret = Literal["", "FULL", "HDRS"]
"""The RET parameter of MAIL: how much of a message comes back with a report of failure; "" when not given (RFC 3461)."""

Notify = Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]
"""The words of the NOTIFY parameter of RCPT (RFC 3461)."""


@dataclass(frozen=True, slots=True)
class DeliverBy:
    """The BY parameter of MAIL (RFC 2852). within_s: seconds for the delivery, below 0 when they are over.

    returns: what comes too late goes back (mode R); else its sender hears of it (mode N). traces: and of each relaying (T).
    """

    within_s: int
    returns: bool
    traces: bool = False

    def __str__(self) -> str:
        return f"{self.within_s};{'R' if self.returns else 'N'}{'T' if self.traces else ''}"


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What MAIL said beside the reverse-path. size_octets is the client's estimate (RFC 1870), None when not given.

    prdr: the client wants a reply for each recipient (draft-hall-prdr). envelope_id: ENVID, printable ASCII, "" when not given.
    require_tls: it goes on only over verified TLS to servers that promise the same (REQUIRETLS, RFC 8689).
    hold_for_s, hold_until: not to be delivered before, by HOLDFOR from its reception on or by HOLDUNTIL, in UTC (RFC 4865).
    priority: MT-PRIORITY, from -9 to 9 (RFC 6710).
    """

    size_octets: int | None = None
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    ret: Ret = ""
    envelope_id: str = ""
    prdr: bool = False
    require_tls: bool = False
    hold_for_s: int | None = None
    hold_until: datetime | None = None
    deliver_by: DeliverBy | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class RcptParameters:
    """What RCPT said beside the forward-path (RFC 3461). notify: in the order of `Notify`, none when not given.

    original_recipient: ORCPT, "rfc822;bob@example.org", printable ASCII; of the type utf-8 in the form of RFC 6533 that is so.
    """

    notify: tuple[Notify, ...] = ()
    original_recipient: str = ""

    def wants(self, news: Notify) -> bool:
        """Is the sender to hear of it? Of failures and delays also when the client said nothing (RFC 3461 section 4.1)."""
        return news in self.notify if self.notify else news in ("FAILURE", "DELAY")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reverse-path and the forward-paths accepted so far, in the order of their RCPT commands.

    rcpt_parameters: of each forward-path.
    """

    reverse_path: ReversePath
    forward_paths: tuple[ForwardPath, ...] = ()
    parameters: MailParameters = field(default_factory=MailParameters)
    rcpt_parameters: tuple[RcptParameters, ...] = ()

    def first(self, recipients: int) -> "Envelope":
        """The envelope as it was after so many."""
        return replace(self, forward_paths=self.forward_paths[:recipients], rcpt_parameters=self.rcpt_parameters[:recipients])

    def with_recipient(self, forward_path: ForwardPath, parameters: RcptParameters) -> "Envelope":
        """The envelope after one more RCPT."""
        forward_paths, rcpt_parameters = (*self.forward_paths, forward_path), (*self.rcpt_parameters, parameters)
        return Envelope(self.reverse_path, forward_paths, self.parameters, rcpt_parameters)
