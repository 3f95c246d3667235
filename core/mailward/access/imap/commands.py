"""The table of commands: which exist, in which states, and whether news of the mailbox may follow."""

from collections.abc import Mapping

from mailward.access.imap import basics, mailboxes, messages
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
    "NAMESPACE": Command(basics.namespace, _AFTER),
    "IDLE": Command(basics.idle, _AFTER),
    "LIST": Command(mailboxes.list_, _AFTER),
    "LSUB": Command(mailboxes.lsub, _AFTER),
    "STATUS": Command(mailboxes.status, _AFTER),
    "CREATE": Command(mailboxes.create, _AFTER),
    "DELETE": Command(mailboxes.delete, _AFTER),
    "RENAME": Command(mailboxes.rename, _AFTER),
    "SUBSCRIBE": Command(mailboxes.subscribe, _AFTER),
    "UNSUBSCRIBE": Command(mailboxes.unsubscribe, _AFTER),
    "APPEND": Command(messages.append, _AFTER),
    "SELECT": Command(messages.select, _AFTER, tells_changes=False),
    "EXAMINE": Command(messages.examine, _AFTER, tells_changes=False),
    "UNSELECT": Command(messages.unselect, _SELECTED, tells_changes=False),
    "CLOSE": Command(messages.close, _SELECTED, tells_changes=False),
    "CHECK": Command(messages.check, _SELECTED),
    "EXPUNGE": Command(messages.expunge, _SELECTED),
    "UID EXPUNGE": Command(messages.uid_expunge, _SELECTED),
    "SEARCH": Command(messages.search, _SELECTED, tells_expunged=False),
    "UID SEARCH": Command(messages.uid_search, _SELECTED),
    "FETCH": Command(messages.fetch, _SELECTED, tells_expunged=False),
    "UID FETCH": Command(messages.uid_fetch, _SELECTED),
    "STORE": Command(messages.store, _SELECTED, tells_expunged=False),
    "UID STORE": Command(messages.uid_store, _SELECTED),
    "COPY": Command(messages.copy, _SELECTED),
    "UID COPY": Command(messages.uid_copy, _SELECTED),
    "MOVE": Command(messages.move, _SELECTED),
    "UID MOVE": Command(messages.uid_move, _SELECTED),
}
