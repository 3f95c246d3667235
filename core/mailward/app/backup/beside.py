"""Mail out of a snapshot beside the mail that is there, while a server runs: a source that a move brings into an account.

It is appended like other mail, under new numbers. So nothing has to be stopped, and nothing that is there can be lost.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mailward.app.backup.restore import check_undamaged, copy_files
from mailward.app.backup.snapshot import BackupError, NoSnapshot, Snapshot
from mailward.app.backup.turns import taking_turns
from mailward.app.config import Config
from mailward.app.moving.source import Folder, Letter, Listing, Ref, key_of
from mailward.disk import Disk
from mailward.formats.mailbox_names import SEPARATOR
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.account import EmbeddedAccount
from mailward.store.base import AccountStore, MailboxInfo, MailboxView
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore
from mailward.store.flags import names_of

BESIDE = "beside"
"""Of the data folder: the copy that is read; no backup has it."""


@contextmanager
def mail_of(config: Config, snapshot: Snapshot, account: AccountId) -> Iterator[EmbeddedAccount]:
    """The mail of an account as the snapshot has it. Raises BackupError, Busy where another is being read, StorageError, OSError.

    It is read from a copy, since a store that is opened writes into its files.
    """
    prefix = f"data/accounts/{account}/"
    targets = {
        name: Path("accounts") / account / name.removeprefix(prefix)
        for name in snapshot.manifest.files
        if name.startswith(prefix)
    }
    if not targets:
        raise BackupError(f"the snapshot {snapshot.path.name} holds no mail of this account")
    check_undamaged(snapshot, prefix)
    place = config.data / BESIDE
    place.mkdir(mode=0o700, exist_ok=True)
    with taking_turns(place, "another restore brings mail beside what is there"), _emptied(place / "copy") as copy:
        copy_files(snapshot, targets, copy)
        with (
            closing(Hints(copy / "hints")) as hints,
            closing(EmbeddedStore(copy / "accounts", Disk(), hints, expunged_kept_s=config.expunged_kept_s)) as store,
        ):
            yield store.open(account)


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """A folder that is removed afterwards, and before where one was killed."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class SnapshotSource:
    """The mailboxes of an account in a snapshot, or those of some names with all below them.

    below: the mailbox that they are to be brought below; None: to where they were. there: the same account as it is now, and then
    only what it does not have any more is brought, in whatever mailbox: EMAILIDs (RFC 8474) are for ever. A mailbox of which
    nothing is missing is left out then, and one that is there stays subscribed or not. What a mailbox is for does not come along,
    since one of today may be for it. Raises NoSnapshot for a name that the snapshot does not have.
    """

    def __init__(
        self, kept: AccountStore, account: AccountId, names: Sequence[str], below: MailboxInfo | None, there: AccountStore | None
    ) -> None:
        self._kept = kept
        self._account = account
        self._below = below
        self._there = there
        self._infos = {info.name: info for info in kept.mailboxes() if _is_among(info.name, names)}
        if unknown := [name for name in names if name not in self._infos]:
            has = ", ".join(info.name for info in kept.mailboxes())
            raise NoSnapshot(f"the snapshot has no mailbox {unknown[0]} of this account; it has {has}")
        self._emails = frozenset[int]() if there is None else _emails(there)
        self._view: MailboxView | None = None

    def folders(self) -> list[Folder]:
        above = "" if self._below is None else f"{self._below.name}{SEPARATOR}"
        now = {} if self._there is None else {info.name: info.subscribed for info in self._there.mailboxes()}
        found = []
        for name, info in self._infos.items():
            subscribed = now.get(above + name, info.subscribed or self._below is not None)
            folder = Folder(name, above + name, special_use="", subscribed=subscribed)
            if self._there is None or self._is_wanted(folder, self._there):
                found.append(folder)
        return found

    def _is_wanted(self, folder: Folder, there: AccountStore) -> bool:
        """Whether it has anything that is missing, and was not brought by an earlier run."""
        keys = [ref.key for ref in self.listing(folder).refs]
        return len(there.known(keys)) < len(keys)

    def listing(self, folder: Folder) -> Listing:
        view = self._view = self._kept.view(self._infos[folder.place].id)
        info = view.mailbox
        marker = "" if self._below is None else str(self._below.id)
        emails = self._kept.entry_meta(info.id, view.uids, ["email"])
        wanted = [at for at, entry in enumerate(emails) if entry is None or entry[0] not in self._emails]
        sizes = self._kept.meta([view.messages[at] for at in wanted], ["size_octets"])
        refs = [
            Ref(key_of("snapshot", self._account, marker, info.id, info.uidvalidity, view.uids[at]), str(at), 0, int(size))
            for at, (size,) in zip(wanted, sizes, strict=True)
        ]
        return Listing(0, 0, tuple(refs))

    def fetch(self, folder: Folder, refs: Sequence[Ref]) -> list[Letter]:
        view = self._view
        assert view is not None and view.mailbox.name == folder.place
        places = [int(ref.place) for ref in refs]
        messages = [view.messages[place] for place in places]
        dates = self._kept.meta(messages, ["internal_date"])
        letters = []
        for ref, place, (date,), body in zip(refs, places, dates, self._kept.bodies(messages), strict=True):
            if isinstance(body, StorageError):
                letters.append(Letter(ref, None, problem=f"{folder.place} UID {view.uids[place]}: {body}"))
            else:
                flags = names_of(view.flags[place], view.keywords)
                letters.append(Letter(ref, bytes(body), flags, datetime.fromtimestamp(int(date), UTC)))
        return letters

    def close(self) -> None:
        return


def _is_among(name: str, names: Sequence[str]) -> bool:
    return not names or any(name == one or name.startswith(one + SEPARATOR) for one in names)


def _emails(store: AccountStore) -> frozenset[int]:
    """The EMAILIDs of all messages."""
    found: set[int] = set()
    for info in store.mailboxes():
        entries = store.entry_meta(info.id, store.view(info.id).uids, ["email"])
        found.update(int(entry[0] or 0) for entry in entries if entry is not None)
    return frozenset(found)
