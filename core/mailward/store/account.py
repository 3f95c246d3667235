"""One account of the embedded store: a folder with one SQLite database and packs of octets.

Reading takes a connection from the account's pool and no lock. Writing goes through `apply`: messages are parsed by the
calling thread, then one thread leads all that wait (groupcommit) under a lock file that keeps other processes out.
"""

import mmap
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import structlog

from mailward.database import storage_errors, transaction
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId, QueueId
from mailward.model.limits import MailLimits
from mailward.store import annotations, deliveries, grants, scripts
from mailward.store.base import (
    Column,
    Delivered,
    Delta,
    EntryColumn,
    Expunged,
    MailboxInfo,
    MailboxView,
    Quota,
    Script,
)
from mailward.store.batch import Request, run_batch
from mailward.store.groupcommit import GroupCommit
from mailward.store.index import Index
from mailward.store.mailboxes import is_level, make_account
from mailward.store.mending import Mended, mend
from mailward.store.names import normalise_name
from mailward.store.ops import Append, Op, OpResult, SetRights
from mailward.store.packs import Locator, Packs
from mailward.store.quota import load_quota
from mailward.store.rendered import RENDERING, new_record, render
from mailward.store.renewal import renew
from mailward.store.sharing import Sharing
from mailward.store.textmarks import FILE as MARKS_FILE
from mailward.store.textmarks import TextMarks
from mailward.store.tidy import is_due, tidy
from mailward.store.uids import Given
from mailward.store.views import (
    load_delta,
    load_entries,
    load_expunged,
    load_mailbox,
    load_mailboxes,
    load_meta,
    load_view,
    locators_of,
)

_log = structlog.get_logger()

_MOST_KEPT_VIEWS = 8
_META_ROWS = 512


class ChangeSink(Protocol):
    """Who is told after a commit; see `store.changes.Hints`."""

    def publish(self, account: AccountId) -> None: ...


@dataclass(frozen=True, slots=True)
class Common:
    """What all accounts of a store have in common. limits_of, expunged_kept_s, now_s: see `EmbeddedStore`. opening: told of an
    account that opens a connection."""

    disk: Disk
    hints: ChangeSink
    limits_of: Callable[[AccountId], MailLimits]
    expunged_kept_s: float
    now_s: Callable[[], float]
    sharing: Sharing
    opening: "Callable[[EmbeddedAccount], None]"


