"""STORE and UID STORE (RFC 3501 section 6.4.6, UNCHANGEDSINCE of RFC 7162)."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mailward.access.imap.learning import newly_said, says_junk_or_not, teach_keywords
from mailward.access.imap.rights import settable, untouchable
from mailward.access.imap.scripting import differences, hears_of_flags, tell_changed
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
    places = await session.known_places(numbers, uid=uid)
    if not places:
        await session.tell_outcome(expunge=uid)
        return ""
    # Of several flags those that may be set are set, since clients make little of a NO (RFC 4314 section 4).
    op = SetFlags(selected.info.id, selected.uids_at(places), mode, allowed, unchanged_since, untouchable(rights))
    values = taken(selected.flags, places)
    (result,) = await session.blocking(lambda: session.store.apply([op]))
    if may_all and not heard and unchanged_since is None and not session.tells_modseq and not session.contexts:
        asked = places
        many = len(selected) if selected.is_long_to_change() else len(places)
        if await session.worked_out(lambda: selected.take_own(result, asked, mode, flags), many):
            await _hand_on(session, selected, places, values, flags)
            if not silent:
                await session.tell_lines((session.flags_line(selected, place) for place in places), len(places))
            return ""  # and there is no other news
    stored = await session.worked_out(lambda: _stored(selected, places, values, result.refused), len(places))
    # A client that hears of other flags before the reply cannot know which of the two came first, so it is told the outcome too.
    expected = dict[int, int]()
    if silent and may_all:
        expected = await session.worked_out(lambda: _expected(selected, stored, heard, mode, flags), len(places))
    was_told = await session.tell_outcome(expunge=False, silent=expected)
    bits = None if mode == "replace" else mask_of(flags, selected.keywords)  # others may have changed more
    await _hand_on(session, selected, stored.places, stored.values, flags, bits)

    def not_told() -> Iterator[bytes]:
        for place, value, modseq in zip(stored.places, stored.values, stored.modseqs, strict=True):
            told = selected.modseqs[place] != modseq if session.tells_modseq else selected.flags[place] != value
            known = expected.get(selected.uids[place]) == selected.flags[place]
            if not told and (not known or unchanged_since is not None):
                # The client waits for an answer, or for the MODSEQ, or takes the flags to be what it stored.
                yield session.flags_line(selected, place, known=known)

    if was_told:
        await session.tell_lines(not_told(), len(places))
    modified = await session.worked_out(lambda: _set_of(selected, result.refused, uid=uid), len(result.refused))
    await session.tell_outcome(expunge=uid)
    return f"[MODIFIED {modified}] Messages that were changed by others are as they were" if result.refused else ""


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where flags were stored: places, and the flags values and MODSEQs that the session knew there before, equally long."""

    places: Sequence[int]
    values: Sequence[int]
    modseqs: Sequence[int]


def _stored(selected: Selected, places: Sequence[int], values: Sequence[int], refused: Sequence[int]) -> _Stored:
    """refused: UIDs among those places."""
    if refused:
        without = set(refused)
        kept = [(place, value) for place, value in zip(places, values, strict=True) if selected.uids[place] not in without]
        places, values = [place for place, _ in kept], [value for _, value in kept]
    return _Stored(places, values, taken(selected.modseqs, places))


def _expected(selected: Selected, stored: _Stored, heard: Collection[int], mode: Mode, flags: tuple[str, ...]) -> dict[int, int]:
    """What the client takes each message's flags to be, by UID, but at the places that it has just heard of; it is told where
    another session has made them different.

    A keyword that is new to the mailbox has no bit yet, so then it is told once too often, which does no harm.
    """
    change = FlagChange.of(mode, mask_of(flags, selected.keywords))
    pairs = zip(stored.places, stored.values, strict=True)
    return {selected.uids[place]: change.one(value) for place, value in pairs if place not in heard}


async def _hand_on(
    session: Session,
    selected: Selected,
    places: Sequence[int],
    before: Sequence[int],
    flags: tuple[str, ...],
    bits: int | None = None,
) -> None:
    """To what learns from keywords, and to the admin's script. before: the flags value at each place. bits: as of
    `scripting.differences`."""
    if says_junk_or_not(flags):
        teach_keywords(session, await session.worked_out(lambda: newly_said(selected, places, before), len(places)))
    if hears_of_flags(session):
        alike = await session.worked_out(lambda: differences(selected, places, before, bits), len(places))
        tell_changed(session, selected, alike)


def _set_of(selected: Selected, uids: Sequence[int], *, uid: bool) -> str:
    """As the client names messages."""
    return set_text(uids if uid else [place + 1 for place in map(selected.index_of, uids) if place is not None])
