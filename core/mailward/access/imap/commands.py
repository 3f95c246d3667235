"""The table of commands: which exist, in which states, and whether news of the mailbox may follow."""

from collections.abc import Mapping

from mailward.access.imap import (
    append,
    basics,
    copy,
    fetch,
    flags,
    listing,
    mailboxes,
    notifying,
    quota,
    search,
    select,
    sort,
    thread,
    uidbatches,
)
from mailward.access.imap.session import Command, State

_ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
_BEFORE = frozenset({State.NOT_AUTHENTICATED})
_AFTER = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})

COMMANDS: Mapping[str, Command] = {
    "CAPABILITY": Command(basics.capability, _ANY),
    "NOOP": Command(basics.noop, _ANY),
    "LOGOUT": Command(basics.logout, _ANY, tells_changes=False),
    "ID": Command(basics.identify, _ANY),
    "STARTTLS": Command(basics.start_tls, _BEFORE, tells_changes=False),
    "LOGIN": Command(basics.login, _BEFORE),
    "AUTHENTICATE": Command(basics.authenticate, _BEFORE),
    "ENABLE": Command(basics.enable, _AFTER),
    "COMPRESS": Command(basics.compress, _AFTER),
    "NAMESPACE": Command(basics.namespace, _AFTER),
    "IDLE": Command(basics.idle, _AFTER),
    "NOTIFY": Command(notifying.notify, _AFTER),
    "LIST": Command(listing.list_, _AFTER),
    "LSUB": Command(listing.lsub, _AFTER),
    "GETQUOTA": Command(quota.get_quota, _AFTER),
    "GETQUOTAROOT": Command(quota.get_quota_root, _AFTER),
    "STATUS": Command(mailboxes.status, _AFTER),
    "CREATE": Command(mailboxes.create, _AFTER),
    "DELETE": Command(mailboxes.delete, _AFTER),
    "RENAME": Command(mailboxes.rename, _AFTER),
    "SUBSCRIBE": Command(mailboxes.subscribe, _AFTER),
    "UNSUBSCRIBE": Command(mailboxes.unsubscribe, _AFTER),
    "APPEND": Command(append.append, _AFTER, tells_changes=False),
    "REPLACE": Command(append.replace, _SELECTED),
    "UID REPLACE": Command(append.uid_replace, _SELECTED),
    "SELECT": Command(select.select, _AFTER, tells_changes=False),
    "EXAMINE": Command(select.examine, _AFTER, tells_changes=False),
    "UNSELECT": Command(select.unselect, _SELECTED, tells_changes=False),
    "CLOSE": Command(select.close, _SELECTED, tells_changes=False),
    "CHECK": Command(select.check, _SELECTED),
    "EXPUNGE": Command(select.expunge, _SELECTED),
    "UID EXPUNGE": Command(select.uid_expunge, _SELECTED),
    "SEARCH": Command(search.search, _SELECTED, tells_expunged=False),
    "UID SEARCH": Command(search.uid_search, _SELECTED),
    "SORT": Command(sort.sort, _SELECTED, tells_expunged=False),
    "UID SORT": Command(sort.uid_sort, _SELECTED),
    "THREAD": Command(thread.thread, _SELECTED, tells_expunged=False),
    "UID THREAD": Command(thread.uid_thread, _SELECTED),
    "UIDBATCHES": Command(uidbatches.uid_batches, _SELECTED),
    "FETCH": Command(fetch.fetch, _SELECTED, tells_expunged=False),
    "UID FETCH": Command(fetch.uid_fetch, _SELECTED),
    "STORE": Command(flags.store, _SELECTED, tells_expunged=False),
    "UID STORE": Command(flags.uid_store, _SELECTED),
    "COPY": Command(copy.copy, _SELECTED),
    "UID COPY": Command(copy.uid_copy, _SELECTED),
    "MOVE": Command(copy.move, _SELECTED),
    "UID MOVE": Command(copy.uid_move, _SELECTED),
}
