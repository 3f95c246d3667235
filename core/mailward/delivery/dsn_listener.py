"""What do other servers report about mail that went to them? It is noted where `explain` and `queue show` tell of that mail.

A report is a message like any other, and anybody can write one: it is delivered to the mailbox it came for, and it decides
nothing. It is believed to be about a message of ours only if that message came from the address the report went to, has the
Message-ID that the report returns, and went to another server for the recipient that the report names.
"""

from collections.abc import Sequence
from typing import Protocol

import structlog

from mailward.api.services import Clock
from mailward.delivery.mda import Copy
from mailward.formats.dsn_reading import HeardReport, HeardStatus, read_report
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.model.decision import DecisionRecord, LaterEvent, utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId

MAX_REPORT_OCTETS = 16 << 20
MAX_NOTED = 20
"""Reports that are noted about one recipient of one message."""
MAX_CANDIDATES = 5
"""Messages of one Message-ID that are looked at."""
PASSED_ON = "relayed to "
"""How the event of a delivery to another server begins (`delivery.relay`)."""
HEARD = "reported by "

log = structlog.get_logger("mailward.delivery")


class Deliverer(Protocol):
    """What `Mda` does."""

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]: ...


class KnownDecisions(Protocol):
    """What `DecisionStore` does."""

    def find(self, *, message_id: str | None = None, limit: int = 100) -> tuple[DecisionRecord, ...]:
        """Raises StorageError."""
        ...

    def add_event(self, id: QueueId, event: LaterEvent) -> None:
        """Raises StorageError."""
        ...


class DsnListener:
    """A deliverer that reads the reports it delivers."""

    def __init__(self, deliverer: Deliverer, decisions: KnownDecisions, clock: Clock) -> None:
        self._deliverer = deliverer
        self._decisions = decisions
        self._clock = clock

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        """As the deliverer does. A report that cannot be noted is delivered all the same."""
        outcomes = self._deliverer.deliver(copies)
        for copy in copies:
            if _may_be_report(copy):
                try:
                    self._hear(copy)
                except StorageError as error:
                    log.warning("report not noted", id=copy.item.id, problem=str(error))
                except Exception:
                    log.exception("report not read", id=copy.item.id)
        return outcomes

    def _hear(self, copy: Copy) -> None:
        report = read_report(MessageView(copy.octets))
        if report is None or not report.message_id:
            return
        for record in self._decisions.find(message_id=report.message_id, limit=MAX_CANDIDATES):
            if record.reverse_path.lower() == copy.recipient.forward_path.lower():
                for event in events_of(report, record, utc_text(self._clock.now())):
                    self._decisions.add_event(record.id, event)
                    log.info("report heard", id=record.id, rcpt=event.recipient, how=event.text)


def _may_be_report(copy: Copy) -> bool:
    """RFC 3464 section 2: from the null reverse-path. What we wrote ourselves is known already."""
    is_from_others = not copy.item.reverse_path and copy.item.origin == "inbound"
    return is_from_others and copy.recipient.route == "mailbox" and len(copy.octets) <= MAX_REPORT_OCTETS


def events_of(report: HeardReport, record: DecisionRecord, at: str) -> list[LaterEvent]:
    """What a report adds to what is known of a message: nothing that is noted already."""
    events = []
    for status in report.statuses:
        path = _passed_on(record, status)
        if path is None:
            continue
        text = _text(report, status)
        noted = [event.text for event in record.events if event.recipient == path and event.text.startswith(HEARD)]
        if text not in noted and len(noted) < MAX_NOTED:
            events.append(LaterEvent(at, path, text))
    return events


def _passed_on(record: DecisionRecord, status: HeardStatus) -> str | None:
    """The recipient that a status is about, when it went to another server; aliases there may have given it another name."""
    names = {status.final_recipient.lower(), status.original_recipient.lower()}
    passed_on = {event.recipient for event in record.events if event.text.startswith(PASSED_ON)}
    return next((path for path in sorted(passed_on) if path.lower() in names), None)


def _text(report: HeardReport, status: HeardStatus) -> str:
    who = report.reporting_mta or "another server"
    code = f" {status.status}" if status.status else ""
    said = f": {status.diagnostic}" if status.diagnostic else ""
    return one_line(f"{HEARD}{who}: {status.action}{code}{said}")
