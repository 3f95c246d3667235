"""What waits in the queue, as people read it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from mailward.cli.decisions import source_text
from mailward.cli.output import local_times, moment, table
from mailward.delivery.calls import AGES_S, By, Done, Group, StandingOrder, WaitingMessage, WaitingRecipient
from mailward.model.decision import DecisionRecord, LaterEvent

LISTED_WORDS = 80
"""Characters of what keeps it, in a list; 'show' has all."""
LISTED_ORDERS = 50
"""Recipients of an order that are named; of more it is told how many."""
SHOWN_EVENTS = 12
"""The last ones of each recipient; 'explain' has all."""


def listed(messages: Sequence[WaitingMessage], now: datetime) -> str:
    """A line for each recipient."""
    if not messages:
        return "nothing waits"
    rows = [("ID", "AGE", "SIZE", "FROM", "TO", "STATUS", "TRIED", "NEXT", "WHY")]
    for message in messages:
        head = (message.id, _age(message.received_at, now), _size(message.size_octets), message.reverse_path or "<>")
        for recipient in message.recipients:
            tail = (recipient.status, str(recipient.failures), _next(recipient, now), _cut(_why(recipient)))
            rows.append((*head, recipient.forward_path, *tail))
    statuses = Counter(recipient.status for message in messages for recipient in message.recipients)
    total = f"{_count(len(messages), 'message')}, {_count(statuses.total(), 'recipient')}"
    return f"{table(rows)}\n\n{total}: {', '.join(f'{count:,} {status}' for status, count in statuses.items())}"


def counted(groups: Sequence[Group], by: By, now: datetime) -> str:
    """A line for each group, with its ages as columns."""
    if not groups:
        return "nothing waits"
    ages = [_span(limit_s) for limit_s in AGES_S]
    rows = [(by.upper(), "RECIPIENTS", "HELD", "OLDEST", *(f"<{age}" for age in ages), f"{ages[-1]}+", "ITS LAST ANSWER")]
    for group in groups:
        counts = (f"{count:,}" if count else "-" for count in (group.recipients, group.held))
        by_age = (f"{count:,}" if count else "-" for count in group.ages)
        rows.append((group.name or "(none yet)", *counts, _age(group.oldest_at, now), *by_age, _cut(group.words)))
    return f"{table(rows)}\n\n{_count(sum(group.recipients for group in groups), 'recipient')}"


def group_data(group: Group) -> dict[str, object]:
    """For JSON. ages: by the age in seconds that they are below."""
    limits = [*(str(limit_s) for limit_s in AGES_S), "older"]
    return {
        "name": group.name,
        "recipients": group.recipients,
        "held": group.held,
        "oldest_at": group.oldest_at,
        "ages": dict(zip(limits, group.ages, strict=True)),
        "words": group.words,
    }


def ordered(answers: Sequence[Done], done: str) -> str:
    """For whom an order was carried out, or how often when that is a long list."""
    said = [f"not {done}: {_why_not(answer)}" if answer.why_not else done for answer in answers]
    if len(answers) <= LISTED_ORDERS:
        return table([(answer.id, answer.forward_path, text) for answer, text in zip(answers, said, strict=True)])
    return table([(f"{count:,} recipients", text) for text, count in Counter(said).most_common()])


def whose_mail(order: StandingOrder) -> str:
    """What an order is about."""
    if order.id:
        return order.id
    said = [f"mail to {order.to}" if order.to else "mail", f"from {order.reverse_path}" if order.reverse_path else ""]
    return " ".join(part for part in said if part) if order.to or order.reverse_path else "all mail to other servers"


def standing_text(orders: Sequence[StandingOrder]) -> str:
    """A line for each order."""
    if not orders:
        return "no orders stand"
    rows = [("SINCE", "WHAT", "ORDER", "TAKEN BACK BY")]
    for order in orders:
        done = f"goes to {order.via}" if order.via else f"held: {order.reason}"
        rows.append((moment(order.at), whose_mail(order), done, taken_back(order)))
    return table(rows)


def taken_back(order: StandingOrder) -> str:
    """The command that ends it."""
    said = [f"--{name} {value}" for name, value in (("to", order.to), ("from", order.reverse_path)) if value]
    mail = order.id or " ".join(said) or "--all"
    return f"mailward queue reroute {mail} --clear" if order.via else f"mailward queue release {mail}"


def shown(message: WaitingMessage, record: DecisionRecord | None, now: datetime) -> str:
    """All about one message."""
    received = _moment(message.received_at, now)
    by = f", by {message.user}" if message.user else ""
    lines = [
        f"{message.id}   {_size(message.size_octets)}, received {received} ({message.origin}{by})",
        f"  from  <{message.reverse_path}>",
        *(f"        {wish}" for wish in _wishes(message, now)),
    ]
    for recipient in message.recipients:
        lines += ["", f"  to    <{recipient.forward_path}>   {recipient.status}, route {recipient.route}"]
        lines += [f"        {line}" for line in _about(recipient, now)]
        if record is not None:
            lines += _attempts(record, recipient.forward_path, now)
    if record is not None:
        lines += ["", *(f"  {d.verdict.upper()} {d.recipient}: {source_text(d)}" for d in record.recipients)]
        lines += [f"  more: mailward explain {message.id}"]
    return "\n".join(lines)


def _wishes(message: WaitingMessage, now: datetime) -> list[str]:
    """What its sender asked for."""
    said = []
    if message.envelope_id:
        said.append(f"the sender calls it {message.envelope_id}")
    if message.require_tls:
        said.append("the sender requires verified TLS on all its way (REQUIRETLS)")
    if message.tls_optional:
        said.append("the sender lets it go without TLS (TLS-Required: No)")
    if message.hold_until:
        said.append(f"held by its sender until {_moment(message.hold_until, now)} (FUTURERELEASE)")
    if message.deliver_by:
        late = "it comes back" if message.by_mode == "R" else "its sender hears that it is late"
        said.append(f"to be delivered by {_moment(message.deliver_by, now)}, else {late} (DELIVERBY)")
    if message.priority:
        said.append(f"its sender gives it priority {message.priority} (MT-PRIORITY)")
    if message.ret:
        said.append(f"when it fails, the sender gets back {'all of it' if message.ret == 'FULL' else 'its header'}")
    return said


def _about(recipient: WaitingRecipient, now: datetime) -> list[str]:
    said = [f"next attempt {_next(recipient, now)}; failed so far: {recipient.failures}"]
    if recipient.gives_up_at:
        said.append(f"goes back to its sender {_moment(recipient.gives_up_at, now)}, if nobody takes it before")
    if recipient.reason:
        said.insert(0, f"held: {recipient.reason}")
    if recipient.via:
        said.append(f"rerouted to {recipient.via}")
    if recipient.notify:
        said.append(f"the sender wants to hear of: {recipient.notify.replace(',', ', ').lower()}")
    if recipient.original_recipient:
        said.append(f"first addressed to {recipient.original_recipient}")
    if recipient.left_alone:
        said.append(f"its next hop is left alone until then, or until 'mailward queue retry', since: {recipient.left_alone}")
    if recipient.words:
        said.append(f"last answer: {recipient.words}")
    return said


def _attempts(record: DecisionRecord, forward_path: str, now: datetime) -> list[str]:
    events: list[LaterEvent] = [event for event in record.events if event.recipient == forward_path]
    left_out = [f"        {len(events) - SHOWN_EVENTS} earlier ones"] if len(events) > SHOWN_EVENTS else []
    return left_out + [f"        {_moment(event.at, now)}  {local_times(event.text)}" for event in events[-SHOWN_EVENTS:]]


def _cut(words: str) -> str:
    """Of long words the beginning, which says where, and the end, which says what."""
    head = LISTED_WORDS // 3
    return words if len(words) <= LISTED_WORDS else f"{words[:head]} ... {words[head + 5 - LISTED_WORDS :]}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _why(recipient: WaitingRecipient) -> str:
    """What keeps it here."""
    reasons = {"held": f"held: {recipient.reason}", "postponed": "its sender wants it later"}
    rerouted = f"rerouted to {recipient.via}" if recipient.via else ""
    words = f"next hop left alone after: {recipient.left_alone}" if recipient.left_alone else recipient.words
    return "; ".join(part for part in (reasons.get(recipient.status, ""), rerouted, words) if part)


def _why_not(answer: Done) -> str:
    return f"{answer.why_not} {moment(answer.until)}" if answer.until else answer.why_not


def _next(recipient: WaitingRecipient, now: datetime) -> str:
    if recipient.status in ("held", "under way"):
        return "when released" if recipient.status == "held" else "now"
    at = datetime.fromisoformat(recipient.next_at) if recipient.next_at else now
    return _moment(recipient.next_at, now) if at > now else "at once"


def _moment(text: str, now: datetime) -> str:
    """A moment, and how far it is from now."""
    seconds = (datetime.fromisoformat(text) - now).total_seconds()
    return f"{moment(text)} (" + (f"in {_span(seconds)})" if seconds >= 0 else f"{_span(-seconds)} ago)")


def _age(received_at: str, now: datetime) -> str:
    return _span(max((now - datetime.fromisoformat(received_at)).total_seconds(), 0))


def _span(seconds: float) -> str:
    """Two units at most, as people say it."""
    whole = round(seconds)
    for unit, length, part, smaller in (("d", 86400, 3600, "h"), ("h", 3600, 60, "m"), ("m", 60, 1, "s")):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length}{unit}" + (f" {rest}{smaller}" if rest else "")
    return f"{whole}s"


def _size(octets: int) -> str:
    for unit, length in (("MB", 1_000_000), ("kB", 1000)):
        if octets >= length:
            return f"{octets / length:.1f} {unit}"
    return f"{octets} B"
