"""How a command ended that was not carried out, as its tagged reply says it: BAD, or NO with a code of RFC 5530."""

import structlog

from mailward.access.imap.reach import NoPermission
from mailward.access.imap.working import No
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import BadSyntax
from mailward.protocol.imap.names import NameRefused
from mailward.store.ops import MAX_ANNOTATION_OCTETS
from mailward.store.refusals import (
    AnnotationTooLong,
    MailboxExists,
    MailboxFull,
    NoSuchMailbox,
    NotPermitted,
    OverQuota,
    SpecialUseRefused,
    StoreRefusal,
    TooMany,
    TooManyAnnotations,
)

log = structlog.get_logger("mailward.imap")

_CODES: dict[type[StoreRefusal], str] = {
    NoPermission: "NOPERM",
    TooMany: "LIMIT",
    MailboxFull: "LIMIT",
    NoSuchMailbox: "NONEXISTENT",
    MailboxExists: "ALREADYEXISTS",
    NotPermitted: "CANNOT",
    SpecialUseRefused: "USEATTR",
    OverQuota: "OVERQUOTA",
    TooManyAnnotations: "METADATA TOOMANY",
    AnnotationTooLong: f"METADATA MAXSIZE {MAX_ANNOTATION_OCTETS}",
}


def outcome_of(error: Exception, *, command: str, account: AccountId | None) -> bytes:
    """What follows the tag. What is no fault of the client is logged, and he hears nothing of what is inside."""
    match error:
        case BadSyntax():
            return f"BAD {error}".encode("ascii", "replace")
        case No():
            return _no(error.code, str(error))
        case NameRefused():
            return _no("CANNOT", str(error))
        case StoreRefusal():
            return _no(_CODES.get(type(error), ""), str(error))
        case StorageError(permanent=True):
            log.error("storage error", command=command, account=account, error=str(error))
            return _no("CORRUPTION", "What is stored cannot be read until the admin mends it")
        case StorageError():
            log.error("storage error", command=command, account=account, error=str(error))
            return _no("UNAVAILABLE", "Temporary problem, please try again later")
        case _:
            log.error("unforeseen failure", command=command, account=account, exc_info=error)
            return _no("SERVERBUG", "Temporary problem, please try again later")


def _no(code: str, text: str) -> bytes:
    return (f"NO [{code}] {text}" if code else f"NO {text}").encode("ascii", "replace")
