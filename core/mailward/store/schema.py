"""What an account's database looks like.

`message` and `header` hold what is made once, when a message is stored, and never changes; `entry` says which message
has which UID in which mailbox, so that COPY shares content. Nothing is indexed by MODSEQ: `change` is the log.
"""

VERSION = 2
"""2 adds which message a delivery made, so that it is found wherever it was moved."""

SCHEMA = """
-- One row. The last_ numbers only grow. pack: the pack file written now. log_floor: delta below it reads every entry.
CREATE TABLE account (
    last_modseq INTEGER NOT NULL, last_uidvalidity INTEGER NOT NULL, last_message INTEGER NOT NULL,
    pack INTEGER NOT NULL, log_floor INTEGER NOT NULL, tidied_at INTEGER NOT NULL
) STRICT;

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, special_use TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, keywords TEXT NOT NULL,
    n_exists INTEGER NOT NULL, n_unseen INTEGER NOT NULL, n_deleted INTEGER NOT NULL, size_octets INTEGER NOT NULL
) STRICT;

-- The highest UIDVALIDITY a name had before: a mailbox that gets this name must have a higher one (RFC 9051 2.3.1.1).
CREATE TABLE past_name (name TEXT PRIMARY KEY, uidvalidity INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, flags INTEGER NOT NULL, modseq INTEGER NOT NULL,
    added_modseq INTEGER NOT NULL, message INTEGER NOT NULL, size_octets INTEGER NOT NULL, PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_by_message ON entry (message);

CREATE TABLE message (
    id INTEGER PRIMARY KEY, pack INTEGER NOT NULL, pack_offset INTEGER NOT NULL, record INTEGER NOT NULL,
    size_octets INTEGER NOT NULL, header_octets INTEGER NOT NULL, internal_date INTEGER NOT NULL,
    sent_date INTEGER NOT NULL, envelope BLOB NOT NULL, bodystructure BLOB NOT NULL, body BLOB NOT NULL,
    subject_key TEXT NOT NULL, from_key TEXT NOT NULL, to_key TEXT NOT NULL
) STRICT;

CREATE TABLE header (message INTEGER PRIMARY KEY, headers BLOB NOT NULL) STRICT;

-- How many messages that have not been dropped each pack file holds.
CREATE TABLE pack (id INTEGER PRIMARY KEY, messages INTEGER NOT NULL) STRICT;

-- One row for what one list of ops did to one mailbox. gone = 0: uids were added or changed. gone = 1: uids were
-- expunged, with the MODSEQ at which each had been added. Packed arrays of native 32 and 64 bit integers.
CREATE TABLE change (
    mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, gone INTEGER NOT NULL, uids BLOB NOT NULL,
    added_modseqs BLOB NOT NULL, PRIMARY KEY (mailbox, modseq, gone)
) STRICT, WITHOUT ROWID;

-- Messages that left a mailbox, to be dropped after the grace period unless an entry refers to them. Packed 64 bit.
CREATE TABLE leaving (at INTEGER NOT NULL, messages BLOB NOT NULL) STRICT;

-- message: 0 of what was moved or expunged before form 2.
CREATE TABLE delivery (
    key TEXT PRIMARY KEY, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, at INTEGER NOT NULL, message INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID
"""

UPGRADES = {
    1: """
ALTER TABLE delivery ADD COLUMN message INTEGER NOT NULL DEFAULT 0;
UPDATE delivery SET message = coalesce(
    (SELECT message FROM entry WHERE entry.mailbox = delivery.mailbox AND entry.uid = delivery.uid), 0)
"""
}
