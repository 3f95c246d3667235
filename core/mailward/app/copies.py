"""Which copy of a message is still here? In the quarantine, or in a mailbox of its recipients, wherever it was moved to."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

from mailward.app.config import Config
from mailward.app.quarantine import opened_quarantine
from mailward.app.recipients import address_of
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.model.decision import DecisionRecord
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore


class Copies:
    """Of all messages, beside a running server. From any thread."""

    def __init__(self, config: Config) -> None:
        with ExitStack() as stack:
            self._quarantine = stack.enter_context(opened_quarantine(config))
            hints = stack.enter_context(closing(Hints(config.data / "hints")))
            self._store = stack.enter_context(closing(EmbeddedStore(config.data / "accounts", Disk(), hints)))
            self._directory = stack.enter_context(closing(Directory(config.directory_file)))
            self._opened = stack.pop_all()

    def close(self) -> None:
        self._opened.close()

    def of(self, record: DecisionRecord) -> Iterator[bytes]:
        """Each copy as it is now. Raises StorageError when one is damaged."""
        for held in self._quarantine.find(record.id):
            yield self._quarantine.read(held.delivery_key)
        ways = [way for one in record.recipients if one.recipient for way in self._directory.expand(address_of(one.recipient))]
        for account in dict.fromkeys(way.account for way in ways if way.account is not None):
            mail = self._store.open(account)
            for copy in mail.delivered(record.id):
                if copy.places:
                    yield bytes(mail.octets(copy.message))
