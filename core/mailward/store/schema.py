"""What an account's database looks like.

`message`, `header` and `common_field` hold what is made once, when a message is stored, and never changes; `entry` says which
message has which UID in which mailbox, so that COPY shares content, and `block` what changes of it. Nothing is indexed by MODSEQ:
`change` is the log.
"""

from mailward.store.blocks import PER_MAILBOX, PackedCells
from mailward.store.planes import WIDTH

VERSION = 3
"""2 adds which message a delivery made, so that it is found wherever it was moved. 3 adds what OBJECTID, SAVEDATE, THREAD and
PREVIEW tell of a message, POP3's UIDLs of mail that was moved in, Sieve scripts, what is shared with whom, annotations, what was
expunged, and packs flags and MODSEQs."""

_OF_FORM_3 = """
CREATE INDEX message_by_thread ON message (thread);

-- The thread of each identifier that some message has or names; see store.threads.
CREATE TABLE thread_id (id INTEGER PRIMARY KEY, thread INTEGER NOT NULL) STRICT;

CREATE INDEX thread_id_by_thread ON thread_id (thread);

-- What most programs ask of every message: see formats.common_fields. By itself, so that nothing else is read along; with the
-- size of the message once more, as they ask for that in the same command.
CREATE TABLE common_field (
    message INTEGER PRIMARY KEY, common_fields BLOB NOT NULL, message_octets INTEGER NOT NULL
) STRICT;

-- See store.blocks and store.planes.
CREATE TABLE block (
    id INTEGER PRIMARY KEY, flags BLOB NOT NULL, modseqs BLOB NOT NULL, messages BLOB NOT NULL
) STRICT;

-- What others may do in a mailbox; see store.grants.
CREATE TABLE mailbox_grant (
    mailbox INTEGER NOT NULL, grantee TEXT NOT NULL, rights TEXT NOT NULL, PRIMARY KEY (mailbox, grantee)
) STRICT, WITHOUT ROWID;

-- What is noted about mailboxes; see store.annotations. owner: of a mailbox in another account, else ''.
CREATE TABLE annotation (
    owner TEXT NOT NULL, mailbox INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (owner, mailbox, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE sieve_script (name TEXT PRIMARY KEY, text BLOB NOT NULL, is_active INTEGER NOT NULL) STRICT;

-- Messages that left a mailbox, by where each lay last; dropped after a while, unless an entry refers to them. mailbox: 0 of what
-- is not to be put back. flags: as that mailbox has keywords.
CREATE TABLE expunged (
    message INTEGER PRIMARY KEY, at INTEGER NOT NULL, mailbox INTEGER NOT NULL, flags INTEGER NOT NULL, email INTEGER NOT NULL
) STRICT;

-- Every UIDL of another server that a message of this account has ever had: no other message is known by it (RFC 1939 section 7).
CREATE TABLE past_pop3_uidl (pop3_uidl TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Deleted mailboxes of which messages are kept.
CREATE TABLE past_mailbox (id INTEGER PRIMARY KEY, name TEXT NOT NULL, keywords TEXT NOT NULL) STRICT
"""

