"""Which trace fields does a message get here, and how many has it got already? (RFC 5321 section 4.4; RFC 3848; RFC 6531)"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.header import split_header
from mailward.formats.message import MessageView
from mailward.formats.writing import LINE_OCTETS
from mailward.model.address import ReversePath
from mailward.model.ids import QueueId
from mailward.model.session import Session

_RECEIVED = re.compile(rb"(?:\A|(?<=\n))received[ \t]*:", re.IGNORECASE)
_TLS_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UTF8_PROTOCOLS = {
    "ESMTP": "UTF8SMTP",
    "ESMTPS": "UTF8SMTPS",
    "ESMTPA": "UTF8SMTPA",
    "ESMTPSA": "UTF8SMTPSA",
    "LMTP": "UTF8LMTP",
    "LMTPS": "UTF8LMTPS",
}
"""RFC 6531 section 4.3."""


def received_field(*, session: Session, hostname: str, id: QueueId, at: datetime, for_path: str | None, smtputf8: bool) -> str:
    """The whole Received field, folded, with its last CRLF.

    for_path: the forward-path; None when there are several, which must not learn of each other (RFC 5321 section 7.2).
    The name that the peer's address leads to stands beside the address (TCP-info), where it leads back.
    A HELO name that is no domain or address literal is not repeated: the peer's address stands in its place.
    """
    literal = _literal(session.peer_ip)
    protocol = _UTF8_PROTOCOLS.get(session.with_protocol, session.with_protocol) if smtputf8 else session.with_protocol
    known_as = f"{session.rdns.name} {literal}" if session.rdns and session.rdns.name else literal
    clauses = [f"from {_extended_domain(session.helo, literal)} ({known_as})", f"by {hostname}", f"with {protocol}"]
    if session.tls and _TLS_WORD.fullmatch(session.tls.version) and _TLS_WORD.fullmatch(session.tls.cipher):
        clauses.append(f"({session.tls.version}, {session.tls.cipher})")
    clauses.append(f"id {id}")
    if for_path is not None and _is_writable(for_path, smtputf8=smtputf8):
        clauses.append(f"for <{for_path}>")
    clauses[-1] += ";"
    clauses.append(format_datetime(at.astimezone(UTC)))
    lines = ["Received:"]
    for clause in clauses:
        if len(lines[-1]) + 1 + len(clause) > LINE_OCTETS:
            lines.append(f"\t{clause}")
        else:
            lines[-1] += f" {clause}"
    return "\r\n".join(lines) + "\r\n"


def return_path_field(reverse_path: ReversePath) -> str:
    """The whole Return-Path field with its CRLF, for final delivery."""
    return f"Return-Path: <{reverse_path}>\r\n"


def count_received(view: MessageView) -> int:
    """How many Received fields the message has, beyond any budget: how often it was relayed (RFC 5321 section 6.3)."""
    return len(_RECEIVED.findall(view.header_octets))


def count_received_by(view: MessageView, hostname: str) -> int:
    """How many of them the host of this name wrote, in the form of `received_field`: how often the message was there."""
    written = re.compile(
        rb"received[ \t]*:.*[ \t\n]by[ \t]" + re.escape(hostname.encode()) + rb"[ \t\r]", re.IGNORECASE | re.DOTALL
    )
    return sum(written.match(raw) is not None for raw in split_header(view.header_octets)[0])


def _literal(ip: str) -> str:
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def _extended_domain(helo: str | None, literal: str) -> str:
    try:
        return normalise_domain(helo or "")
    except AddressSyntaxError:
        return literal


def _is_writable(path: str, *, smtputf8: bool) -> bool:
    return path.isprintable() and len(path) <= 254 and (smtputf8 or path.isascii())
