"""Mail from a source into an account's store, so that its clients find what they know: names, UIDs, flags, dates.

What has come is known by delivery keys, which are durable with the mail itself: a move that is interrupted goes on where it
stopped, and a second one brings what is new. UIDs are kept where a mailbox here is empty, or has its UIDVALIDITY from the same
source; where other mail has got one of them meanwhile the mailbox gets a new UIDVALIDITY, for no UID may mean two messages.

A folder that is for sent mail, junk or the like comes to be so here, by its special use or else by a common name: one that is
ours, and was never used, makes way for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailward.app.moving.source import Folder, FolderError, Letter, Listing, Ref, Source
from mailward.formats.mailbox_names import COMMON_NAMES, INBOX, fitting
from mailward.model.ids import Uid
from mailward.store.base import SYSTEM_FLAGS, AccountStore, MailboxInfo
from mailward.store.names import normalise_name, parents
from mailward.store.ops import Append, CreateMailbox, DeleteMailbox, Op, Renumber, SetSpecialUse, Subscribe
from mailward.store.refusals import NoSuchMailbox, NotPermitted, SpecialUseRefused
from mailward.store.uids import MAX_FOREIGN_UID, MAX_FOREIGN_UIDVALIDITY

_BATCH_MESSAGES = 256
_BATCH_OCTETS = 8 * 1024 * 1024
_KEYS_TOGETHER = 5000

Progress = Callable[[str, int, int], None]
"""Told the folder, how many of its messages are done and how many there are to bring."""


@dataclass(slots=True)
class Brought:
    """How one folder went. name: here. there: in it at the source. known: of them, brought by an earlier run.

    is_unreadable: the folder as a whole, so what is in it is not known. keeps_uids: UIDs and UIDVALIDITY are those of the source.
    expunged: what the source has deleted and still holds, left out.
    special_use: what the mailbox is for by this run, "" where that is as it was. notes: what became of others for its sake, or
    why it is for nothing. problems: what could not be read or stored as it was.
    """

    place: str
    name: str
    there: int = 0
    known: int = 0
    brought: int = 0
    is_unreadable: bool = False
    keeps_uids: bool = False
    expunged: int = 0
    special_use: str = ""
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return self.there - self.known - self.brought


class Move:
    """One run. only_look: nothing is changed here, and `brought` counts what would be."""

    def __init__(self, source: Source, store: AccountStore, progress: Progress, *, only_look: bool = False) -> None:
        self._source = source
        self._store = store
        self._progress = progress
        self._only_look = only_look
        infos = store.mailboxes()
        self._uses = {info.special_use: info.name for info in infos if info.special_use}
        """Who has each, with what this run has given, or would give."""
        self._levels = {above for info in infos for above in parents(info.name)}

    def run(self, without: Sequence[str] = ()) -> Iterator[Brought]:
        """Each folder in turn. without: names or places of folders that are left out.

        Raises SourceError, StorageError, StoreRefusal.
        """
        folders = [folder for folder in self._source.folders() if not {folder.name, folder.place} & set(without)]
        folders = _with_special_uses(folders)
        names = {normalise_name(fitting(folder.name)) for folder in folders}
        names |= {above for name in names for above in parents(name)}
        for folder in sorted(folders, key=lambda folder: not folder.special_use):  # these may need a name that others free
            yield self._bring(folder, names)

    def _bring(self, folder: Folder, names: set[str]) -> Brought:
        name = normalise_name(fitting(folder.name))
        brought = Brought(folder.place, name)
        if name != folder.name:
            brought.problems.append(f"the folder {folder.name} is called {name} here, since its name cannot be one")
        try:
            listing = self._source.listing(folder)
        except FolderError as error:
            brought.is_unreadable = True
            brought.problems.append(str(error))
            return brought
        known = self._known(listing)
        wanted = [ref for ref in listing.refs if ref.key not in known]
        brought.there, brought.known = len(listing.refs), len(listing.refs) - len(wanted)
        brought.expunged = listing.expunged
        info = self._mailbox(folder, names, brought)
        uidvalidity = listing.uidvalidity
        highest = max([listing.uidnext, *[ref.uid for ref in listing.refs]])
        if highest > MAX_FOREIGN_UID:
            brought.problems.append(f"its UIDs go up to {highest}, so far that few would be left: they are given anew")
            uidvalidity = 0
        if self._only_look:
            brought.brought = len(wanted)
            brought.keeps_uids = _would_keep(info, uidvalidity, wanted)
            return brought
        assert info is not None
        numbering = _Numbering(self._store, info, uidvalidity)
        for batch in _batches(wanted):
            self._progress(name, brought.brought, len(wanted))
            self._store_letters(info, self._source.fetch(folder, batch), numbering, brought)
        if numbering.keeps:
            self._store.apply([Renumber(info.id, uidvalidity, listing.uidnext)])
        brought.keeps_uids = numbering.keeps
        self._progress(name, len(wanted), len(wanted))
        return brought

    def _known(self, listing: Listing) -> frozenset[str]:
        keys = [ref.key for ref in listing.refs]
        parts = (self._store.known(keys[at : at + _KEYS_TOGETHER]) for at in range(0, len(keys), _KEYS_TOGETHER))
        return frozenset[str]().union(*parts)

    def _mailbox(self, folder: Folder, names: set[str], brought: Brought) -> MailboxInfo | None:
        """The mailbox here, made when it is missing; None when it is missing and we only look."""
        name = brought.name
        try:
            found = self._store.mailbox(name)
        except NoSuchMailbox:
            found = None
        use = folder.special_use or ""
        is_new = name != INBOX and name not in self._uses.values() and (found is None or found.uidnext == 1)
        making_way: list[Op] = []
        if not is_new:
            use = ""
        elif use in self._uses:
            holder = self._uses[use]
            if why := self._why_it_stays(holder, names):
                brought.notes.append(f"{holder}, which {why}, stays {use}; {name} is for nothing special")
                use = ""
            else:
                brought.notes.append(f"{name} is {use}; {holder}, which never had a message, makes way for it")
                making_way = [DeleteMailbox(holder, only_unused=True), Subscribe(holder, False)]
        brought.special_use = use
        if not self._only_look and (found is None or use):
            self._make(found, name, use, making_way, brought)
        if brought.special_use:
            self._uses[brought.special_use] = name
        if self._only_look:
            return found
        found = self._store.mailbox(name)
        if folder.subscribed is not None or not found.subscribed:
            self._store.apply([Subscribe(name, folder.subscribed is not False)])
        return found

    def _why_it_stays(self, holder: str, names: set[str]) -> str:
        """Why this mailbox does not make way for another that has its use; "" for one of ours that was never used."""
        if holder in names:
            return "comes, too"
        if self._store.mailbox(holder).uidnext > 1:
            return "is in use here"
        return "has mailboxes below it" if holder in self._levels else ""

    def _make(self, found: MailboxInfo | None, name: str, use: str, making_way: Sequence[Op], brought: Brought) -> None:
        """The mailbox with its use, or at least the mailbox."""
        try:
            self._store.apply([*making_way, CreateMailbox(name, use) if found is None else SetSpecialUse(found.id, use)])
        except (NotPermitted, SpecialUseRefused) as refusal:  # mail came there, or the use went to another mailbox, meanwhile
            brought.notes = [f"{name} is not {use}: {refusal}"]
            brought.special_use = ""
            if found is None:
                self._store.apply([CreateMailbox(name)])

    def _store_letters(self, info: MailboxInfo, letters: Sequence[Letter], numbering: "_Numbering", brought: Brought) -> None:
        appends = []
        for letter in letters:
            if letter.octets is None:
                brought.problems.append(letter.problem)
                continue
            appends.append(_append(info, letter, letter.octets))
        try:
            self._store.apply([numbering.number(one) for one in appends])
        except NotPermitted:
            self._one_by_one(appends, numbering, brought)
        brought.brought += len(appends)

    def _one_by_one(self, appends: Sequence[Append], numbering: "_Numbering", brought: Brought) -> None:
        """Each as far as it can be stored: one message may want a UID that is taken, and have a keyword that cannot be, too."""
        for one in appends:
            while True:
                try:
                    self._store.apply([numbering.number(one)])
                    break
                except NotPermitted as refusal:
                    if numbering.keeps and one.uid is not None and one.uid < self._store.mailbox(brought.name).uidnext:
                        numbering.give_up()
                        continue
                    left_out = " ".join(flag for flag in one.flags if flag not in SYSTEM_FLAGS)
                    if not left_out:
                        raise
                    brought.problems.append(f"{brought.name}: of a message the keywords {left_out} were left out: {refusal}")
                    one = replace(one, flags=tuple(flag for flag in one.flags if flag in SYSTEM_FLAGS))


def _with_special_uses(folders: Sequence[Folder]) -> list[Folder]:
    """With those that their names tell, of what no folder is said to be for."""
    said = {folder.special_use for folder in folders}
    told: dict[str, str] = {}
    for use, names in COMMON_NAMES.items():
        called = {folder.name.casefold(): folder.place for folder in folders if folder.special_use is None}
        place = next((called[name] for name in names if name in called), None)
        if use not in said and place is not None:
            told[place] = use
    return [replace(folder, special_use=told.get(folder.place, folder.special_use)) for folder in folders]


class _Numbering:
    """Are UIDs kept in this mailbox?"""

    def __init__(self, store: AccountStore, info: MailboxInfo, uidvalidity: int) -> None:
        self._store = store
        self._mailbox = info.id
        self.keeps = uidvalidity > 0
        if self.keeps and info.uidvalidity != uidvalidity:
            try:
                store.apply([Renumber(info.id, uidvalidity)])
            except NotPermitted:  # other mail has been here
                self.keeps = False

    def number(self, append: Append) -> Append:
        return append if self.keeps else replace(append, uid=None)

    def give_up(self) -> None:
        """Other mail has got a UID meanwhile."""
        if self.keeps:
            self._store.apply([Renumber(self._mailbox)])
            self.keeps = False


def _would_keep(info: MailboxInfo | None, uidvalidity: int, wanted: Sequence[Ref]) -> bool:
    """What a `_Numbering` would come to, as far as the mailbox shows it: an earlier one of its name is not seen."""
    if info is None or info.uidnext == 1:
        return 0 < uidvalidity <= MAX_FOREIGN_UIDVALIDITY
    return info.uidvalidity == uidvalidity and not any(0 < ref.uid < info.uidnext for ref in wanted)


def _append(info: MailboxInfo, letter: Letter, octets: bytes) -> Append:
    known = {flag.casefold(): flag for flag in SYSTEM_FLAGS}
    flags = (known.get(flag.casefold(), flag) for flag in letter.flags)
    return Append(
        info.id,
        octets,
        letter.internal_date or datetime.now(UTC),
        tuple(flag for flag in flags if flag in SYSTEM_FLAGS or not flag.startswith("\\")),
        letter.ref.key,
        letter.pop3_uidl if info.name == INBOX else None,  # no POP3 client sees another mailbox
        Uid(letter.ref.uid) if letter.ref.uid else None,
    )


def _batches(refs: Sequence[Ref]) -> Iterator[list[Ref]]:
    batch: list[Ref] = []
    octets = 0
    for ref in refs:
        if batch and (len(batch) >= _BATCH_MESSAGES or octets + ref.size_octets > _BATCH_OCTETS):
            yield batch
            batch, octets = [], 0
        batch.append(ref)
        octets += ref.size_octets
    if batch:
        yield batch
