"""What is written down about a message at the moment it is answered for: trace fields, edits, and a route per recipient."""

from dataclasses import dataclass, replace
from datetime import datetime

from mailward.formats.authres import authentication_results, forged_indexes
from mailward.formats.message import MessageView
from mailward.formats.parameters import strip_comments
from mailward.formats.trace import received_field
from mailward.intake.mending import mended, own_message_id
from mailward.intake.ports import Judgement
from mailward.intake.relaying import Destination
from mailward.intake.scheduling import deliver_by, hold_until
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.edits import RecordedEdit, RemoveFieldAt
from mailward.model.envelope import Envelope, RcptParameters
from mailward.model.ids import QueueId
from mailward.model.session import Role, Session
from mailward.model.verdict import Verdict
from mailward.queue.item import QueuedRecipient, QueueItem


@dataclass(frozen=True, slots=True)
class Mail:
    """A whole message with its envelope, not yet answered for. destinations: in the order of their RCPT commands."""

    id: QueueId
    at: datetime
    session: Session
    envelope: Envelope
    destinations: tuple[Destination, ...]
    message: MessageView


def queue_item(mail: Mail, judgement: Judgement, hostname: str) -> QueueItem:
    """The item of a message that the policy accepted for at least one recipient."""
    # Several recipients must not learn of each other from the trace (RFC 5321 section 7.2).
    for_path = mail.destinations[0].facts.address if len(mail.destinations) == 1 else None
    utf8 = mail.envelope.parameters.smtputf8
    received = received_field(session=mail.session, hostname=hostname, id=mail.id, at=mail.at, for_path=for_path, smtputf8=utf8)
    # What we found stands above our Received, so that a reader can tell it from what came with the message (RFC 8601 section 5).
    submitted = mail.session.role is Role.SUBMISSION
    results = authentication_results(hostname, judgement.auth_results) if judgement.auth_results or not submitted else ""
    own_edits: tuple[RecordedEdit, ...] = tuple(RemoveFieldAt(index) for index in forged_indexes(mail.message, hostname))
    record = judgement.record
    if submitted:
        if not mail.message.all("Message-ID"):
            record = replace(record, message_id=own_message_id(mail.id, hostname))  # others will call it so
        own_edits += mended(mail.message, mail.id, mail.at, hostname)
    said, by = mail.envelope.rcpt_parameters, mail.envelope.parameters.deliver_by
    rows = zip(mail.destinations, said, judgement.recipients, judgement.recipient_edits, strict=True)
    return QueueItem(
        id=mail.id,
        received_at=utc_text(mail.at),
        reverse_path=str(mail.envelope.reverse_path),
        size_octets=mail.message.size_octets,
        trace=results + received,
        edits=own_edits + tuple(judgement.edits),
        recipients=tuple(
            _queued(destination, parameters, decision, edits)
            for destination, parameters, decision, edits in rows
            # With LMTP and PRDR others of the same message were refused, each by its own reply.
            if Verdict(decision.verdict) not in (Verdict.REJECT, Verdict.TEMPFAIL)
        ),
        decision=_with_wishes(record, mail),
        smtputf8=utf8,
        origin="submission" if submitted else "inbound",
        user="" if mail.session.identity is None else mail.session.identity.user,
        ret=mail.envelope.parameters.ret,
        envelope_id=mail.envelope.parameters.envelope_id,
        require_tls=mail.envelope.parameters.require_tls,
        tls_optional=_waives_tls(mail),
        hold_until=hold_until(mail.envelope.parameters, mail.at),
        deliver_by=deliver_by(mail.envelope.parameters, mail.at),
        by_mode="" if by is None else "R" if by.returns else "N",
        by_trace=by is not None and by.traces,
        priority=mail.envelope.parameters.priority,
    )


def _with_wishes(record: DecisionRecord, mail: Mail) -> DecisionRecord:
    """What the sender wants for each recipient, beside its verdict, for `explain`."""
    of_all, said = _wishes_for_all(mail), mail.envelope.rcpt_parameters
    if not of_all and not any(parameters.notify or parameters.original_recipient for parameters in said):
        return record
    pairs = zip(record.recipients, said, strict=True)
    told = tuple(replace(one, actions=one.actions + of_all + _wishes(parameters)) for one, parameters in pairs)
    return replace(record, recipients=told)


def _waives_tls(mail: Mail) -> bool:
    """Does a user let it go without TLS? REQUIRETLS counts for more, and strangers have no say in how we send (RFC 8689)."""
    if mail.session.role is not Role.SUBMISSION or mail.envelope.parameters.require_tls:
        return False
    fields = mail.message.all("TLS-Required")
    return len(fields) == 1 and strip_comments(fields[0].value).strip().lower() == b"no"


def _wishes_for_all(mail: Mail) -> tuple[str, ...]:
    parameters, at = mail.envelope.parameters, mail.at
    told = []
    if _waives_tls(mail):
        told.append("the sender lets it go without TLS (TLS-Required: No)")
    if parameters.require_tls:
        told.append("the sender requires verified TLS on all its way (REQUIRETLS)")
    if held := hold_until(parameters, at):
        told.append(f"held by its sender until {held} (FUTURERELEASE)")
    if parameters.deliver_by is not None:
        late = "it comes back" if parameters.deliver_by.returns else "its sender hears that it is late"
        told.append(f"to be delivered by {deliver_by(parameters, at)}, else {late} (DELIVERBY)")
    if parameters.priority:
        told.append(f"its sender gives it priority {parameters.priority} (MT-PRIORITY)")
    if parameters.ret:
        told.append(f"when it fails, the sender gets back {'all of it' if parameters.ret == 'FULL' else 'its header'}")
    if parameters.envelope_id:
        told.append(f"the sender calls it {parameters.envelope_id}")
    return tuple(told)


def _wishes(parameters: RcptParameters) -> tuple[str, ...]:
    told = []
    if parameters.notify:
        told.append(f"the sender wants to hear of: {', '.join(parameters.notify).lower()}")
    if parameters.original_recipient:
        told.append(f"first addressed to {parameters.original_recipient}")
    return tuple(told)


def _queued(
    destination: Destination, parameters: RcptParameters, decision: RecipientDecision, edits: tuple[RecordedEdit, ...]
) -> QueuedRecipient:
    """accept and junk go where the forward-path leads; quarantine keeps a copy, as discard does (a rule may not lose mail).

    There is no Junk mailbox behind a relay, so junk means accept there.
    """
    verdict = Verdict(decision.verdict)
    if verdict in (Verdict.QUARANTINE, Verdict.DISCARD):
        route, reason = "quarantine", reason_text(decision)
    else:
        route, reason = destination.route, ""
    return QueuedRecipient(
        forward_path=destination.facts.address,
        route=route,
        account=destination.account or "",
        folder="Junk" if verdict is Verdict.JUNK and destination.account else decision.folder or "INBOX",
        flags=decision.flags,
        edits=edits,
        reason=reason,
        destination=destination.route,
        parameters=parameters,
    )


def reason_text(decision: RecipientDecision) -> str:
    """Why the message is not in a mailbox, for the reader of the quarantine."""
    by = " ".join(word for word in (decision.source_kind, decision.source_name) if word)
    return f"{decision.wanted or decision.verdict} by {by}, score {decision.score:g}"
