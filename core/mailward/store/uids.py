"""The only place that allocates UIDVALIDITY, UIDs and MODSEQs (RFC 9051 section 2.3.1, RFC 7162 section 3.1).

All of them come from rows of the account's database, changed in the transaction that uses them: a number seen by a
client is durable, and one of a transaction that failed was seen by nobody.
"""

import sqlite3
from dataclasses import astuple, dataclass

from mailward.model.ids import MailboxId
from mailward.store.refusals import NoSuchMailbox, NotPermitted

_MAX_UID = 2**32 - 1
MAX_FOREIGN_UIDVALIDITY = _MAX_UID - 1_000_000
"""So many higher ones are left, for mailboxes that are made anew and moved in from elsewhere."""
MAX_FOREIGN_UID = 2**31
"""Of mail that is moved in: half of all UIDs are left then."""


class Numbers:
    """The account's counters during one transaction; `save` writes them back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row: tuple[int, int, int, int, int, int] = connection.execute(
            "SELECT last_modseq, last_uidvalidity, last_message, last_email, last_thread, untidied_octets FROM account"
        ).fetchone()
        self._modseq, self._uidvalidity, self._message, self._email, self._thread, self.untidied_octets = row

    @property
    def given(self) -> tuple[int, int, int, int, int]:
        """How far all of them have come, for `take_back`."""
        return self._modseq, self._uidvalidity, self._message, self._email, self._thread

    def take_back(self, given: tuple[int, int, int, int, int]) -> None:
        """Nobody has seen those that were given since then."""
        self._modseq, self._uidvalidity, self._message, self._email, self._thread = given

    @property
    def following_modseq(self) -> int:
        """What `next_modseq` would give."""
        return self._modseq + 1

    def next_modseq(self) -> int:
        """One a list of ops; 1 is the first."""
        self._modseq = self.following_modseq
        return self._modseq

    def next_uidvalidity(self, now_s: int) -> int:
        """Higher than every one given in this account before, even when the clock was set back."""
        self._uidvalidity = max(now_s, self._uidvalidity + 1)
        return self._uidvalidity

    def note_uidvalidity(self, uidvalidity: int) -> None:
        """Of another server; those given from now on are higher. Raises NotPermitted where hardly any would be."""
        if not 0 < uidvalidity <= MAX_FOREIGN_UIDVALIDITY:
            raise NotPermitted(f"A mailbox cannot take the UIDVALIDITY {uidvalidity}")
        self._uidvalidity = max(self._uidvalidity, uidvalidity)

    def next_message(self) -> int:
        """The store's own number of a message's content."""
        self._message += 1
        return self._message

    def next_email(self) -> int:
        """What a message is called wherever it is moved (RFC 8474 section 5.1)."""
        self._email += 1
        return self._email

    def next_thread(self) -> int:
        """A new thread (RFC 8474 section 5.2)."""
        self._thread += 1
        return self._thread

    def note_written(self, octets: int) -> None:
        """So much that tidying may drop one day; see store.tidy."""
        self.untidied_octets += octets

    def save(self) -> None:
        self._connection.execute(
            "UPDATE account SET last_modseq = ?, last_uidvalidity = ?, last_message = ?, last_email = ?, last_thread = ?,"
            " untidied_octets = ?",
            (*self.given, self.untidied_octets),
        )


@dataclass(frozen=True, slots=True)
class Given:
    """The highest numbers that an account has given, of all that are remembered elsewhere too: by clients, by other accounts in
    delivery keys and annotations, by an admin."""

    uidvalidity: int = 0
    message: int = 0
    email: int = 0
    thread: int = 0
    mailbox: int = 0

    @classmethod
    def load(cls, connection: sqlite3.Connection) -> "Given":
        row = connection.execute(
            "SELECT last_uidvalidity, last_message, last_email, last_thread,"
            " (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'mailbox') FROM account"
        ).fetchone()
        return cls(*(min(number, MAX_FOREIGN_UIDVALIDITY) for number in row))  # in a damaged account they may be anything

    def and_all_below(self, number: int) -> "Given":
        """As if that had been given too, of each kind."""
        return Given(*(max(given, number) for given in astuple(self)))

    def pass_over(self, connection: sqlite3.Connection) -> None:
        """The account gives only higher ones from now on."""
        *numbers, mailbox = astuple(self)
        connection.execute(
            "UPDATE account SET last_uidvalidity = max(last_uidvalidity, ?), last_message = max(last_message, ?),"
            " last_email = max(last_email, ?), last_thread = max(last_thread, ?)",
            numbers,
        )
        connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'mailbox'", (mailbox,))


@dataclass(slots=True)
class Box:
    """A mailbox's row while a list of ops works on it."""

    id: MailboxId
    name: str
    special_use: str
    uidvalidity: int
    uidnext: int
    modseq: int
    keywords: tuple[str, ...]
    n_exists: int
    n_unseen: int
    n_deleted: int
    size_octets: int

    @classmethod
    def load(cls, connection: sqlite3.Connection, mailbox: MailboxId) -> "Box":
        """Raises NoSuchMailbox."""
        row = connection.execute(
            "SELECT name, special_use, uidvalidity, uidnext, modseq, keywords, n_exists, n_unseen, n_deleted, size_octets"
            " FROM mailbox WHERE id = ?",
            (mailbox,),
        ).fetchone()
        if row is None:
            raise NoSuchMailbox("The mailbox is gone")
        return cls(
            id=mailbox,
            name=row[0],
            special_use=row[1],
            uidvalidity=row[2],
            uidnext=row[3],
            modseq=row[4],
            keywords=tuple(row[5].split()),
            n_exists=row[6],
            n_unseen=row[7],
            n_deleted=row[8],
            size_octets=row[9],
        )

    def save(self, connection: sqlite3.Connection) -> None:
        """Write back everything but the name, which only renaming changes."""
        connection.execute(
            "UPDATE mailbox SET uidnext = ?, modseq = ?, keywords = ?, n_exists = ?, n_unseen = ?, n_deleted = ?, size_octets = ?"
            " WHERE id = ?",
            (
                *(self.uidnext, self.modseq, " ".join(self.keywords)),
                *(self.n_exists, self.n_unseen, self.n_deleted, self.size_octets, self.id),
            ),
        )

    def take_uid(self, uid: int | None) -> int:
        """This one, or the next. Raises NotPermitted when it, or a higher one, has been given."""
        if uid is not None:
            if uid < self.uidnext:
                raise NotPermitted(f"The mailbox {self.name} has given the UID {uid} already")
            if uid > MAX_FOREIGN_UID:
                raise NotPermitted(f"UIDs from elsewhere are at most {MAX_FOREIGN_UID}, so that some are left")
            self.uidnext = uid
        return self.take_uids(1)[0]

    def take_uids(self, count: int) -> range:
        """The next UIDs, in order. Raises NotPermitted when the mailbox has used up its 32 bits."""
        first = self.uidnext
        if first + count > _MAX_UID:
            raise NotPermitted("The mailbox has no UIDs left; move its messages to a new one")
        self.uidnext += count
        return range(first, first + count)
