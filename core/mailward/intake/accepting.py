"""What is written down about a message at the moment it is answered for: trace fields, edits, and a route per recipient."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from mailward.directory.forwarding import DELIVERED_TO, End
from mailward.formats.authres import authentication_results, forged_indexes
from mailward.formats.mailbox_names import INBOX
from mailward.formats.message import MessageView
from mailward.formats.parameters import strip_comments
from mailward.formats.trace import received_field
from mailward.intake.mending import mended, own_message_id
from mailward.intake.relaying import Destination
from mailward.intake.scheduling import deliver_by, hold_until
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.edits import AddHeader, RecordedEdit, RemoveFieldAt
from mailward.model.envelope import Envelope, RcptParameters
from mailward.model.ids import QueueId
from mailward.model.session import Role, Session
from mailward.model.verdict import Verdict
from mailward.pipeline.transaction import Judgement
from mailward.queue.item import JUNK_FOLDER, QueuedRecipient, QueueItem

MOST_TOLD = 20
"""Ends of one alias that the decision record names."""


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
    rows = [
        row
        for row in zip(mail.destinations, said, judgement.recipients, judgement.recipient_edits, strict=True)
        # With LMTP and PRDR others of the same message were refused, each by its own reply.
        if Verdict(row[2].verdict) not in (Verdict.REJECT, Verdict.TEMPFAIL)
    ]
    return QueueItem(
        id=mail.id,
        received_at=utc_text(mail.at),
        reverse_path=str(mail.envelope.reverse_path),
        size_octets=mail.message.size_octets,
        trace=results + received,
        edits=own_edits + tuple(judgement.edits),
        recipients=_each_once(
            (end, _queued(destination, end, parameters, decision, edits))
            for destination, parameters, decision, edits in rows
            for end in destination.ends
        )
        + tuple(
            _expansion(destination, parameters)
            for destination, parameters, decision, _ in rows
            if _is_expansion_told(destination, parameters, decision)
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
    """What the sender wants for each recipient, and where aliases lead, beside its verdict, for `explain`."""
    of_all = _wishes_for_all(mail)
    pairs = zip(mail.destinations, mail.envelope.rcpt_parameters, strict=True)
    each = [of_all + _wishes(parameters) + _led(destination) for destination, parameters in pairs]
    if not any(each):
        return record
    told = tuple(replace(one, told=said) for one, said in zip(record.recipients, each, strict=True))
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


def _led(destination: Destination) -> tuple[str, ...]:
    ends = destination.ends
    if not ends[0].is_expanded:
        return ()
    by = f"by {ends[0].alias} it " if ends[0].alias.startswith("@") else ""  # of other aliases the name is the address itself
    told = [end.path if end.reverse_path is None else f"{end.path} (from <{end.reverse_path}>)" for end in ends[:MOST_TOLD]]
    more = f" and {len(ends) - MOST_TOLD} more" if len(ends) > MOST_TOLD else ""
    return (f"{by}leads to {', '.join(told)}{more}",)


def _queued(
    destination: Destination, end: End, parameters: RcptParameters, decision: RecipientDecision, edits: tuple[RecordedEdit, ...]
) -> QueuedRecipient:
    """accept and junk go where the forward-path leads; quarantine keeps a copy, as discard does (a rule may not lose mail).

    There is no Junk mailbox behind a relay, so junk means accept there. What an alias would send to another server is kept
    instead: whoever forwards spam is taken for its sender.
    """
    verdict = Verdict(decision.verdict)
    if verdict in (Verdict.QUARANTINE, Verdict.DISCARD) or (verdict is Verdict.JUNK and end.is_forward):
        route, reason = "quarantine", reason_text(decision)
    else:
        route, reason = end.route, ""
    return QueuedRecipient(
        forward_path=end.path,
        route=route,
        account=end.account or "",
        folder=JUNK_FOLDER if verdict is Verdict.JUNK and end.account else decision.folder or INBOX,
        flags=decision.flags,
        edits=(*edits, AddHeader(DELIVERED_TO, destination.facts.address)) if end.is_forward else edits,
        reason=reason,
        destination=end.route,
        parameters=_passed_on(parameters, destination, end, decision),
        reverse_path=end.reverse_path,
        asked=destination.facts.address if end.is_expanded else "",
        sortable=verdict is Verdict.ACCEPT and route == "mailbox" and not decision.folder,
    )


def _passed_on(parameters: RcptParameters, destination: Destination, end: End, decision: RecipientDecision) -> RcptParameters:
    """What was said for the forward-path, for one of its ends (RFC 3461 section 5.2.7).

    A list has received it, so that its members' reports are its owner's; of several ends one at most tells of success.
    """
    if not end.is_expanded:
        return parameters
    original = _original(parameters, destination)
    if end.is_list:
        return RcptParameters(original_recipient=original)
    tells = end is destination.ends[0] and not _is_expansion_told(destination, parameters, decision)
    notify = parameters.notify if tells else tuple(one for one in parameters.notify if one != "SUCCESS")
    return RcptParameters(notify or (("NEVER",) if parameters.notify else ()), original)


def _original(parameters: RcptParameters, destination: Destination) -> str:
    address = destination.facts.address
    return parameters.original_recipient or (f"rfc822;{address}" if address.isascii() else "")


def _is_expansion_told(destination: Destination, parameters: RcptParameters, decision: RecipientDecision) -> bool:
    """Does its sender hear that an alias led to several ends (RFC 3464 section 2.3.3)? Not of spam, which is not forwarded."""
    first, *others = destination.ends
    is_alias = first.is_expanded and not first.is_list and bool(others)
    return is_alias and parameters.wants("SUCCESS") and Verdict(decision.verdict) is Verdict.ACCEPT


def _expansion(destination: Destination, parameters: RcptParameters) -> QueuedRecipient:
    return QueuedRecipient(
        destination.facts.address,
        "expanded",
        destination="discard",
        parameters=RcptParameters(("SUCCESS",), _original(parameters, destination)),
    )


def _each_once(queued: Iterable[tuple[End, QueuedRecipient]]) -> tuple[QueuedRecipient, ...]:
    """Who is there already, by another forward-path, gets no second copy through an alias."""
    rows = tuple(queued)
    seen = {_place(recipient) for end, recipient in rows if not end.is_expanded}
    kept = []
    for end, recipient in rows:
        if end.is_expanded:
            if _place(recipient) in seen:
                continue
            seen.add(_place(recipient))
        kept.append(recipient)
    return tuple(kept)


def _place(recipient: QueuedRecipient) -> tuple[str, str, str]:
    whose = recipient.account or recipient.forward_path.lower()
    return recipient.route, whose, recipient.folder


def reason_text(decision: RecipientDecision) -> str:
    """Why the message is not in a mailbox, for the reader of the quarantine."""
    by = " ".join(word for word in (decision.source_kind, decision.source_name) if word)
    return f"{decision.wanted or decision.verdict} by {by}, score {decision.score:g}"
