"""What the hooks around an outbound attempt are given."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mailward.model.ids import QueueId
from mailward.model.tls import TlsSession


class UnsendableMessage(Exception):
    """For a plugin to raise: the fault is in the message itself, and trying again is of no use. Its sender gets the text."""


Origin = Literal["submission", "inbound", "server"]
"""Where a message came from: an authenticated user, another server, or this one: its delivery reports and its plugins' mail."""


@dataclass(frozen=True, slots=True)
class MailHost:
    """One host that a message may go to.

    name: A-labels in lower case; the IP address of one without a name. is_certain: that it serves the domain is the word of
    the admin or of DNSSEC. is_routed: the admin names it, not DNS.
    """

    name: str
    port: int
    is_certain: bool = False
    is_routed: bool = False


@dataclass(frozen=True, slots=True)
class Relaying:
    """One message on its way to one domain.

    domain: A-labels in lower case, of every forward-path in this attempt. user: the address of the account that submitted it,
    "" for none; its right to the author address was checked then. reverse_path: "" for the null reverse-path. tls_optional: the
    user lets it go without TLS (the field TLS-Required: No, RFC 8689 section 5), whatever the other domain asks for.
    """

    id: QueueId
    domain: str
    origin: Origin
    user: str
    reverse_path: str
    forward_paths: tuple[str, ...]
    tls_optional: bool = False


@dataclass(frozen=True, slots=True)
class RelayOutcome:
    """What an attempt came to for one forward-path. status: enhanced (RFC 3463). words: of the other server's reply, or ours."""

    forward_path: str
    result: Literal["accepted", "temporary", "permanent"]
    status: str
    words: str


@dataclass(frozen=True, slots=True)
class RelayingAttempt:
    """One attempt that has ended. at: when, in UTC. sessions: the connections that were made or tried for it, in their order;
    none where the message went over one that was there already or over a unix socket, or no host could be talked to.
    """

    relaying: Relaying
    at: datetime
    sessions: tuple[TlsSession, ...]
    outcomes: tuple[RelayOutcome, ...]
