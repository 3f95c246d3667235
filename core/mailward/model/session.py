"""The facts of one connection, as far as they are known at a given moment."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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


ReverseResult = Literal["pass", "fail", "permerror", "temperror", "none"]
"""The words of `ReverseName.result`."""


@dataclass(frozen=True, slots=True)
class ReverseName:
    """What reverse DNS says of a peer, by the words of RFC 8601 section 2.7.3.

    pass: `name` leads back to the address. fail: no name does. permerror: there is none. temperror: nobody can say now.
    none: the address is one of a private network, and nobody was asked. name: "" unless the result is pass. claimed: a name that
    does not lead back; whoever has an address may write there what he likes.
    """

    result: ReverseResult
    name: str = ""
    claimed: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One connection. Frozen: the adapter makes a new value when something becomes known.

    peer_ip: text form without zone; IPv4-mapped IPv6 addresses are already IPv4.
    helo: the name given in EHLO, HELO or LHLO, None before. extended: it was not HELO. identity: who has logged in. lmtp: the
    protocol is LMTP, by which only mail for mailboxes here is taken. rdns: None while it is not known. hostname: ours.
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
    lmtp: bool = False
    rdns: ReverseName | None = None
    hostname: str = ""

    @property
    def is_stranger(self) -> bool:
        """Neither a user nor a server of ours, which hands over mail by LMTP: somebody of whom only the address is known."""
        return self.role is Role.MX and self.identity is None and not self.lmtp

    @property
    def with_protocol(self) -> str:
        """The WITH value of the Received field (RFC 3848): SMTP, ESMTP or LMTP; behind these two S for TLS, A for a login."""
        if not self.extended:
            return "SMTP"
        return ("LMTP" if self.lmtp else "ESMTP") + ("S" if self.tls else "") + ("A" if self.identity else "")
