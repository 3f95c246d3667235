"""What have users been told of what is kept for them? One digest a day at most, and each entry in one of them.

A round of digests reaches as far as entries had come when it began. What a digest tells is written down before it is sent, and
behind that it was sent: who was interrupted sends the same portion again, under its own key, by which the queue knows it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from mailward.database import Database
from mailward.model.ids import AccountId
from mailward.quarantine.held import COLUMNS, Held, held_of

_DAY = timedelta(days=1)
_IS_TOLD = "ended = '' AND origin != 'server' AND verdict != 'discard'"
"""Nobody hears of what the server wrote itself, nor of what an admin wants gone without a word."""
_OF_PORTION = f"account = ? AND arrival > ? AND arrival <= ? AND {_IS_TOLD}"
_WAITING = f"""
SELECT value FROM json_each(?) LEFT JOIN digest ON account = value WHERE EXISTS (
  SELECT 1 FROM held WHERE held.account = value AND arrival > coalesce(CASE WHEN sent THEN upto ELSE since END, 0)
    AND arrival <= ? AND {_IS_TOLD})
"""  # noqa: S608 - our own
_LISTED = f"SELECT {COLUMNS} FROM held WHERE {_OF_PORTION} AND NOT infected ORDER BY arrival DESC LIMIT ?"  # noqa: S608 - our own
_COUNTS = f"SELECT count(*), coalesce(sum(infected), 0) FROM held WHERE {_OF_PORTION}"  # noqa: S608 - our own


@dataclass(frozen=True, slots=True)
class Portion:
    """What one digest tells: the account's entries behind arrival `since`, as far as `upto`."""

    account: AccountId
    since: int
    upto: int

    @property
    def key(self) -> str:
        """Its own among all digests."""
        return f"{self.account} {self.upto}"


@dataclass(frozen=True, slots=True)
class News:
    """What a portion holds that is still kept: how many entries are not infected, the newest of these, and how many are."""

    total: int
    newest: tuple[Held, ...]
    infected: int


class Digests:
    """Part of a `Quarantine`: all calls block, are safe from any thread, and raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_round(self, day: date) -> int | None:
        """How far the digests of this day reach, as an arrival; None when they have all been sent.

        A clock that goes back over midnight begins no other round; one that was wrong by days does.
        """
        with self._database.write() as connection:
            row = connection.execute("SELECT day, upto, done FROM digest_round").fetchone()
            if row is not None and day <= (last := date.fromisoformat(row[0])) <= day + _DAY:
                return None if row[2] or last != day else int(row[1])
            upto = _newest(connection.execute("SELECT max(arrival) FROM held").fetchone()[0], None if row is None else row[1])
            connection.execute("INSERT OR REPLACE INTO digest_round VALUES (1, ?, ?, 0)", (day.isoformat(), upto))
        return upto

    def end_round(self) -> None:
        """All digests of the round have been sent."""
        with self._database.write() as connection:
            connection.execute("UPDATE digest_round SET done = 1")

    def waiting(self, accounts: Sequence[AccountId], upto: int) -> tuple[AccountId, ...]:
        """Who of these is to be told of something."""
        with self._database.read() as connection:
            return tuple(AccountId(account) for (account,) in connection.execute(_WAITING, (json.dumps(accounts), upto)))

    def begin(self, account: AccountId, day: date, upto: int) -> Portion | None:
        """What the account's digest of this day tells, durably; None when it has had one.

        What was begun and perhaps not sent comes first, and is all for this day.
        """
        with self._database.write() as connection:
            row = connection.execute("SELECT day, since, upto, sent FROM digest WHERE account = ?", (account,)).fetchone()
            if row is not None and row[3] and row[0] == day.isoformat():
                return None
            since, upto = (0, upto) if row is None else (row[2], upto) if row[3] else row[1:3]
            row = (account, day.isoformat(), since, upto)
            connection.execute("INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?, 0)", row)
        return Portion(account, since, upto)

    def sent(self, portion: Portion) -> None:
        """It is in the queue, or nothing of it was left to be told."""
        with self._database.write() as connection:
            connection.execute("UPDATE digest SET sent = 1 WHERE account = ?", (portion.account,))

    def next(self, account: AccountId) -> Portion:
        """What the account's next digest would tell if it were made now."""
        with self._database.read() as connection:
            row = connection.execute("SELECT since, upto, sent FROM digest WHERE account = ?", (account,)).fetchone()
            upto = _newest(connection.execute("SELECT max(arrival) FROM held").fetchone()[0])
        since, told_upto, is_sent = row or (0, 0, True)
        return Portion(account, told_upto, max(upto, told_upto)) if is_sent else Portion(account, since, told_upto)

    def news(self, portion: Portion, limit: int) -> News:
        """What is still kept of a portion; of its entries at most so many, the newest first."""
        of = (portion.account, portion.since, portion.upto)
        with self._database.read() as connection:
            total, infected = connection.execute(_COUNTS, of).fetchone()
            rows = connection.execute(_LISTED, (*of, limit)).fetchall()
        return News(total - infected, tuple(held_of(row) for row in rows), infected)


def _newest(*arrivals: int | None) -> int:
    return max(arrival or 0 for arrival in arrivals)