class EmbeddedAccount:
    """One account's mail; see `store.base.AccountStore`."""

    def __init__(self, folder: Path, id: AccountId, common: Common) -> None:
        self.id = id
        self._folder = folder
        self._common = common
        self._index = Index(folder, common.disk, lambda: common.opening(self))
        self._packs = Packs(folder / "packs", common.disk)
        self.marks = TextMarks(folder / MARKS_FILE, self._filed)
        self._writers: GroupCommit[Request] = GroupCommit(self._execute)
        self._lock = threading.Lock()
        self._views: OrderedDict[MailboxId, MailboxView] = OrderedDict()
        self._is_prepared = False
        self._tidied_at = 0
        """As far as we know; another process may have tidied since."""

    def prepare(self) -> None:
        """Make the account when it is new; bring what an earlier release stored up to date."""
        if self._is_prepared:
            return
        with storage_errors(str(self._folder)):
            self._common.disk.mkdir(self._folder)
            with self._index.writing() as connection:
                found: tuple[int, int] | None = connection.execute("SELECT rendering, tidied_at FROM account").fetchone()
                if found is None:
                    if self._packs.numbers():
                        raise StorageError(f"{self._folder}: index.sqlite is lost; bring it back: mailward store check --repair")
                    self._tidied_at = int(self._common.now_s())
                    make_account(connection, self._tidied_at)
                else:
                    rendering, self._tidied_at = found
                    if rendering < RENDERING:
                        renew(connection, self._packs)
                self._common.sharing.renew(self.id, grants.grantees(connection))
        self._is_prepared = True

    def stamp(self) -> int | None:
        return self._index.stamp()

    def mailboxes(self) -> tuple[MailboxInfo, ...]:
        with self._index.reading() as connection:
            return load_mailboxes(connection)

    def mailbox(self, name: str) -> MailboxInfo:
        with self._index.reading() as connection:
            return load_mailbox(connection, normalise_name(name))

    def is_level(self, name: str) -> bool:
        with self._index.reading() as connection:
            return is_level(connection, normalise_name(name))

    def subscriptions(self) -> frozenset[str]:
        with self._index.reading() as connection:
            return frozenset(name for (name,) in connection.execute("SELECT name FROM subscription"))

    def grants(self) -> Mapping[MailboxId, Mapping[str, str]]:
        with self._index.reading() as connection:
            return grants.load(connection)

    def annotations(self, mailbox: MailboxId, owner: AccountId | Literal[""] = "") -> Mapping[str, bytes]:
        with self._index.reading() as connection:
            return annotations.load(connection, mailbox, owner)

    def annotated(self) -> frozenset[tuple[AccountId, MailboxId]]:
        with self._index.reading() as connection:
            return annotations.elsewhere(connection)

    def view_at_hand(self, name: str) -> MailboxView | None:
        stamp, name = self.stamp(), normalise_name(name)
        if stamp is None:
            return None
        with self._lock:
            return next((view for view in self._views.values() if view.stamp == stamp and view.mailbox.name == name), None)

    def view(self, mailbox: MailboxId) -> MailboxView:
        with self._lock:
            known = self._views.get(mailbox)
        stamp = self.stamp()
        with self._index.reading() as connection:
            view = replace(load_view(connection, mailbox, known), stamp=stamp)
        with self._lock:
            self._views[mailbox] = view
            self._views.move_to_end(mailbox)
            if len(self._views) > _MOST_KEPT_VIEWS:
                self._views.popitem(last=False)
        return view

    def delta(self, mailbox: MailboxId, since: int) -> Delta:
        stamp = self.stamp()
        with self._index.reading() as connection:
            return replace(load_delta(connection, mailbox, since), stamp=stamp)

    def meta(self, messages: Sequence[int], columns: Sequence[Column]) -> Iterator[tuple[int | bytes | str, ...]]:
        start = 0
        while start < len(messages):
            with self._index.reading() as connection:
                rows = load_meta(connection, messages[start : start + _META_ROWS], columns)
            start += len(rows)
            yield from rows
            del rows  # not held beside the next ones

    def entry_meta(
        self, mailbox: MailboxId, uids: Sequence[int], columns: Sequence[EntryColumn]
    ) -> Iterator[tuple[int | str | None, ...] | None]:
        for start in range(0, len(uids), _META_ROWS):
            with self._index.reading() as connection:
                found = load_entries(connection, mailbox, uids[start : start + _META_ROWS], columns)
            yield from found

    def expunged(self) -> tuple[Expunged, ...]:
        with self._index.reading() as connection:
            return load_expunged(connection)

    def quota(self) -> Quota:
        with self._index.reading() as connection:
            return load_quota(connection, self._common.limits_of(self.id))

    def scripts(self) -> tuple[Script, ...]:
        with self._index.reading() as connection:
            return scripts.load(connection)

    def script(self, name: str) -> Script | None:
        with self._index.reading() as connection:
            return scripts.find(connection, name)

    def active_script(self) -> Script | None:
        with self._index.reading() as connection:
            return scripts.active(connection)

    def delivered(self, id: QueueId) -> tuple[Delivered, ...]:
        with self._index.reading() as connection:
            return deliveries.load(connection, id)

    def known(self, delivery_keys: Sequence[str]) -> frozenset[str]:
        with self._index.reading() as connection:
            return deliveries.known(connection, delivery_keys)

    def read(self, message: int, offset: int = 0, length: int | None = None) -> bytes:
        return self._packs.read(self._locator(message), offset, length)

    def octets(self, message: int) -> bytes | mmap.mmap:
        return self._packs.octets(self._locator(message))

    def bodies(self, messages: Sequence[int]) -> Iterator[bytes | mmap.mmap | StorageError]:
        for start in range(0, len(messages), _META_ROWS):
            chunk = messages[start : start + _META_ROWS]
            with self._index.reading() as connection:
                locators = locators_of(connection, chunk)
            found = self._packs.many([locators[message] for message in chunk if message in locators])
            yield from (next(found) if message in locators else self._missing(message) for message in chunk)

    def _missing(self, message: int) -> StorageError:
        return StorageError(f"{self._folder}: there is no message {message}", permanent=True)

    def _locator(self, message: int) -> Locator:
        with self._index.reading() as connection:
            found = locators_of(connection, (message,))
        if message not in found:
            raise self._missing(message)
        return found[message]

    def _filed(self, after: int) -> Sequence[int]:
        query = "SELECT id FROM message WHERE id > ? AND id IN (SELECT message FROM entry WHERE message > ?) ORDER BY id DESC"
        with self._index.reading() as connection:
            return [row[0] for row in connection.execute(query, (after, after))]

    def apply(self, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        if not ops:
            return ()
        appends = (op for op in ops if isinstance(op, Append))
        request = Request(ops, [render(op.octets, int(op.internal_date.timestamp()), new_record()) for op in appends])
        self._writers.submit(request)
        if request.results is None:
            raise request.error or StorageError(f"{self._folder}: the transaction was not carried out")
        return request.results

    def _execute(self, requests: Sequence[Request]) -> None:
        now_s = int(self._common.now_s())
        granted = {op.grantee for request in requests for op in request.ops if isinstance(op, SetRights)}
        try:
            with self._index.writing() as connection:
                if granted:  # by then whoever may see something knows where to look
                    self._common.sharing.put(self.id, granted | grants.grantees(connection))
                limits = self._common.limits_of(self.id)
                changed, untidied_octets = run_batch(connection, self._packs, requests, now_s, limits)
        except StorageError as error:
            _log.error("store write failed", account=self.id, error=str(error))
            for request in requests:
                request.error = error
            return
        if changed:
            self._common.hints.publish(self.id)
        if is_due(now_s, self._tidied_at, untidied_octets):
            self._tidy(now_s)

    def _tidy(self, now_s: int) -> None:
        try:
            with self._index.writing() as connection:
                self._tidied_at, untidied_octets = connection.execute("SELECT tidied_at, untidied_octets FROM account").fetchone()
                if not is_due(now_s, self._tidied_at, untidied_octets):  # another process has done it
                    return
                tidy(connection, self._packs, now_s, self._common.expunged_kept_s, self._common.limits_of(self.id))
                self._tidied_at = now_s
                stored = [row[0] for row in connection.execute("SELECT id FROM message")]
        except StorageError as error:  # what was asked for is done; this has time
            _log.warning("store tidy failed", account=self.id, error=str(error))
        else:
            self.marks.keep_only(stored)

    def given(self) -> Given:
        """How far its numbers have come."""
        with self._index.reading() as connection:
            return Given.load(connection)

    def pass_over(self, given: Given) -> None:
        """These numbers were given by what was here before; it gives higher ones. Raises StorageError."""
        with self._index.writing() as connection, transaction(connection):
            given.pass_over(connection)

    def mend_from(self, kept: "EmbeddedAccount") -> Mended:
        """Make damaged messages whole, from a copy of this account. Raises StorageError."""
        return mend(self._index, self._packs, kept._index, kept._packs)

    def rest(self) -> None:
        """Close idle connections and files; they are opened again when needed."""
        with self._lock:
            self._views.clear()
        self._index.rest()
        self._packs.rest()
        self.marks.close()
