"""What the hooks around a login are given and what they answer: one chain for SMTP, IMAP, POP3 and ManageSieve."""

from dataclasses import dataclass, field
from typing import Literal

from mailward.model.identity import Identity
from mailward.model.proof import Proof
from mailward.model.session import TlsFacts

LoginProtocol = Literal["smtp", "imap", "pop3", "managesieve"]
"""By which protocol somebody logs in; submission is SMTP."""


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """One attempt to log in, without its secret.

    name: the login name as it was typed. mechanism: the SASL mechanism, PLAIN for IMAP's LOGIN and POP3's USER and PASS.
    """

    protocol: LoginProtocol
    listener: str
    peer_ip: str
    tls: TlsFacts | None
    mechanism: str
    name: str


@dataclass(frozen=True, slots=True)
class Secret:
    """What proves a name.

    password: in clear, None where the mechanism never shows it (SCRAM). proof: what it has instead, for `services.credentials`.
    """

    password: str | None = field(default=None, repr=False)
    proof: Proof | None = field(default=None, repr=False)


FactorAnswer = Literal["accepted", "refused", "required"]
"""What a second factor says: the code is right, it is wrong, or one is needed and none was given."""


@dataclass(frozen=True, slots=True)
class LoginOutcome:
    """How an attempt ended. result: accepted, refused, or unavailable (nobody could tell; the client may try again later).

    identity: who, when accepted. why: for the log, in plain words; the client never sees it.
    """

    result: Literal["accepted", "refused", "unavailable"]
    identity: Identity | None
    why: str
