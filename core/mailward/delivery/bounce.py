"""What is the sender told when mail cannot be delivered, or not yet, and when is nobody told?

A report comes from the null reverse-path, and none is made about mail that came from it, so that reports never answer reports
(RFC 5321 section 4.5.5; T-Q-12). Mail of strangers gets one only when its reverse-path was proven, because a forged one
belongs to somebody who sent nothing; what our own policy keeps back gets none (T-RELAY-13).

Where an alias leads is told to users of this server alone: whoever else wrote to it hears of the address that he wrote to, and
nothing of what the server behind it said (RFC 3464 section 4.2).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mailward.delivery.fate import Fate
from mailward.delivery.own_mail import own_mail
from mailward.formats.dsn import Action, DeliveryReport, RecipientStatus, is_reply
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.model.decision import DecisionRecord
from mailward.model.envelope import Ret
from mailward.model.ids import QueueId
from mailward.queue.item import QueuedRecipient, QueueItem

MAX_SUBJECT = 100
"""Characters of the original's subject that are told."""
MAX_TOLD = 100
"""Recipients that are described for people; all are in the part for programs."""

MAX_RETURNED_OCTETS = 10 << 20
"""Of a message that goes back whole because its sender wants that (RET=FULL)."""

_HEADLINES: dict[Action, str] = {
    "failed": "Not delivered",
    "delayed": "Delayed",
    "delivered": "Delivered",
    "relayed": "Passed on",
    "expanded": "Passed on",
}
_INTRODUCTIONS = {
    "failed": ("It could not be delivered to these recipients, and will not be tried again:",),
    "delayed": ("It could not be delivered yet to these recipients:",),
    "delivered": ("You asked to be told: it is in the mailboxes of these recipients:",),
    "expanded": (
        "You asked to be told: it was passed on to everybody whom these addresses stand for, and you will hear",
        "of those whom it cannot reach:",
    ),
    "on its way": ("You asked to be told: it was passed on to the mail servers of these recipients:",),
    "relayed": (
        "You asked to be told: it was passed on to the mail servers of these recipients,",
        "which do not report deliveries, so you will hear no more of it when all goes well:",
    ),
}
_BEHIND: dict[Action, str] = {
    "failed": "The address leads on to another one, which does not take the mail",
    "delayed": "The address leads on to another one, which cannot be reached yet",
    "delivered": "",
    "relayed": "",
}
"""What is said of a place that is not for the sender to know."""
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")

_ADVICE = {
    "1.2": "The domain does not exist or takes no mail. Check how it is spelled.",
    "1.10": "The domain takes no mail. Ask for another address.",
    "1": "Check how the address is spelled, or ask for another one.",
    "2.2": "The mailbox is full. Send it again later, or reach the person another way.",
    "2.3": "The mail is too big for the mailbox. Send it without attachments, or in smaller pieces.",
    "2": "The mailbox cannot take mail at present. Send it again later, or reach the person another way.",
    "3.4": "The mail is too big for the other server. Send it without attachments, or in smaller pieces.",
    "4.7": "The other server could not be reached in time. Check the domain of the address, or send it again later.",
    "4": "The other server could not be reached. Check the domain of the address, or send it again later.",
    "6.7": "The other server does not take addresses with letters beyond ASCII. Ask for another address.",
    "7.1": "The other server refuses the mail by its own rules. Reach the person another way, or ask its administrator why.",
    "7": "The other server, or a rule about encryption, does not let the mail through. Show this to your administrator.",
}
"""By subject and detail of the enhanced status, or its subject alone (RFC 3463 section 3)."""


@dataclass(frozen=True, slots=True)
class Report:
    """A message of our own, ready for the spool."""

    item: QueueItem
    octets: bytes


def no_report_reason(item: QueueItem) -> str:
    """Why the sender of a message is never sent a report, in plain words; "" when one may be sent."""
    if not item.reverse_path or item.origin == "server":
        return "it came from the null reverse-path"
    if item.origin == "inbound" and not _is_proven(item.decision):
        return "neither SPF nor DMARC proved its reverse-path"
    return ""


