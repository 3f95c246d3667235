"""What does the core itself refuse, before any plugin is asked, and how is that recorded?

Messages beyond the budgets of one reading among it: a header that is not read to its end could hide a field from the filters
that a mail reader shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailward.formats.message import MessageView
from mailward.formats.trace import count_received, count_received_by
from mailward.model import replies
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.envelope import Envelope
from mailward.model.evidence import FactValue
from mailward.model.ids import QueueId
from mailward.model.reply import Reply
from mailward.model.session import Session
from mailward.model.verdict import Verdict
from mailward.pipeline.facts import author_facts, envelope_facts, in_words, session_facts
from mailward.services.rates import Rates

MAX_HOPS = 100
"""RFC 5321 section 6.3: at least 100."""
MAX_PASSES = 3
"""A message that was here so often is in a loop: sent from here, come back from a list and forwarded once more makes three.

Our own Received fields are the token. Whoever forges them keeps only his own message out, so they need no signature.
"""
RECORDED_A_MINUTE = 600
RECIPIENTS_A_RECORD = 20
"""With so many more a record counts as one more: each costs as much room as a whole small one."""
MAX_AUTHOR_OCTETS = 4 * 1024
"""Of all fields that name who wrote or sent it: they are read while other sessions wait (T-DOS-08)."""
HEADER_BUDGETS = frozenset({"HEADER_BLOCK_TOO_BIG", "FIELD_TOO_BIG", "TOO_MANY_FIELDS"})


def record_budget() -> Rates:
    """So many refusals of MAIL and RCPT are recorded in a minute, and as many of messages; the log has them all. Strangers must
    not fill the disk by guessing at addresses, or with messages to a thousand people that are refused (T-DOS-03)."""
    return Rates(RECORDED_A_MINUTE, 60.0)


@dataclass(frozen=True, slots=True)
class CoreRefusal:
    """name: what refuses, as log and decision record give it. reply: without an id."""

    name: str
    reply: Reply


TOO_MANY_HOPS = CoreRefusal("hops", replies.TOO_MANY_HOPS)
LOOP = CoreRefusal("loop", replies.LOOP)
SEVERAL_FOR_NULL = CoreRefusal("null reverse-path", replies.SEVERAL_FOR_NULL)
BINARY_ELSEWHERE = CoreRefusal("binary content", replies.BINARY_ELSEWHERE)
HEADER_TOO_BIG = CoreRefusal("header", replies.HEADER_TOO_BIG)
LINE_ENDS = CoreRefusal("line ends", replies.LINE_ENDS)

_OF_LINE_ENDS = frozenset(
    one.name for one in (replies.HEADER_TOO_BIG, replies.UNREADABLE_AUTHOR, replies.AUTHORS_TOO_LONG, replies.MALFORMED_FIELD)
)
"""What a message comes to that a program wrote with LF alone: each LF is a space by now, and the header one long line."""


def core_refusal(message: MessageView, hostname: str) -> CoreRefusal | None:
    """Why this message is not even judged, None when it is. hostname: ours."""
    if HEADER_BUDGETS & message.root.header_problems:
        return HEADER_TOO_BIG
    hops = count_received(message)
    if hops > MAX_HOPS:
        return TOO_MANY_HOPS
    return LOOP if hops >= MAX_PASSES and count_received_by(message, hostname) >= MAX_PASSES else None


def of_mended(refusal: CoreRefusal) -> CoreRefusal:
    """The refusal of a message in which a CR or LF has become a space: who is told of its From would look there in vain."""
    return LINE_ENDS if refusal.reply.name in _OF_LINE_ENDS else refusal


def refused_by_core(
    id: QueueId,
    at: datetime,
    session: Session,
    envelope: Envelope,
    recipients: Sequence[str],
    refusal: CoreRefusal,
    answer: Reply,
    message: MessageView | None = None,
) -> DecisionRecord:
    """The record of such a refusal.

    recipients: addresses, [""] at MAIL. answer: the reply as it is sent. message: None before there is one.
    """
    known = session_facts(session)
    of_message = {} if message is None else _author_facts(message)
    verdict = (Verdict.TEMPFAIL if answer.code < 500 else Verdict.REJECT).value
    return DecisionRecord(
        id=id,
        received_at=utc_text(at),
        direction=session.role.value,
        session={name: in_words(value) for name, value in known.items()},
        reverse_path=str(envelope.reverse_path),
        message_id="" if message is None else message.message_id,
        size_octets=0 if message is None else message.size_octets,
        facts={**known, **envelope_facts(envelope), **of_message},
        recipients=tuple(
            RecipientDecision(address, verdict, 0.0, "core", refusal.name, "", floor=verdict) for address in recipients
        ),
        reply=str(answer),
    )


def _author_facts(message: MessageView) -> Mapping[str, FactValue]:
    """None of a From that would take long to read, which may be why the message is refused."""
    octets = sum(len(field.raw) for field in message.all("From"))
    return author_facts(message) if octets <= MAX_AUTHOR_OCTETS else {}
