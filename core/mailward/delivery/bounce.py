"""What is the sender told when mail cannot be delivered, or not yet, and when is nobody told?

A report comes from the null reverse-path, and none is made about mail that came from it, so that reports never answer reports
(RFC 5321 section 4.5.5; T-Q-12). Mail of strangers gets one only when its reverse-path was proven, because a forged one
belongs to somebody who sent nothing; what our own policy keeps back gets none (T-RELAY-13).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailward.formats.dsn import Action, DeliveryReport, RecipientStatus, is_reply
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.ids import QueueId
from mailward.queue.item import QueuedRecipient, QueueItem

REPORTED_ROUTES = ("mailbox", "relay")
MAX_SUBJECT = 100
"""Characters of the original's subject that are told."""
MAX_TOLD = 100
"""Recipients that are described for people; all are in the part for programs."""

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
class FailedRecipient:
    """How the last attempt for one recipient ended.

    index: its place in the item. status: enhanced, "5.1.1". words: the reply of `remote_mta`, or our own when no server replied,
    with remote_mta "". at: when. original_recipient: from ORCPT, "" when the sender gave none.
    """

    index: int
    forward_path: str
    status: str
    words: str
    remote_mta: str
    at: datetime
    original_recipient: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A message of our own, ready for the spool."""

    item: QueueItem
    octets: bytes


def no_report_reason(item: QueueItem) -> str:
    """Why the sender of a message is never sent a report, in plain words; "" when one may be sent."""
    if not item.reverse_path or item.origin == "report":
        return "it came from the null reverse-path"
    if item.origin == "inbound" and not _is_proven(item.decision):
        return "neither SPF nor DMARC proved its reverse-path"
    return ""


def _is_proven(record: DecisionRecord) -> bool:
    facts = record.facts
    aligned = facts.get("author.domain") == facts.get("mail_from.domain")
    return facts.get("spf.result") == "pass" or (facts.get("dmarc.result") == "pass" and aligned)


def failure_report(
    item: QueueItem,
    octets: bytes,
    failures: Sequence[FailedRecipient],
    *,
    to: QueuedRecipient,
    hostname: str,
    now: datetime,
    id: QueueId,
    from_domain: str = "",
) -> Report | None:
    """The report that mail could not be delivered and will not be tried again; None when there must be none.

    octets: the message as received; only its header goes back. to: the reverse-path with the way to it. id: new, of the report.
    from_domain: the domain it comes from when that of the reverse-path is ours, else the hostname.
    """
    return _Reporting(item, octets, to, hostname, now, id, from_domain or hostname).report("failed", failures)


def delay_report(
    item: QueueItem,
    octets: bytes,
    delays: Sequence[FailedRecipient],
    *,
    to: QueuedRecipient,
    hostname: str,
    now: datetime,
    id: QueueId,
    retry_until: datetime,
    from_domain: str = "",
) -> Report | None:
    """The report that mail is late and will be tried until `retry_until`; None when there must be none. See `failure_report`."""
    return _Reporting(item, octets, to, hostname, now, id, from_domain or hostname, retry_until).report("delayed", delays)


@dataclass(frozen=True, slots=True)
class _Reporting:
    item: QueueItem
    octets: bytes
    to: QueuedRecipient
    hostname: str
    now: datetime
    id: QueueId
    from_domain: str
    retry_until: datetime | None = None

    def report(self, action: Action, recipients: Sequence[FailedRecipient]) -> Report | None:
        told = [r for r in recipients if self.item.recipients[r.index].route in REPORTED_ROUTES]
        if not told or no_report_reason(self.item):
            return None
        message_id = f"<{self.id}@{self.from_domain}>"
        references = MessageView(self.octets).message_id
        report = DeliveryReport(
            hostname=self.hostname,
            sender=f"postmaster@{self.from_domain}",
            recipient=self.to.forward_path,
            subject=_subject(action, told),
            at=self.now,
            message_id=message_id,
            text=self._text(action, told),
            arrival_at=datetime.fromisoformat(self.item.received_at),
            statuses=[self._status(action, recipient) for recipient in told],
            original=self.octets,
            references=references if _MESSAGE_ID.fullmatch(references) else "",
        )
        octets = report.to_octets()
        return Report(self._item(action, message_id, len(octets)), octets)

    def _status(self, action: Action, recipient: FailedRecipient) -> RecipientStatus:
        return RecipientStatus(
            final_recipient=recipient.forward_path,
            action=action,
            status=recipient.status,
            diagnostic=recipient.words,
            remote_mta=recipient.remote_mta,
            last_attempt_at=recipient.at,
            will_retry_until=self.retry_until,
            original_recipient=recipient.original_recipient,
        )

    def _text(self, action: Action, told: Sequence[FailedRecipient]) -> str:
        subject = one_line(MessageView(self.octets).subject, MAX_SUBJECT)
        mail = f'your mail "{subject}"' if subject else "your mail"
        received = _spoken(datetime.fromisoformat(self.item.received_at))
        lines = [f"This is the mail server {self.hostname}. It has {mail}", f"since {received}."]
        if self.retry_until is None:
            lines += ["", "It could not be delivered to these recipients, and will not be tried again:"]
        else:
            lines += ["", "It could not be delivered yet to these recipients:"]
        for recipient in told[:MAX_TOLD]:
            lines += ["", *_told(action, recipient)]
        if len(told) > MAX_TOLD:
            lines += ["", f"and {len(told) - MAX_TOLD} more."]
        if self.retry_until is not None:
            lines += ["", f"You need not do anything: it is tried again until {_spoken(self.retry_until)}."]
            lines += ["You will hear if that is in vain."]
        return "\n".join([*lines, "", f"The mail's number here is {self.item.id}; your administrator can look it up.", ""])

    def _item(self, action: Action, message_id: str, size_octets: int) -> QueueItem:
        decision = RecipientDecision(
            self.to.forward_path, "accept", 0.0, "core", f"delivery report ({action}) about {self.item.id}", ""
        )
        received_at = utc_text(self.now)
        record = DecisionRecord(
            id=self.id,
            received_at=received_at,
            direction="outbound",
            session={},
            reverse_path="",
            message_id=message_id,
            size_octets=size_octets,
            calls=(),
            facts={},
            recipients=(decision,),
            reply="none: the server wrote it itself",
            policy_hash="",
        )
        return QueueItem(
            id=self.id,
            received_at=received_at,
            reverse_path="",
            size_octets=size_octets,
            trace="",
            edits=(),
            recipients=(self.to,),
            decision=record,
            smtputf8=not self.to.forward_path.isascii(),
            origin="report",
        )


def _subject(action: Action, told: Sequence[FailedRecipient]) -> str:
    more = f" and {len(told) - 1} more" if len(told) > 1 else ""
    what = "Not delivered" if action == "failed" else "Delayed"
    return f"{what}: your mail to {told[0].forward_path}{more}"


def _spoken(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %B %Y at %H:%M} UTC".lstrip("0")


def _told(action: Action, recipient: FailedRecipient) -> list[str]:
    words = one_line(recipient.words) or "no reason was given"
    host = one_line(recipient.remote_mta)
    said = f"{host} said: {words}" if host and is_reply(words) else words
    lines = [f"  {one_line(recipient.forward_path)}", f"    {said}"]
    return [*lines, f"    {_advice(recipient.status)}"] if action == "failed" else lines


def _advice(status: str) -> str:
    _, _, detail = status.partition(".")
    known = _ADVICE.get(detail) or _ADVICE.get(detail.partition(".")[0])
    return known or "Show this to your administrator, or reach the person another way."
