"""What was done to mail after its delivery: each retro-action with its copies, and what undoes it.

What is to be done to a copy is durable before it begins. So what was cut short is found again as "begun", and brought to its
end before anything else happens.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NewType, get_args

from mailward.database import Database
from mailward.model.decision import utc_text
from mailward.model.ids import QueueId
from mailward.policy import Direction

RetroNumber = NewType("RetroNumber", int)
ItemNumber = NewType("ItemNumber", int)

Deed = Literal["quarantine", "release", "tag"]
DEEDS: tuple[Deed, ...] = get_args(Deed)
State = Literal["begun", "done", "left", "undone"]

_SCHEMA = """
CREATE TABLE retro (number INTEGER PRIMARY KEY AUTOINCREMENT, begun_at TEXT NOT NULL, who TEXT NOT NULL,
  direction TEXT NOT NULL, condition TEXT NOT NULL, narrowed TEXT NOT NULL, deed TEXT NOT NULL, tag TEXT NOT NULL,
  even_infected INTEGER NOT NULL, undone_at TEXT NOT NULL DEFAULT '');
CREATE TABLE item (number INTEGER PRIMARY KEY AUTOINCREMENT, retro INTEGER NOT NULL, id TEXT NOT NULL, recipient TEXT NOT NULL,
  account TEXT NOT NULL, delivery_key TEXT NOT NULL, before TEXT NOT NULL, state TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX item_by_retro ON item (retro, number);
CREATE INDEX item_begun ON item (number) WHERE state = 'begun';
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for. narrowed: by what else, as options. tag: the keyword to set, "" for other deeds."""

    who: str
    direction: Direction
    condition: str
    narrowed: str
    deed: Deed
    tag: str = ""
    even_infected: bool = False


@dataclass(frozen=True, slots=True)
class Retro:
    """One retro-action. begun_at, undone_at: ISO 8601 in UTC, the latter "" while nobody has undone it."""

    number: RetroNumber
    begun_at: str
    order: Order
    undone_at: str = ""

    @property
    def name(self) -> str:
        """As people write it: "R17"."""
        return f"R{self.number}"


@dataclass(frozen=True, slots=True)
class Item:
    """One copy. account: in whose mailbox it was, or is by a release. delivery_key: its own in the store, or in the quarantine.

    before: how it was, as delivery writes it for whoever settles or undoes it. outcome: what became of it, in plain words.
    "left": nothing was done.
    """

    number: ItemNumber
    retro: RetroNumber
    id: QueueId
    recipient: str
    account: str
    delivery_key: str
    before: str
    state: State = "begun"
    outcome: str = ""


class RetroLog:
    """Kept in one SQLite file. All calls block for a moment; they raise StorageError."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, schema=_SCHEMA, version=1)

    def close(self) -> None:
        self._database.close()

    def begin(self, order: Order, now: datetime) -> Retro:
        """A new one. now: aware."""
        row = (utc_text(now), *(getattr(order, name) for name in Order.__slots__))
        with self._database.write() as connection:
            number = connection.execute(_BEGIN, row).lastrowid
        return Retro(RetroNumber(number or 0), row[0], order)

    def begin_item(self, retro: Retro, id: QueueId, recipient: str, account: str, delivery_key: str, before: str) -> Item:
        """Something is about to be done to this copy; durable when it returns."""
        row = (retro.number, id, recipient, account, delivery_key, before)
        with self._database.write() as connection:
            number = connection.execute(_BEGIN_ITEM, row).lastrowid
        return Item(ItemNumber(number or 0), *row)

    def end_item(self, item: Item, state: State, outcome: str, account: str) -> Item:
        """What became of it; a power cut may cost this, and then it is found out again."""
        with self._database.write_unsynced() as connection:
            connection.execute(_END_ITEM, (state, outcome, account, item.number))
        return Item(item.number, item.retro, item.id, item.recipient, account, item.delivery_key, item.before, state, outcome)

    def undone(self, retro: Retro, now: datetime) -> None:
        """All that can be undone is; when it was said first stands. now: aware."""
        with self._database.write() as connection:
            connection.execute(_UNDONE, (utc_text(now), retro.number))

    def get(self, number: RetroNumber) -> Retro | None:
        """None when there is none of this number."""
        with self._database.read() as connection:
            row = connection.execute(f"{_RETROS} WHERE number = ?", (number,)).fetchone()
        return None if row is None else _retro(row)

    def latest(self, limit: int) -> list[tuple[Retro, dict[State, int]]]:
        """The newest first, at most so many, with the number of copies in each state."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_RETROS} ORDER BY number DESC LIMIT ?", (limit,)).fetchall()
            counts: list[dict[State, int]] = [dict(connection.execute(_COUNTS, (row[0],)).fetchall()) for row in rows]
        return [(_retro(row), count) for row, count in zip(rows, counts, strict=True)]

    def items(self, number: RetroNumber) -> list[Item]:
        """The copies of one, in the order in which they were begun."""
        with self._database.read() as connection:
            return [Item(*row) for row in connection.execute(f"{_ITEMS} WHERE retro = ? ORDER BY number", (number,))]

    def begun(self) -> list[Item]:
        """Those of which nobody has said yet what became of them."""
        with self._database.read() as connection:
            return [Item(*row) for row in connection.execute(f"{_ITEMS} WHERE state = 'begun' ORDER BY number")]


def _retro(row: tuple[RetroNumber, str, str, Direction, str, str, Deed, str, int, str]) -> Retro:
    number, begun_at, who, direction, condition, narrowed, deed, tag, even_infected, undone_at = row
    return Retro(number, begun_at, Order(who, direction, condition, narrowed, deed, tag, bool(even_infected)), undone_at)


_BEGIN = """
INSERT INTO retro (begun_at, who, direction, condition, narrowed, deed, tag, even_infected) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_BEGIN_ITEM = """
INSERT INTO item (retro, id, recipient, account, delivery_key, before, state, outcome) VALUES (?, ?, ?, ?, ?, ?, 'begun', '')
"""
_UNDONE = "UPDATE retro SET undone_at = ? WHERE number = ? AND undone_at = ''"
_END_ITEM = "UPDATE item SET state = ?, outcome = ?, account = ? WHERE number = ?"
_RETROS = """
SELECT number, begun_at, who, direction, condition, narrowed, deed, tag, even_infected, undone_at FROM retro
"""
_ITEMS = "SELECT number, retro, id, recipient, account, delivery_key, before, state, outcome FROM item"
_COUNTS = "SELECT state, count(*) FROM item WHERE retro = ? GROUP BY state"
