"""The SMTP envelope of one mail transaction (RFC 5321 section 2.3.1)."""

import enum
from dataclasses import dataclass, field

from mailward.model.address import ForwardPath, ReversePath


class BodyType(enum.Enum):
    """The BODY parameter of MAIL (RFC 6152)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What MAIL said beside the reverse-path. size_octets is the client's estimate (RFC 1870), None when not given.

    prdr: the client wants a reply for each recipient (draft-hall-prdr).
    """

    size_octets: int | None = None
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    prdr: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reverse-path and the forward-paths accepted so far, in the order of their RCPT commands."""

    reverse_path: ReversePath
    forward_paths: tuple[ForwardPath, ...] = ()
    parameters: MailParameters = field(default_factory=MailParameters)
