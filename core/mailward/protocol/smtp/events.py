"""What the SMTP server machine tells its caller.

`Asked` events wait for a reply through `SmtpServer.decide`; the others only inform.
"""

import enum
from dataclasses import dataclass, field

from mailward.formats.lines import LineFacts
from mailward.model.address import ForwardPath, ReversePath
from mailward.model.envelope import MailParameters, RcptParameters
from mailward.model.reply import Reply


@dataclass(frozen=True, slots=True)
class Greeted:
    """EHLO (extended) or HELO was answered with 250. Any transaction is over (RFC 5321 section 4.1.4)."""

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class MailAsked:
    """MAIL with sound syntax: begin a transaction?"""

    reverse_path: ReversePath
    parameters: MailParameters


@dataclass(frozen=True, slots=True)
class RcptAsked:
    """RCPT with sound syntax: take this forward-path?"""

    forward_path: ForwardPath
    parameters: RcptParameters = field(default_factory=RcptParameters)


@dataclass(frozen=True, slots=True)
class DataAsked:
    """DATA or a first BDAT with at least one forward-path: a 354 lets the content come, a refusal ends the transaction.

    chunked: it is BDAT, whose content comes without waiting; a positive answer is not sent.
    """

    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """The next octets of the message, dot-stuffing undone, CRLF line ends; any length but 0."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class MessageAsked:
    """The end of data was reached: what becomes of the message? The transaction ends with the reply, whatever it is.

    lines: what passed by while the content came, so that nobody has to look at all of it again. is_mended: a CR or LF outside a
    CRLF has become a space, as in what users submit.
    """

    size_octets: int
    lines: LineFacts
    is_mended: bool = False


@dataclass(frozen=True, slots=True)
class TlsAsked:
    """STARTTLS with nothing waiting behind it: write the 220, shake hands, then call `tls_started`. `decide` refuses instead."""


@dataclass(frozen=True, slots=True)
class AuthAsked:
    """AUTH of a mechanism that is offered: begin an exchange. initial: decoded, None when the client gave no initial response.

    The decision is an `AuthChallenge`, or the Reply that ends the exchange.
    """

    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's decoded response to the last challenge; decided as `AuthAsked` is."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class XclientAsked:
    """XCLIENT of a peer that may use it: shall the session be this client's? A positive answer is not sent: the greeting is.

    client_ip: None when the peer does not know; then the address the session has stays.
    """

    client_ip: str | None


@dataclass(frozen=True, slots=True)
class TransactionDropped:
    """RSET, EHLO or a fault ended the transaction without a message: forget every fact of it. why: for the log."""

    why: str


class Fault(enum.Enum):
    """Faults worth a line in the log, by the names an admin greps for."""

    PREGREET = "talks before the greeting"
    PIPELINING = "sends ahead where it must wait for a reply"
    TLS_INJECTION = "sends plain text behind STARTTLS"
    SMUGGLING = "mail data holds CR or LF outside a CRLF"
    NUL = "mail data holds an octet of value 0"
    BARE_LF = "ends a command by LF without CR"
    LONG_LINE = "sends a command line over the limit"
    OTHER_PROTOCOL = "does not speak SMTP"
    TOO_BIG = "sends a message over the limit"
    TOO_MANY_ERRORS = "makes too many errors"


@dataclass(frozen=True, slots=True)
class Faulted:
    """The peer broke a rule. The machine has answered already."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT was answered: close once the reply is out."""


@dataclass(frozen=True, slots=True)
class AuthChallenge:
    """A decision: the exchange goes on with these octets (334)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class RecipientReplies:
    """A decision on a message of LMTP or PRDR. each: one reply for each RCPT that was taken, in that order.

    overall: what PRDR says behind them, positive when anybody gets the message.
    """

    each: tuple[Reply, ...]
    overall: Reply


Asked = MailAsked | RcptAsked | DataAsked | MessageAsked | TlsAsked | AuthAsked | AuthResponse | XclientAsked

Answer = Reply | AuthChallenge | RecipientReplies
"""What `SmtpServer.decide` takes."""

Event = Asked | Greeted | Content | TransactionDropped | Faulted | Quit
