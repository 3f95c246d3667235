"""Which messages does the core itself refuse, before any plugin sees them? Those beyond the budgets of one reading.

A header that is not read to its end could hide a field from the filters that a mail reader shows.
"""

from dataclasses import dataclass

from mailward.formats.header import split_header
from mailward.formats.message import MAX_FIELDS, MAX_HEADER_OCTETS, MessageView
from mailward.formats.trace import count_received
from mailward.intake.accepting import Mail
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.reply import Reply, reply
from mailward.model.verdict import Verdict

MAX_HOPS = 100
"""RFC 5321 section 6.3: at least 100."""
MAX_FIELD_OCTETS = 64 * 1024


@dataclass(frozen=True, slots=True)
class CoreRefusal:
    """name: the limit, as the decision record gives it."""

    name: str
    reply: Reply


TOO_MANY_HOPS = CoreRefusal("hops", reply(554, "5.4.6", "Too many hops, this message is going in circles"))
HEADER_TOO_BIG = CoreRefusal("header", reply(554, "5.6.0", "The header of this message is larger than this server accepts"))


def core_refusal(message: MessageView) -> CoreRefusal | None:
    """Why this message cannot be judged, None when it can."""
    if len(message.header_octets) > MAX_HEADER_OCTETS or any(len(f.raw) > MAX_FIELD_OCTETS for f in message.fields):
        return HEADER_TOO_BIG
    if len(message.fields) >= MAX_FIELDS and len(split_header(message.header_octets)[0]) > MAX_FIELDS:
        return HEADER_TOO_BIG
    return TOO_MANY_HOPS if count_received(message) > MAX_HOPS else None


def refused_by_core(mail: Mail, refusal: CoreRefusal) -> DecisionRecord:
    """The record of such a message."""
    reject = Verdict.REJECT.value
    return DecisionRecord(
        id=mail.id,
        received_at=utc_text(mail.at),
        direction=mail.session.role.value,
        session={"peer.ip": mail.session.peer_ip, "helo.name": mail.session.helo or "", "listener.name": mail.session.listener},
        reverse_path=str(mail.envelope.reverse_path),
        message_id=mail.message.message_id,
        size_octets=mail.message.size_octets,
        recipients=tuple(
            RecipientDecision(d.facts.address, reject, 0.0, "core", refusal.name, "", floor=reject) for d in mail.destinations
        ),
        reply=str(refusal.reply),
    )
