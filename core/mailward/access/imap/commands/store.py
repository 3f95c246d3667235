"""STORE and UID STORE (RFC 3501 section 6.4.6, UNCHANGEDSINCE of RFC 7162)."""

from collections.abc import Iterator, Sequence

from mailward.access.imap.learning import says_junk_or_not, teach_keywords
from mailward.access.imap.rights import settable, untouchable
from mailward.access.imap.scripting import changed
from mailward.access.imap.selected import Selected, taken
from mailward.access.imap.session import Session
from mailward.protocol.imap.arguments import Arguments, set_text
from mailward.protocol.imap.condstore import read_unchanged_since
from mailward.store.flags import FlagChange, mask_of
from mailward.store.ops import Mode, SetFlags


async def store(session: Session, arguments: Arguments) -> str:
    return await _store(session, arguments, uid=False)


async def uid_store(session: Session, arguments: Arguments) -> str:
    return await _store(session, arguments, uid=True)


async def _store(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.space()
    unchanged_since = read_unchanged_since(arguments)
    mode: Mode = "add" if arguments.take(b"+") else "remove" if arguments.take(b"-") else "replace"
    arguments.expect(b"FLAGS")
    silent = arguments.take(b".SILENT")
    arguments.space()
    flags = arguments.flags()
    arguments.end()
    selected, rights = session.writable, session.here.rights
    may_all, allowed = rights.issuperset("swt"), settable(flags, rights)
    if not (allowed or may_all or (mode == "replace" and not rights.isdisjoint("swt"))):
        session.here.need("swt")
    if unchanged_since is not None:
        session.enable_condstore()
    heard = frozenset[int]()
    if uid and numbers.reaches(selected.uidnext):  # UIDs that have appeared meanwhile can be used
        heard = await session.tell_changes(expunge=False)
    places = session.places_now(numbers, uid=uid)
    if not places:
        await session.tell_outcome(expunge=uid)
        return ""
    # Of several flags those that may be set are set, since clients make little of a NO (RFC 4314 section 4).
    op = SetFlags(selected.info.id, selected.uids_at(places), mode, allowed, unchanged_since, untouchable(rights))
    values = taken(selected.flags, places)
    (result,) = await session.blocking(lambda: session.store.apply([op]))
    is_plain = may_all and not heard and unchanged_since is None and not session.tells_modseq
    if is_plain and selected.take_own(result, places, mode, flags):
        if says_junk_or_not(flags):
            teach_keywords(session, selected, list(zip(places, values, strict=True)))
        changed(session, selected, zip(places, values, strict=True))
        if not silent:
            await session.tell_lines((session.flags_line(selected, place) for place in places), len(places))
        return ""  # and there is no other news
    before = [(selected.uids[place], value) for place, value in zip(places, values, strict=True)]
    if result.refused:
        refused = set(result.refused)
        before = [(number, value) for number, value in before if number not in refused]
        places = [place for place in places if selected.uids[place] not in refused]
    modseqs = [selected.modseqs[place] for place in places]
    # A client that hears of other flags before the reply cannot know which of the two came first, so it is told the outcome too.
    taken_for = [pair for place, pair in zip(places, before, strict=True) if silent and may_all and place not in heard]
    expected = _expected(selected, taken_for, mode, flags)
    was_told = await session.tell_outcome(expunge=False, silent=expected)
    if says_junk_or_not(flags):
        teach_keywords(session, selected, [(place, value) for place, (_, value) in zip(places, before, strict=True)])
    bits = None if mode == "replace" else mask_of(flags, selected.keywords)  # others may have changed more
    changed(session, selected, ((place, value) for place, (_, value) in zip(places, before, strict=True)), bits)

    def not_told() -> Iterator[bytes]:
        for place, (number, value), modseq in zip(places, before, modseqs, strict=True):
            told = selected.modseqs[place] != modseq if session.tells_modseq else selected.flags[place] != value
            known = expected.get(number) == selected.flags[place]
            if not told and (not known or unchanged_since is not None):
                # The client waits for an answer, or for the MODSEQ, or takes the flags to be what it stored.
                yield session.flags_line(selected, place, known=known)

    if was_told:
        await session.tell_lines(not_told(), len(places))
    found = [place + 1 for place in map(selected.index_of, result.refused) if place is not None]
    await session.tell_outcome(expunge=uid)
    if not result.refused:
        return ""
    return f"[MODIFIED {set_text(result.refused if uid else found)}] Messages that were changed by others are as they were"


def _expected(selected: Selected, before: Sequence[tuple[int, int]], mode: Mode, flags: tuple[str, ...]) -> dict[int, int]:
    """What the client takes each message's flags to be; it is told where another session has made them different.

    A keyword that is new to the mailbox has no bit yet, so then it is told once too often, which does no harm.
    """
    change = FlagChange.of(mode, mask_of(flags, selected.keywords))
    return {uid: change.one(value) for uid, value in before}
