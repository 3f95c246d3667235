"""The forms of the quarantine's index, and how an older one becomes the present one."""

VERSION = 7
"""2 adds what a release needs to know, and what became of an entry; 3 whether it may leave only by way of REQUIRETLS; 4
what else its sender asked for behind MAIL FROM: and RCPT TO:; 5 what an alias made of the envelope; 6 whose it is, who wrote
it, what decided, and what its users have been told; 7 all that the decision rests on,
and since when it is kept."""

_ADDED = (
    "route TEXT NOT NULL DEFAULT 'mailbox'",
    "reverse_path TEXT NOT NULL DEFAULT ''",
    "subject TEXT NOT NULL DEFAULT ''",
    "infected INTEGER NOT NULL DEFAULT 0",
    "origin TEXT NOT NULL DEFAULT 'inbound'",
    "user TEXT NOT NULL DEFAULT ''",
    "smtputf8 INTEGER NOT NULL DEFAULT 0",
    "releasing TEXT NOT NULL DEFAULT ''",
    "ended TEXT NOT NULL DEFAULT ''",
)
_ADDED_IN_3 = ("require_tls INTEGER NOT NULL DEFAULT 0",)
_ADDED_IN_4 = (
    "ret TEXT NOT NULL DEFAULT ''",
    "envelope_id TEXT NOT NULL DEFAULT ''",
    "notify TEXT NOT NULL DEFAULT ''",
    "original_recipient TEXT NOT NULL DEFAULT ''",
    "tls_optional INTEGER NOT NULL DEFAULT 0",
    "hold_until TEXT NOT NULL DEFAULT ''",
    "deliver_by TEXT NOT NULL DEFAULT ''",
    "by_mode TEXT NOT NULL DEFAULT ''",
    "by_trace INTEGER NOT NULL DEFAULT 0",
    "priority INTEGER NOT NULL DEFAULT 0",
)
_ADDED_IN_5 = ("own_reverse_path TEXT", "asked TEXT NOT NULL DEFAULT ''")
_ADDED_IN_6 = (
    "account TEXT NOT NULL DEFAULT ''",
    "author TEXT NOT NULL DEFAULT ''",
    "verdict TEXT NOT NULL DEFAULT ''",
    "cause TEXT NOT NULL DEFAULT ''",
    "arrival INTEGER NOT NULL DEFAULT 0",
)
"""arrival: counts entries as they come, 0 for those of earlier forms; held_at is when their mail was received."""
_ADDED_IN_7 = ("grounds TEXT NOT NULL DEFAULT ''", "kept_at TEXT NOT NULL DEFAULT ''")

# Lists begin at a key and are walked in the order of an index, whatever is asked for: a million entries take as long as a page
# does (T-DOS-18). Only a few entries have ended and are not forgotten.
_INDEXES_OF_6 = """
DROP INDEX IF EXISTS held_by_time;
CREATE INDEX held_by_time ON held (held_at, delivery_key) WHERE ended = '';
CREATE INDEX held_by_recipient ON held (recipient COLLATE NOCASE, held_at, delivery_key) WHERE ended = '';
CREATE INDEX held_by_account ON held (account, held_at, delivery_key) WHERE ended = '';
CREATE INDEX held_by_cause ON held (cause, held_at, delivery_key) WHERE ended = '';
CREATE INDEX held_by_id ON held (id, number);
CREATE INDEX held_ended ON held (held_at) WHERE ended != '';
CREATE INDEX held_by_arrival ON held (arrival);
CREATE INDEX held_news ON held (account, arrival) WHERE ended = '' AND origin != 'server' AND verdict != 'discard';
"""
_INDEXES_OF_7 = """
DROP INDEX held_ended;
CREATE INDEX held_ended ON held (kept_at) WHERE ended != '';
CREATE INDEX held_by_keeping ON held (kept_at, delivery_key) WHERE ended = '';
"""
_DIGESTS = """
CREATE TABLE digest_round (
  one INTEGER PRIMARY KEY CHECK (one = 1), day TEXT NOT NULL, upto INTEGER NOT NULL, done INTEGER NOT NULL
);
CREATE TABLE digest (
  account TEXT PRIMARY KEY, day TEXT NOT NULL, since INTEGER NOT NULL, upto INTEGER NOT NULL, sent INTEGER NOT NULL
) WITHOUT ROWID;
"""
"""The last round of digests, and each account's last digest: on which day, of arrivals behind `since` as far as `upto`."""

_COLUMNS = (*_ADDED, *_ADDED_IN_3, *_ADDED_IN_4, *_ADDED_IN_5, *_ADDED_IN_6, *_ADDED_IN_7)
SCHEMA = f"""
CREATE TABLE held (
  delivery_key TEXT PRIMARY KEY, id TEXT NOT NULL, number INTEGER NOT NULL, recipient TEXT NOT NULL, reason TEXT NOT NULL,
  held_at TEXT NOT NULL, size_octets INTEGER NOT NULL, {", ".join(_COLUMNS)}
) WITHOUT ROWID;
{_INDEXES_OF_6}{_INDEXES_OF_7}{_DIGESTS}"""


def _adding(columns: tuple[str, ...]) -> str:
    return "; ".join(f"ALTER TABLE held ADD COLUMN {column}" for column in columns)


# Form 1 said only in words what a message was held for; the mail in it was all for mailboxes here.
_KNOWN_INFECTED = "UPDATE held SET infected = 1 WHERE reason LIKE '%infected%' OR reason LIKE '%antivirus%'"
# Until form 7 mail expired by when it was received.
_KEPT_SINCE = "UPDATE held SET kept_at = held_at"
UPGRADES = {
    1: f"{_adding(_ADDED)}; {_KNOWN_INFECTED}",
    2: _adding(_ADDED_IN_3),
    3: _adding(_ADDED_IN_4),
    4: _adding(_ADDED_IN_5),
    5: f"{_adding(_ADDED_IN_6)}; {_INDEXES_OF_6}{_DIGESTS}",
    6: f"{_adding(_ADDED_IN_7)}; {_KEPT_SINCE}; {_INDEXES_OF_7}",
}
