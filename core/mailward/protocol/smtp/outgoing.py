"""A message that is to leave, what the next server can take, and what became of each recipient.

`unfit` answers before anything is sent whether this server can take this message at all.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mailward.formats.header import header_end
from mailward.model.address import ForwardPath, ReversePath
from mailward.model.envelope import DeliverBy, RcptParameters, Ret
from mailward.model.reply import Reply, reply
from mailward.protocol.smtp.wire import SoundOctets, sound

MALFORMED_CONTENT = reply(554, "5.6.0", "The message holds NUL, or CR or LF outside a line end")
TOO_BIG_THERE = reply(552, "5.3.4", "The message is larger than the next server takes")
EIGHT_BIT_NOT_TAKEN = reply(
    554, "5.6.3", "The message has 8-bit content that cannot be converted, and the next server does not offer 8BITMIME"
)
REQUIRETLS_NOT_TAKEN = reply(550, "5.7.30", "The sender requires REQUIRETLS and the next server does not offer it")
DELIVERBY_NOT_TAKEN = reply(
    554, "5.3.3", "Its sender wants it back when it is late, and the next server does not offer DELIVERBY"
)
TOO_LITTLE_TIME = reply(554, "5.4.7", "Its sender wants it back when it is late, and the next server asks for more time")
SMTPUTF8_NOT_TAKEN = reply(
    553, "5.6.7", "An internationalized address or header field, and the next server does not offer SMTPUTF8"
)


@dataclass(frozen=True)
class OutgoingMail:
    """octets: CRLF line ends, not dot-stuffed. smtputf8: it was submitted so, and its header may be UTF-8 (RFC 6531).

    ret, envelope_id, rcpt_parameters: what its sender wants to hear, for a server that offers DSN (RFC 3461 section 5.2.1).
    require_tls: only to a server that offers REQUIRETLS; the caller sees to it that the connection is verified (RFC 8689).
    deliver_by: what is left of its time; in mode R only to a server that keeps it (RFC 2852). priority: for one that offers it.
    """

    reverse_path: ReversePath
    forward_paths: tuple[ForwardPath, ...]
    octets: bytes
    smtputf8: bool = False
    ret: Ret = ""
    envelope_id: str = ""
    rcpt_parameters: Mapping[ForwardPath, RcptParameters] = field(default_factory=dict)
    require_tls: bool = False
    deliver_by: DeliverBy | None = None
    priority: int = 0

    @cached_property
    def content(self) -> SoundOctets | None:
        """The octets, None when they must not be written as mail data."""
        return sound(self.octets)

    @property
    def is_eight_bit(self) -> bool:
        return not self.octets.isascii()

    @property
    def common_part_needs_smtputf8(self) -> bool:
        """True when it could not go to an ASCII forward-path either."""
        sender = self.reverse_path.address
        if sender is not None and not sender.is_ascii:
            return True
        return self.smtputf8 and self.is_eight_bit and not self.octets[: header_end(self.octets)].isascii()


@dataclass(frozen=True, slots=True)
class Extensions:
    """What an EHLO reply offers, as far as we use it. size_octets: None when SIZE is not offered, 0 for no fixed limit.

    deliver_by_s: the least time that the server takes in mode R, None without DELIVERBY. auth: its SASL mechanisms.
    """

    size_octets: int | None = None
    eight_bit_mime: bool = False
    smtputf8: bool = False
    dsn: bool = False
    pipelining: bool = False
    starttls: bool = False
    requiretls: bool = False
    deliver_by_s: int | None = None
    mt_priority: bool = False
    chunking: bool = False
    auth: frozenset[str] = frozenset()

    @classmethod
    def of(cls, lines: tuple[str, ...]) -> "Extensions":
        """From the lines of the reply; the first is the server's greeting (RFC 5321 section 4.1.1.1)."""
        offered: dict[str, list[str]] = {}
        for line in lines[1:]:
            keyword, _, rest = line.strip().partition(" ")
            offered.setdefault(keyword.upper(), rest.split())
        return cls(
            size_octets=_number(offered["SIZE"]) if "SIZE" in offered else None,
            eight_bit_mime="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered,
            dsn="DSN" in offered,
            pipelining="PIPELINING" in offered,
            starttls="STARTTLS" in offered,
            requiretls="REQUIRETLS" in offered,
            deliver_by_s=_number(offered["DELIVERBY"]) if "DELIVERBY" in offered else None,
            mt_priority="MT-PRIORITY" in offered,
            chunking="CHUNKING" in offered,
            auth=frozenset(word.upper() for word in offered.get("AUTH", ())),
        )


def _number(parameters: list[str]) -> int:
    """RFC 1870 section 3: at most 20 digits; anything else tells us nothing, as 0 does."""
    text = parameters[0] if parameters else "0"
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 20 else 0


class Result(enum.Enum):
    """Accepted: theirs now. Temporary: try again later. Permanent: never."""

    ACCEPTED = "accepted"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one forward-path. reply: the peer's words, or ours when by_peer is False.

    reports_there: the peer offers DSN, so that it is for it to tell the sender of a delivery. times_there: it offers DELIVERBY.
    """

    forward_path: ForwardPath
    result: Result
    reply: Reply
    by_peer: bool = True
    reports_there: bool = False
    times_there: bool = False


def unfit(mail: OutgoingMail, extensions: Extensions) -> dict[ForwardPath, Outcome]:
    """The forward-paths this server can never be given the message for, with the reason."""
    everybody = _common_reason(mail, extensions)
    found = {}
    for path in mail.forward_paths:
        reason = everybody or (None if extensions.smtputf8 or path.address.is_ascii else SMTPUTF8_NOT_TAKEN)
        if reason is not None:
            found[path] = Outcome(path, Result.PERMANENT, reason, by_peer=False)
    return found


def wants_seven_bits(mail: OutgoingMail, extensions: Extensions) -> bool:
    """Is its 8-bit content the one reason why this server cannot be given the message?"""
    return _common_reason(mail, extensions) is EIGHT_BIT_NOT_TAKEN


def _common_reason(mail: OutgoingMail, extensions: Extensions) -> Reply | None:
    if mail.content is None:
        return MALFORMED_CONTENT
    if mail.require_tls and not extensions.requiretls:
        return REQUIRETLS_NOT_TAKEN
    if mail.deliver_by is not None and mail.deliver_by.returns:
        if extensions.deliver_by_s is None:
            return DELIVERBY_NOT_TAKEN
        if mail.deliver_by.within_s < extensions.deliver_by_s:
            return TOO_LITTLE_TIME
    if extensions.size_octets and len(mail.octets) > extensions.size_octets:
        return TOO_BIG_THERE
    if mail.common_part_needs_smtputf8 and not extensions.smtputf8:
        return SMTPUTF8_NOT_TAKEN
    # RFC 6152 section 3: without the extension, convert or return. What comes here could not be converted.
    return EIGHT_BIT_NOT_TAKEN if mail.is_eight_bit and not extensions.eight_bit_mime else None