SCHEMA = (
    """
-- One row. The last_ numbers only grow. pack: the pack file written now. log_floor: delta below it reads every entry.
-- rendering: by which form of store.rendered every message has been made; see store.renewal. uidvalidity_floor: of names of
-- which nothing is known any more; see store.past_names. untidied_octets: written since tidied_at; see store.tidy.
CREATE TABLE account (
    last_modseq INTEGER NOT NULL, last_uidvalidity INTEGER NOT NULL, last_message INTEGER NOT NULL,
    pack INTEGER NOT NULL, log_floor INTEGER NOT NULL, tidied_at INTEGER NOT NULL,
    last_email INTEGER NOT NULL DEFAULT 0, last_thread INTEGER NOT NULL DEFAULT 0, rendering INTEGER NOT NULL DEFAULT 0,
    uidvalidity_floor INTEGER NOT NULL DEFAULT 0, untidied_octets INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, special_use TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, keywords TEXT NOT NULL,
    n_exists INTEGER NOT NULL, n_unseen INTEGER NOT NULL, n_deleted INTEGER NOT NULL, size_octets INTEGER NOT NULL
) STRICT;

-- See store.past_names.
CREATE TABLE past_name (name TEXT PRIMARY KEY, uidvalidity INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- email: kept by MOVE, new by COPY. pop3_uidl: of another server, from which the message was moved in.
CREATE TABLE entry (
    mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, added_modseq INTEGER NOT NULL, message INTEGER NOT NULL,
    size_octets INTEGER NOT NULL, email INTEGER NOT NULL DEFAULT 0, saved_at INTEGER NOT NULL DEFAULT 0, pop3_uidl TEXT,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_by_message ON entry (message);

CREATE TABLE message (
    id INTEGER PRIMARY KEY, pack INTEGER NOT NULL, pack_offset INTEGER NOT NULL, record INTEGER NOT NULL,
    size_octets INTEGER NOT NULL, header_octets INTEGER NOT NULL, internal_date INTEGER NOT NULL,
    sent_date INTEGER NOT NULL, envelope BLOB NOT NULL, bodystructure BLOB NOT NULL, body BLOB NOT NULL,
    subject_key TEXT NOT NULL, from_key TEXT NOT NULL, to_key TEXT NOT NULL,
    preview TEXT NOT NULL DEFAULT '', ids BLOB NOT NULL DEFAULT x'', is_answer INTEGER NOT NULL DEFAULT 0,
    cc_key TEXT NOT NULL DEFAULT '', from_display_key TEXT NOT NULL DEFAULT '', to_display_key TEXT NOT NULL DEFAULT '',
    surrogate_growth INTEGER NOT NULL DEFAULT 0, thread INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE header (message INTEGER PRIMARY KEY, headers BLOB NOT NULL) STRICT;

-- How many messages that have not been dropped each pack file holds.
CREATE TABLE pack (id INTEGER PRIMARY KEY, messages INTEGER NOT NULL) STRICT;

-- One row for what one list of ops did to one mailbox. gone = 0: uids were added or changed, see store.changelog. gone = 1: uids
-- were expunged, with the MODSEQ at which each had been added; gone = 2: the highest of those of long ago, see store.gone. Packed
-- arrays of native 32 and 64 bit integers.
CREATE TABLE change (
    mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, gone INTEGER NOT NULL, uids BLOB NOT NULL,
    added_modseqs BLOB NOT NULL, PRIMARY KEY (mailbox, modseq, gone)
) STRICT, WITHOUT ROWID;

-- message: 0 of what was moved or expunged before form 2.
CREATE TABLE delivery (
    key TEXT PRIMARY KEY, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, at INTEGER NOT NULL, message INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""
    + _OF_FORM_3
)

_COLUMNS_OF_FORM_3 = """
ALTER TABLE account ADD COLUMN last_email INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN last_thread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN rendering INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN uidvalidity_floor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN untidied_octets INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN email INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN saved_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN pop3_uidl TEXT;
UPDATE entry SET email = old.number, saved_at = old.internal_date FROM (
    SELECT mailbox, uid, internal_date, row_number() OVER (ORDER BY added_modseq, mailbox, uid) AS number
    FROM entry JOIN message ON message.id = entry.message
) AS old WHERE old.mailbox = entry.mailbox AND old.uid = entry.uid;
UPDATE account SET last_email = (SELECT count(*) FROM entry);
ALTER TABLE message ADD COLUMN preview TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN ids BLOB NOT NULL DEFAULT x'';
ALTER TABLE message ADD COLUMN is_answer INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN cc_key TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN from_display_key TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN to_display_key TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN surrogate_growth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN thread INTEGER NOT NULL DEFAULT 0;
"""

_BLOCKS_BEFORE_FORM_3 = f"""
INSERT INTO block SELECT
    mailbox * {PER_MAILBOX} + (uid - 1) / {WIDTH}, packed(uid, flags), packed(uid, modseq), packed(uid, message)
    FROM entry GROUP BY 1;
ALTER TABLE entry DROP COLUMN flags;
ALTER TABLE entry DROP COLUMN modseq;
DELETE FROM change WHERE gone = 0;
UPDATE account SET log_floor = last_modseq;
"""  # noqa: S608 - our own words

_EXPUNGED_BEFORE_FORM_3 = """
INSERT INTO expunged SELECT message.id, coalesce((SELECT max(at) FROM leaving), tidied_at), 0, 0, 0
    FROM message JOIN account WHERE message.id NOT IN (SELECT message FROM entry);
DROP TABLE leaving
"""

UPGRADES = {
    1: """
ALTER TABLE delivery ADD COLUMN message INTEGER NOT NULL DEFAULT 0;
UPDATE delivery SET message = coalesce(
    (SELECT message FROM entry WHERE entry.mailbox = delivery.mailbox AND entry.uid = delivery.uid), 0)
""",
    2: f"{_COLUMNS_OF_FORM_3}{_OF_FORM_3};{_BLOCKS_BEFORE_FORM_3}{_EXPUNGED_BEFORE_FORM_3}",
}
"""2: when a message was saved nobody knows, its internal date is nearest; nor where one lay that was expunged. `store.renewal`
adds what has to be read for."""

UPGRADING = {"packed": PackedCells}
"""The functions that they use."""
