"""Which copy of a message is still here? In the quarantine, or in a mailbox of its recipients, wherever it was moved to."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import datetime, timedelta

from mailward.app.config import Config
from mailward.app.quarantine import opened_quarantine
from mailward.app.recipients import address_of
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.formats.arrived import own_id
from mailward.model.decision import DecisionRecord
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore

_EARLIER = timedelta(days=1)
"""A copy is dated when it came, on the clock of another process."""


class Copies:
    """Of messages that came since then (aware). From any thread.

    The mailboxes of an account are read through once, when one of its messages is first asked for.
    """

    def __init__(self, config: Config, since: datetime) -> None:
        with ExitStack() as stack:
            self._quarantine = stack.enter_context(opened_quarantine(config))
            hints = stack.enter_context(closing(Hints(config.data / "hints")))
            self._store = stack.enter_context(closing(EmbeddedStore(config.data / "accounts", Disk(), hints)))
            self._directory = stack.enter_context(closing(Directory(config.directory_file)))
            self._opened = stack.pop_all()
        self._since_s = (since - _EARLIER).timestamp()
        self._reading = threading.Lock()
        self._places: dict[AccountId, Mapping[bytes, int]] = {}

    def close(self) -> None:
        self._opened.close()

    def of(self, record: DecisionRecord) -> Iterator[bytes]:
        """Each copy as it is now."""
        for held in self._quarantine.find(record.id):
            yield self._quarantine.read(held.delivery_key)
        for decided in record.recipients:
            if decided.recipient:
                for way in self._directory.expand(address_of(decided.recipient)):
                    yield from self._in_account(way.account, record.id.encode())

    def _in_account(self, account: AccountId | None, id: bytes) -> Iterator[bytes]:
        if account is None or not self._directory.has_account(account):
            return
        mail = self._store.open(account)
        with self._reading:
            if account not in self._places:
                self._places[account] = self._read_through(mail)
        if (number := self._places[account].get(id)) is not None:
            yield bytes(mail.octets(number))

    def _read_through(self, mail: AccountStore) -> Mapping[bytes, int]:
        """The messages of an account by their queue ids."""
        places: dict[bytes, int] = {}
        for mailbox in mail.mailboxes():
            numbers = list(mail.view(mailbox.id).messages)
            dated = zip(numbers, mail.meta(numbers, ["internal_date"]), strict=True)
            recent = [number for number, (at_s,) in dated if isinstance(at_s, int) and at_s >= self._since_s]
            for number, (headers,) in zip(recent, mail.meta(recent, ["headers"]), strict=True):
                if isinstance(headers, bytes) and (id := own_id(headers)) is not None:
                    places[id] = number
        return places
