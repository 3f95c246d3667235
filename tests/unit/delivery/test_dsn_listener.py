"""Reports of other servers become events of the mail they are about, and of no other."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailward.decisions import DecisionStore
from mailward.delivery.dsn_listener import MAX_NOTED, DsnListener
from mailward.delivery.mda import Copy
from mailward.model.decision import LaterEvent, RecipientDecision
from mailward.model.errors import StorageError
from mailward.queue.item import QueuedRecipient
from support.spooling import Clock, Ledger, item_for

ANN, BOB, MESSAGE_ID = "ann@example.org", "bob@far.test", "<1@example.org>"


def report(
    *, mta: str = "mx.far.test", recipient: str = BOB, message_id: str = MESSAGE_ID, words: str = "550 5.1.1 nobody"
) -> bytes:
    return (
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\nsorry\r\n'
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {mta}\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; {words}\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id}\r\n--b--\r\n"
    ).encode()


class Place:
    """A store of decisions that knows of one message from Ann to Bob, and mail that is delivered beside it."""

    def __init__(self, folder: Path) -> None:
        self.decisions = DecisionStore(folder / "decisions.sqlite")
        self.ledger = Ledger()
        self.listener = DsnListener(self.ledger, self.decisions, Clock())
        decided = RecipientDecision(BOB, "accept", 0.0, "none", "", "")
        sent = replace(item_for(b"x", reverse_path=ANN).decision, message_id=MESSAGE_ID, recipients=(decided,))
        self.id = sent.id
        self.decisions.add(sent, (LaterEvent("2026-03-01T12:00:00.000Z", BOB, "relayed to mx.far.test [127.0.0.1]: 250 ok"),))

    def arrives(
        self, octets: bytes, *, to: str = ANN, reverse_path: str = "", origin: str = "inbound", route: str = "mailbox"
    ) -> None:
        item = item_for(octets, [QueuedRecipient(to, route, account="ann")], reverse_path=reverse_path)
        copy = Copy(replace(item, origin=origin), 0, octets)  # type: ignore[arg-type]
        assert self.listener.deliver([copy]) == ("delivered to INBOX",)

    def heard(self) -> list[str]:
        record = self.decisions.get(self.id)
        assert record is not None
        return [f"{event.recipient} {event.text}" for event in record.events[1:]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_report_about_our_mail_is_an_event_of_it(place: Place) -> None:
    place.arrives(report())
    assert place.heard() == ["bob@far.test reported by mx.far.test: failed 5.1.1: 550 5.1.1 nobody"]
    place.arrives(report())
    assert len(place.heard()) == 1, "the same report once more tells nothing new"


@pytest.mark.parametrize(
    "forged",
    [
        {"octets": report(message_id="<2@example.org>")},
        {"octets": report(recipient="carl@far.test")},
        {"octets": report(), "to": "eve@example.org"},
        {"octets": report(), "reverse_path": "mallory@evil.test"},
        {"octets": report(), "route": "quarantine"},
        {"octets": report(), "origin": "server"},
        {"octets": b"Subject: x\r\n\r\nhello\r\n"},
    ],
)
def test_t_relay_13_what_cannot_be_about_our_mail_is_delivered_and_no_more(place: Place, forged: dict[str, str]) -> None:
    place.arrives(**forged)  # type: ignore[arg-type]
    assert place.heard() == []


def test_a_flood_of_reports_about_one_recipient_is_bounded(place: Place) -> None:
    for number in range(MAX_NOTED + 5):
        place.arrives(report(words=f"550 {number}"))
    assert len(place.heard()) == MAX_NOTED


def test_a_report_that_cannot_be_noted_is_delivered(place: Place) -> None:
    class Full:
        def find(self, *, message_id: str | None = None, limit: int = 100) -> tuple[()]:
            raise StorageError("full")

    place.listener = DsnListener(place.ledger, Full(), Clock())  # type: ignore[arg-type]
    place.arrives(report())
    assert len(place.ledger.kept) == 1
