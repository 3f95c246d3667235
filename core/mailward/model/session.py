"""The facts of one connection, as far as they are known at a given moment."""

import enum
from dataclasses import dataclass
from datetime import datetime

from mailward.model.identity import Identity
from mailward.model.ids import SessionId


class Role(enum.Enum):
    """What an SMTP listener is for. It also names the policy file that judges its mail."""

    MX = "inbound"
    SUBMISSION = "submission"


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was negotiated: version "TLSv1.3", cipher by its OpenSSL name."""

    version: str
    cipher: str


@dataclass(frozen=True, slots=True)
class Session:
    """One connection. Frozen: the adapter makes a new value when something becomes known.

    peer_ip: text form without zone; IPv4-mapped IPv6 addresses are already IPv4.
    helo: the name given in EHLO or HELO, None before either. extended: the greeting was EHLO. identity: who has logged in.
    """

    id: SessionId
    role: Role
    listener: str
    peer_ip: str
    started_at: datetime
    helo: str | None = None
    extended: bool = False
    tls: TlsFacts | None = None
    identity: Identity | None = None

    @property
    def with_protocol(self) -> str:
        """The WITH value of the Received field (RFC 3848): SMTP, ESMTP, ESMTPS, ESMTPA or ESMTPSA."""
        if not self.extended:
            return "SMTP"
        return "ESMTP" + ("S" if self.tls else "") + ("A" if self.identity else "")
