"""What the server announces (RFC 9051 section 7.2.2): only what has been used with it over a socket, by real programs and the
scripts of imaptest where they know it."""

CAPABILITIES = (
    "IMAP4rev1", "IMAP4rev2", "SASL-IR", "ID", "ENABLE", "NAMESPACE", "IDLE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN",
    "SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE", "WITHIN", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "ESEARCH",
    "SEARCHRES", "OBJECTID", "SAVEDATE", "PREVIEW", "CREATE-SPECIAL-USE", "QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE",
    "MULTISEARCH", "SORT", "SORT=DISPLAY", "ESORT", "CONTEXT=SEARCH", "CONTEXT=SORT", "I18NLEVEL=1",
    "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "THREAD=REFS",
    "BINARY", "MULTIAPPEND", "CATENATE", "REPLACE", "INPROGRESS", "PARTIAL", "UIDBATCHES", "NOTIFY",
    "ACL", "RIGHTS=kxte", "LIST-MYRIGHTS", "METADATA", "LIST-METADATA",
)  # fmt: skip
SAVE_LIMIT = 100_000
"""Messages of one COPY, or APPEND (SAVELIMIT of RFC 9738): all of them are stored or none, so all are in memory at once, with
some 0.7 kB each (T-DOS-06)."""
SWITCHABLE = frozenset({*CAPABILITIES, "COMPRESS=DEFLATE"}) - {"IMAP4rev1"}
"""What can be switched off where a mail program stumbles over it."""
