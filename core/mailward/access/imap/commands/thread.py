"""THREAD and UID THREAD (RFC 5256), by ORDEREDSUBJECT, REFERENCES and Dovecot's REFS."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from mailward.access.imap.contents import Contents
from mailward.access.imap.found import contents_of, find
from mailward.access.imap.selected import taken
from mailward.access.imap.session import Session
from mailward.access.imap.sorting import texts_of_column
from mailward.access.imap.threads import (
    Trees,
    by_references,
    by_subject,
    join_by_subject,
    sort_by_date,
    sort_by_latest,
    written,
)
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.search import Returns, read_keys


async def thread(session: Session, arguments: Arguments) -> str:
    return await _thread(session, arguments, uid=False)


async def uid_thread(session: Session, arguments: Arguments) -> str:
    return await _thread(session, arguments, uid=True)


async def _thread(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    name = arguments.atom()
    algorithm = _ALGORITHMS.get(name)
    if algorithm is None:
        raise BadSyntax("There is no such threading algorithm")
    arguments.space()
    places = (await find(session, arguments, read_keys, Returns(), uid=uid)).places
    contents = contents_of(session)

    def threads() -> bytes:
        numbers = taken(contents.selected.uids, places) if uid else [place + 1 for place in places]
        return written(algorithm(contents, places), numbers).encode("ascii")

    if uid:  # a client that lists by threads asks whenever it looks for new mail
        found = await session.blocking(lambda: contents.once(f"thread {name}", places, threads))
    else:
        found = await session.blocking(threads)
    session.untagged(f"THREAD {found.decode('ascii')}".rstrip())
    return ""


def _ordered_subject(contents: Contents, places: Sequence[int]) -> Trees:
    return by_subject(_subjects(contents, places), _dates(contents, places))


def _references(contents: Contents, places: Sequence[int]) -> Trees:
    dates = _dates(contents, places)
    trees = by_references(_ids(contents, places))
    sort_by_date(trees, dates)

    def answers(some: Sequence[int]) -> set[int]:
        said = contents.numbers("is_answer", [places[at] for at in some])
        return {at for at, is_answer in zip(some, said, strict=True) if is_answer}

    join_by_subject(trees, _subjects(contents, places), answers)
    sort_by_date(trees, dates)
    return trees


def _refs(contents: Contents, places: Sequence[int]) -> Trees:
    """As REFERENCES, but no threads are joined by subject, and the thread that was added to last stands last."""
    dates = _dates(contents, places)
    trees = by_references(_ids(contents, places))
    sort_by_date(trees, dates)
    sort_by_latest(trees, dates)
    return trees


def _dates(contents: Contents, places: Sequence[int]) -> Sequence[int]:
    return [*contents.numbers("sent_date", places)]


def _subjects(contents: Contents, places: Sequence[int]) -> Sequence[str]:
    return [*contents.values("subject_key", partial(texts_of_column, contents.store, "subject_key"), places)]


def _ids(contents: Contents, places: Sequence[int]) -> Sequence[bytes]:
    def read(messages: Sequence[int]) -> Iterator[bytes]:
        return (ids for (ids,) in contents.store.meta(messages, ("ids",)) if isinstance(ids, bytes))

    return [*contents.values("ids", read, places)]


_ALGORITHMS: Mapping[str, Callable[[Contents, Sequence[int]], Trees]] = {
    "ORDEREDSUBJECT": _ordered_subject,
    "REFERENCES": _references,
    "REFS": _refs,
}
