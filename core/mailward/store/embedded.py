"""The store that needs no server: a folder for each account, and beside them which of them share something."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from mailward.database import read_only
from mailward.disk import Disk
from mailward.model.errors import LocalError, StorageError
from mailward.model.ids import AccountId
from mailward.model.limits import NO_LIMITS, MailLimits
from mailward.store import grants
from mailward.store.account import ChangeSink, Common, EmbeddedAccount
from mailward.store.base import EXPUNGED_KEPT_S, Quota
from mailward.store.index import FILE as INDEX_FILE
from mailward.store.quota import has_room, load_quota
from mailward.store.sharing import FILE as SHARING_FILE
from mailward.store.sharing import Sharing

_ACCOUNT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MOST_OPEN_ACCOUNTS = 128


class EmbeddedStore:
    """All accounts below one folder. limits_of: what an account may hold. expunged_kept_s: how long expunged mail can be put
    back, a day or more. now_s: seconds since 1970."""

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        hints: ChangeSink,
        *,
        limits_of: Callable[[AccountId], MailLimits] = lambda _: NO_LIMITS,
        expunged_kept_s: float = EXPUNGED_KEPT_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._accounts: WeakValueDictionary[AccountId, EmbeddedAccount] = WeakValueDictionary()
        self._recent: OrderedDict[AccountId, EmbeddedAccount] = OrderedDict()
        self._disk = disk
        self._sharing = Sharing(folder / SHARING_FILE, disk, self._granted, now_s)
        self._common = Common(disk, hints, limits_of, expunged_kept_s, now_s, self._sharing, self._note_use)

    def open(self, account: AccountId) -> "EmbeddedAccount":
        """The account, made when it is new. Raises StorageError, permanent when a newer release wrote it."""
        if not _ACCOUNT_ID.fullmatch(account):
            raise LocalError(f"not an account id: {account!r}")
        with self._lock:
            found = self._accounts.get(account)
            if found is None:
                found = EmbeddedAccount(self._folder / account, account, self._common)
                self._accounts[account] = found
        self._note_use(found)
        found.prepare()
        return found

    def has_room(self, account: AccountId, octets: int) -> bool:
        """Would a message of so many octets be delivered to the account now? octets: 0 where they are not known. They are
        rounded, see `quota.has_room`.

        The account is neither made nor brought up to date for the question, and no lock is waited for. Raises StorageError.
        """
        limits, file = self._common.limits_of(account), self._folder / account / INDEX_FILE
        if limits == NO_LIMITS:
            return True
        if not self._disk.exists(file):
            return has_room(Quota(0, 0, limits), octets)
        with read_only(file) as connection:
            return has_room(load_quota(connection, limits), octets)

    def sharing_with(self, grantees: Collection[str]) -> tuple[AccountId, ...]:
        return self._sharing.owners(grantees)

    def _granted(self) -> Iterator[tuple[AccountId, Collection[str]]]:
        """To whom each account grants something. One that cannot be read is looked at when it is opened."""
        for name in filter(_ACCOUNT_ID.fullmatch, self._disk.listdir(self._folder)):
            with suppress(StorageError), read_only(self._folder / name / INDEX_FILE) as connection:
                yield AccountId(name), grants.grantees(connection)

    def _note_use(self, account: "EmbeddedAccount") -> None:
        """Called for an account that opens a connection, too: so many of them, held by whomever, have files open."""
        with self._lock:
            self._recent[account.id] = account
            self._recent.move_to_end(account.id)
            surplus = self._recent.popitem(last=False)[1] if len(self._recent) > _MOST_OPEN_ACCOUNTS else None
        if surplus is not None:
            surplus.rest()

    def close(self) -> None:
        """Close every idle connection and file; whoever still holds an account may go on and opens them anew."""
        with self._lock:
            self._recent.clear()
            accounts = list(self._accounts.values())
        for account in accounts:
            account.rest()
        self._sharing.close()