def returned(item: QueueItem) -> Ret:
    """RET as it is heeded: of mail that requires TLS no more than the header may go a way that it has not proven (T-TLS-25)."""
    return "HDRS" if item.ret and item.require_tls else item.ret


def _is_proven(record: DecisionRecord) -> bool:
    facts = record.facts
    aligned = facts.get("author.domain") == facts.get("mail_from.domain")
    return facts.get("spf.result") == "pass" or (facts.get("dmarc.result") == "pass" and aligned)


def report(
    item: QueueItem,
    octets: bytes,
    action: Action,
    fates: Mapping[int, Fate],
    retry_until: datetime | None = None,
    *,
    to: QueuedRecipient,
    hostname: str,
    from_domain: str,
    at: datetime,
    id: QueueId,
) -> Report:
    """The report that mail could not be delivered, was, or is late and will be tried until `retry_until`.

    octets: the message as received. fates: by index in the item, how the attempt that ended at `at` went. to: the reverse-path
    with the way to it. from_domain: the domain the report comes from. id: new, of the report. Whether there may be one is for
    `no_report_reason` to say.
    """
    about = [(item.recipients[index], fate) for index, fate in fates.items()]
    if to.route != "mailbox":
        about = _as_asked(about, action)
    told = [(recipient.forward_path, fate) for recipient, fate in about]
    text = _text(item, one_line(MessageView(octets).subject, MAX_SUBJECT), action, told, hostname, retry_until)
    statuses = [_status(recipient, action, fate, at, retry_until) for recipient, fate in about]
    is_full = action == "failed" and returned(item) == "FULL" and _may_go_back(octets, to)
    why = f"delivery report ({action}) about {item.id}"
    return _made(item, octets, statuses, _subject(action, told), text, why, to, hostname, from_domain, at, id, is_full=is_full)


def _as_asked(about: Sequence[tuple[QueuedRecipient, Fate]], action: Action) -> list[tuple[QueuedRecipient, Fate]]:
    """The same by the addresses that were asked for, each once."""
    seen: dict[str, tuple[QueuedRecipient, Fate]] = {}
    for recipient, fate in about:
        if not recipient.asked:
            seen.setdefault(recipient.forward_path, (recipient, fate))
            continue
        words = _BEHIND[action]
        kept = replace(fate, words=words, remote_mta="", text=words)
        seen.setdefault(recipient.asked, (replace(recipient, forward_path=recipient.asked), kept))
    return list(seen.values())


def lost_report(
    item: QueueItem,
    octets: bytes,
    fates: Mapping[int, Fate],
    others: int,
    *,
    to: QueuedRecipient,
    hostname: str,
    at: datetime,
    id: QueueId,
) -> Report:
    """What the postmaster is told of a report that could not be delivered (T-Q-12).

    item: the report. others: such reports since the postmaster was told last. to: the postmaster's mailbox.
    """
    told = [(item.recipients[index].forward_path, fate) for index, fate in fates.items()]
    lines = [f"This is the mail server {hostname}. It wrote a report about mail, and the report cannot be delivered:"]
    for path, fate in told:
        lines += ["", f"  {one_line(path)}", f"    {_said(fate)}"]
    lines += [
        "",
        "Nobody else is told. One such report is no reason to do anything. Many mean that mail is sent here",
        "in the names of others.",
    ]
    if others:
        lines += ["", f"{others} more could not be delivered since the notice before this one; the log has them."]
    lines += ["", f"The report's number here is {item.id}: mailward explain {item.id}", ""]
    statuses = [_status(item.recipients[index], "failed", fate, at, None) for index, fate in fates.items()]
    subject = f"Nobody told: a report to {told[0][0]} cannot be delivered"
    return _made(
        item, octets, statuses, subject, "\n".join(lines), f"about the lost report {item.id}", to, hostname, hostname, at, id
    )


