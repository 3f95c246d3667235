"""THREAD and UID THREAD (RFC 5256), by ORDEREDSUBJECT, REFERENCES and Dovecot's REFS."""

from collections.abc import Callable, Mapping, Sequence

from mailward.access.imap.envelopes import subject
from mailward.access.imap.search import find
from mailward.access.imap.selected import taken
from mailward.access.imap.session import Session
from mailward.access.imap.threads import (
    Node,
    by_references,
    by_subject,
    joined_by_subject,
    sort_by_date,
    sort_by_latest,
    written,
)
from mailward.formats.subjects import base_subject
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.search import Returns, read_keys
from mailward.store.base import AccountStore


async def thread(session: Session, arguments: Arguments) -> str:
    return await _thread(session, arguments, uid=False)


async def uid_thread(session: Session, arguments: Arguments) -> str:
    return await _thread(session, arguments, uid=True)


async def _thread(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    algorithm = _ALGORITHMS.get(arguments.atom())
    if algorithm is None:
        raise BadSyntax("There is no such threading algorithm")
    arguments.space()
    places = (await find(session, arguments, read_keys, Returns(), uid=uid)).places
    selected, store = session.mailbox, session.store
    numbers = taken(selected.uids, places) if uid else [place + 1 for place in places]

    def threads() -> str:
        return written(algorithm(store, taken(selected.messages, places)), numbers)

    session.untagged(f"THREAD {await session.blocking(threads)}".rstrip())
    return ""


def _ordered_subject(store: AccountStore, messages: Sequence[int]) -> list[Node]:
    rows = list(store.meta(messages, ("subject_key", "sent_date")))
    return by_subject([str(row[0]) for row in rows], [int(row[1]) for row in rows])


def _references(store: AccountStore, messages: Sequence[int]) -> list[Node]:
    rows = list(store.meta(messages, ("ids", "sent_date", "subject_key")))
    dates = [int(row[1]) for row in rows]
    roots = by_references([row[0] for row in rows if isinstance(row[0], bytes)])
    sort_by_date(roots, dates)

    def answers(some: Sequence[int]) -> set[int]:
        envelopes = store.meta([messages[at] for at in some], ("envelope",))
        pairs = [(at, envelope) for at, (envelope,) in zip(some, envelopes, strict=True) if isinstance(envelope, bytes)]
        return {at for at, envelope in pairs if base_subject(subject(envelope)).is_answer}

    roots = joined_by_subject(roots, [str(row[2]) for row in rows], answers)
    sort_by_date(roots, dates)
    return roots


def _refs(store: AccountStore, messages: Sequence[int]) -> list[Node]:
    """As REFERENCES, but no threads are joined by subject, and the thread that was added to last stands last."""
    rows = list(store.meta(messages, ("ids", "sent_date")))
    dates = [int(row[1]) for row in rows]
    roots = by_references([row[0] for row in rows if isinstance(row[0], bytes)])
    sort_by_date(roots, dates)
    sort_by_latest(roots, dates)
    return roots


_ALGORITHMS: Mapping[str, Callable[[AccountStore, Sequence[int]], list[Node]]] = {
    "ORDEREDSUBJECT": _ordered_subject,
    "REFERENCES": _references,
    "REFS": _refs,
}
