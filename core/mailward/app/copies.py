"""Which copy of a message is still here? In the quarantine, or in a mailbox of its recipients, wherever it was moved to."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from mailward.app.accounts import opened_store
from mailward.app.config import Config
from mailward.app.quarantine import opened_quarantine
from mailward.app.recipients import address_of
from mailward.decisions import DecisionStore
from mailward.delivery.release import released_key
from mailward.directory import Directory
from mailward.model.decision import DecisionRecord
from mailward.model.ids import AccountId
from mailward.quarantine import Quarantine


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where copies may lie. recipient: the forward-path that led there. delivery_key: of the one that is meant, "" for all."""

    recipient: str
    account: AccountId
    delivery_key: str = ""


def whereabouts(
    record: DecisionRecord, asked: str, directory: Directory, decisions: DecisionStore, quarantine: Quarantine
) -> list[Whereabouts]:
    """Of what was for an address.

    As aliases lead now; as one led that is no more, by what the record says was delivered; and where releases led. asked: the
    address that was judged. Raises StorageError.
    """
    ways = {str(way.address): way.account for way in directory.expand(address_of(asked)) if way.account is not None}
    if asked not in ways and len(record.recipients) == 1:
        whole = decisions.get(record.id) or record
        names = {event.recipient for event in whole.events} - {asked}
        ways |= {name: account for name in names if (account := directory.resolve(address_of(name))) is not None}
    judged = {one.recipient for one in record.recipients}
    led = [(held, account) for held, account in quarantine.led_into(record.id) if held.judged_as(judged) == asked]
    return [
        *(Whereabouts(name, account) for name, account in ways.items()),
        *(Whereabouts(held.recipient, account, released_key(held.delivery_key)) for held, account in led),
    ]


class Copies:
    """Of all messages, beside a running server. From any thread."""

    def __init__(self, config: Config) -> None:
        with ExitStack() as stack:
            self._quarantine = stack.enter_context(opened_quarantine(config))
            self._store = stack.enter_context(opened_store(config))
            self._directory = stack.enter_context(closing(Directory(config.directory_file)))
            self._decisions = stack.enter_context(closing(DecisionStore(config.decisions_file)))
            self._opened = stack.pop_all()

    def close(self) -> None:
        self._opened.close()

    def of(self, record: DecisionRecord) -> Iterator[bytes]:
        """Each copy as it is now. Raises StorageError when one is damaged."""
        for held in self._quarantine.find(record.id):
            yield self._quarantine.read(held.delivery_key)
        asked = [one.recipient for one in record.recipients if one.recipient]
        found = [whereabouts(record, one, self._directory, self._decisions, self._quarantine) for one in asked]
        for account in dict.fromkeys(one.account for some in found for one in some):
            mail = self._store.open(account)
            for copy in mail.delivered(record.id):
                if copy.places:
                    yield bytes(mail.octets(copy.message))