def _made(
    item: QueueItem,
    octets: bytes,
    statuses: Sequence[RecipientStatus],
    subject: str,
    text: str,
    why: str,
    to: QueuedRecipient,
    hostname: str,
    from_domain: str,
    at: datetime,
    id: QueueId,
    *,
    is_full: bool = False,
) -> Report:
    """The report as a message with its queue item."""
    message = MessageView(octets)
    message_id = f"<{id}@{from_domain}>"
    written = DeliveryReport(
        hostname=hostname,
        sender=f"postmaster@{from_domain}",
        recipient=to.forward_path,
        subject=subject,
        at=at,
        message_id=message_id,
        text=text,
        arrival_at=datetime.fromisoformat(item.received_at),
        statuses=statuses,
        original=octets,
        references=message.message_id if _MESSAGE_ID.fullmatch(message.message_id) else "",
        envelope_id=item.envelope_id,
        deliver_by_at=datetime.fromisoformat(item.deliver_by) if item.deliver_by else None,
        is_full=is_full,
    ).to_octets()
    made = own_mail(id, to, why=why, message_id=message_id, size_octets=len(written), at=at)
    return Report(made, written)


def _may_go_back(octets: bytes, to: QueuedRecipient) -> bool:
    """Can all of the message return? What is 8-bit only into a mailbox here: a report must not fail for what it carries."""
    return len(octets) <= MAX_RETURNED_OCTETS and (octets.isascii() or to.route == "mailbox")


def _status(
    recipient: QueuedRecipient, action: Action, fate: Fate, at: datetime, retry_until: datetime | None
) -> RecipientStatus:
    original = recipient.parameters.original_recipient
    return RecipientStatus(
        recipient.forward_path, action, fate.status, fate.words, fate.remote_mta, at, retry_until, original_recipient=original
    )


_Told = Sequence[tuple[str, Fate]]
"""Forward-paths, and what became of each."""


def _subject(action: Action, told: _Told) -> str:
    more = f" and {len(told) - 1} more" if len(told) > 1 else ""
    return f"{_HEADLINES[action]}: your mail to {told[0][0]}{more}"


def _text(item: QueueItem, subject: str, action: Action, told: _Told, hostname: str, retry_until: datetime | None) -> str:
    mail = f'your mail "{subject}"' if subject else "your mail"
    received = _spoken(datetime.fromisoformat(item.received_at))
    kind = "on its way" if action == "relayed" and item.by_mode else action
    verb = "has" if action in ("failed", "delayed") else "had"
    lines = [f"This is the mail server {hostname}. It {verb} {mail}", f"since {received}.", "", *_INTRODUCTIONS[kind]]
    for path, fate in told[:MAX_TOLD]:
        lines += ["", f"  {one_line(path)}"]
        if action not in ("delivered", "expanded"):
            lines.append(f"    {_said(fate)}")
        if action == "failed":
            lines.append(f"    {_advice(fate.status)}")
    if len(told) > MAX_TOLD:
        lines += ["", f"and {len(told) - MAX_TOLD} more."]
    if retry_until is not None:
        lines += ["", f"You need not do anything: it is tried again until {_spoken(retry_until)}."]
        lines += ["You will hear if that is in vain."]
    return "\n".join([*lines, "", f"The mail's number here is {item.id}; your administrator can look it up.", ""])


def _spoken(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %B %Y at %H:%M} UTC".lstrip("0")


def _said(fate: Fate) -> str:
    words = one_line(fate.words) or "no reason was given"
    host = one_line(fate.remote_mta)
    return f"{host} said: {words}" if host and is_reply(words) else words


def _advice(status: str) -> str:
    _, _, detail = status.partition(".")
    known = _ADVICE.get(detail) or _ADVICE.get(detail.partition(".")[0])
    return known or "Show this to your administrator, or reach the person another way."
