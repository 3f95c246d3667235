"""SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE, APPEND, SEARCH, FETCH, STORE, COPY, MOVE (RFC 3501, 3691, 4315, 6851)."""

from collections.abc import Iterable, Sequence

from mailward.access.imap.rendering import Renderer, Row
from mailward.access.imap.searching import search as find
from mailward.access.imap.selected import Selected
from mailward.access.imap.session import No, Session, State, flag_list
from mailward.api.hooks import MessageMoved
from mailward.model.ids import Uid
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.fetch import FetchItems, read_fetch_items
from mailward.protocol.imap.names import decode_name
from mailward.protocol.imap.search import UnknownCharset, read_search
from mailward.store.base import Append, Copy, Expunge, MailboxInfo, NoSuchMailbox, OpResult, SetFlags

FETCH_BATCH = 128
MAX_LEARNT_OCTETS = 2 * 1024 * 1024
"""Larger messages are not handed to the plugins that learn from moves."""


async def select(session: Session, arguments: Arguments) -> str:
    return await _select(session, arguments, read_only=False)


async def examine(session: Session, arguments: Arguments) -> str:
    return await _select(session, arguments, read_only=True)


async def _select(session: Session, arguments: Arguments, *, read_only: bool) -> str:
    arguments.space()
    name = decode_name(arguments.astring())
    arguments.end()
    _unselect(session)  # also when it then fails (RFC 3501 section 6.3.1)
    info = await session.blocking(lambda: session.store.mailbox(name))
    view = await session.blocking(lambda: session.store.view(info.id))
    selected = session.selected = Selected(view, read_only=read_only)
    session.state = State.SELECTED
    session.untagged(b"FLAGS (%b)" % flag_list(selected))
    session.write(b"* %d EXISTS\r\n* 0 RECENT\r\n" % len(selected))
    seen = selected.bit_of("\\Seen")
    unseen = next((number for number, value in enumerate(selected.flags, 1) if not value & seen), None)
    if unseen is not None:
        session.untagged(f"OK [UNSEEN {unseen}] First unseen message")
    permanent = b"" if read_only else flag_list(selected) + b" \\*"
    session.untagged(b"OK [PERMANENTFLAGS (%b)] Flags that are kept" % permanent)
    session.untagged(f"OK [UIDVALIDITY {view.mailbox.uidvalidity}] UIDs are valid")
    session.untagged(f"OK [UIDNEXT {view.mailbox.uidnext}] The next UID")
    return f"[{'READ-ONLY' if read_only else 'READ-WRITE'}] {'EXAMINE' if read_only else 'SELECT'} completed"


def _unselect(session: Session) -> None:
    session.selected = None
    session.state = State.AUTHENTICATED


async def unselect(session: Session, arguments: Arguments) -> str:
    arguments.end()
    _unselect(session)
    return ""


async def close(session: Session, arguments: Arguments) -> str:
    arguments.end()
    if not session.mailbox.read_only:
        await _expunge(session, _deleted(session.mailbox))
    _unselect(session)
    return ""


async def expunge(session: Session, arguments: Arguments) -> str:
    arguments.end()
    _writable(session)
    await session.tell_changes(expunge=True)
    await _expunge(session, _deleted(session.mailbox))
    return ""


async def uid_expunge(session: Session, arguments: Arguments) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.end()
    selected = _writable(session)
    wanted = set(selected.uids_at(selected.indexes(numbers, uid=True)))
    await _expunge(session, [uid for uid in _deleted(selected) if uid in wanted])
    return ""


def _deleted(selected: Selected) -> list[Uid]:
    mask = selected.bit_of("\\Deleted")
    return [Uid(uid) for uid, value in zip(selected.uids, selected.flags, strict=True) if value & mask]


async def _expunge(session: Session, uids: Sequence[Uid]) -> None:
    if uids:
        op = Expunge(session.mailbox.info.id, tuple(uids))
        await session.blocking(lambda: session.store.apply([op]))


def _writable(session: Session) -> Selected:
    if session.mailbox.read_only:
        raise No("The mailbox is selected read-only", "CANNOT")
    return session.mailbox


async def check(session: Session, arguments: Arguments) -> str:
    """Everything is durable already."""
    arguments.end()
    return ""


async def append(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = decode_name(arguments.astring())
    arguments.space()
    flags: tuple[str, ...] = ()
    if arguments.looks_like(b"("):
        flags = arguments.flags()
        arguments.space()
    at = session.desk.now()
    if arguments.looks_like(b'"'):
        at = arguments.date_time()
        arguments.space()
    octets = arguments.message()
    arguments.end()
    if b"\x00" in octets:
        raise No("NUL cannot be stored without BINARY", "CANNOT")
    try:
        info = await session.blocking(lambda: session.store.mailbox(name))
    except NoSuchMailbox as error:
        raise No(str(error), "TRYCREATE") from error
    op = Append(info.id, _with_crlf(octets), at, flags)
    (result,) = await session.blocking(lambda: session.store.apply([op]))
    return f"[APPENDUID {result.uidvalidity} {result.uids[0]}] APPEND completed"


def _with_crlf(octets: bytes) -> bytes:
    """Stored messages have CRLF line ends whatever the client wrote."""
    if octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r"):
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


async def search(session: Session, arguments: Arguments) -> str:
    return await _search(session, arguments, uid=False)


async def uid_search(session: Session, arguments: Arguments) -> str:
    return await _search(session, arguments, uid=True)


async def _search(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    try:
        key = read_search(arguments)
    except UnknownCharset:
        raise No("That charset is not known here", "BADCHARSET (US-ASCII UTF-8)") from None
    selected = session.mailbox
    try:
        places = await session.blocking(lambda: find(session.store, selected, key, session.desk.now()))
    except IndexError:
        raise BadSyntax("There is no message of that number") from None
    numbers: Iterable[int] = (selected.uids[place] for place in places) if uid else (place + 1 for place in places)
    session.untagged(" ".join(["SEARCH", *map(str, numbers)]))
    return ""


async def fetch(session: Session, arguments: Arguments) -> str:
    return await _fetch(session, arguments, uid=False)


async def uid_fetch(session: Session, arguments: Arguments) -> str:
    return await _fetch(session, arguments, uid=True)


async def _fetch(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.space()
    items = read_fetch_items(arguments)
    arguments.end()
    if uid:
        items = items.with_uid()
        await session.tell_changes(expunge=False)  # UIDs that appeared meanwhile can be asked for
    selected = session.mailbox
    places = _places(selected, numbers, uid)
    renderer = Renderer(session.store, items)
    for start in range(0, len(places), FETCH_BATCH):
        rows = [_row(selected, place) for place in places[start : start + FETCH_BATCH]]
        octets = renderer.render(rows) if _is_light(items) else await session.blocking(lambda rows=rows: renderer.render(rows))  # type: ignore[misc]
        session.write(octets)
        await session.flush()
    if items.marks_seen and not selected.read_only:
        await _mark_seen(session, places)
    return ""


def _is_light(items: FetchItems) -> bool:
    """Answered from arrays, without the store."""
    return all(item in ("FLAGS", "UID") for item in items.items)


def _row(selected: Selected, place: int) -> Row:
    return Row(place + 1, selected.uids[place], selected.messages[place], selected.flag_names(selected.flags[place]))


def _places(selected: Selected, numbers, uid: bool) -> Sequence[int]:  # type: ignore[no-untyped-def]
    try:
        return selected.indexes(numbers, uid=uid)
    except IndexError:
        raise BadSyntax("There is no message of that number") from None


async def _mark_seen(session: Session, places: Sequence[int]) -> None:
    """One op at the end of the command; the answer tells the new flags."""
    selected = session.mailbox
    seen = selected.bit_of("\\Seen")
    uids = tuple(Uid(selected.uids[place]) for place in places if not selected.flags[place] & seen)
    if uids:
        op = SetFlags(selected.info.id, uids, "add", ("\\Seen",))
        await session.blocking(lambda: session.store.apply([op]))


async def store(session: Session, arguments: Arguments) -> str:
    return await _store(session, arguments, uid=False)


async def uid_store(session: Session, arguments: Arguments) -> str:
    return await _store(session, arguments, uid=True)


async def _store(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.space()
    mode = "add" if arguments.take(b"+") else "remove" if arguments.take(b"-") else "replace"
    arguments.expect(b"FLAGS")
    silent = arguments.take(b".SILENT")
    arguments.space()
    flags = arguments.flags()
    arguments.end()
    selected = _writable(session)
    if uid:
        await session.tell_changes(expunge=False)
    uids = selected.uids_at(_places(selected, numbers, uid))
    if not uids:
        return ""
    before = {u: selected.flags[place] for u in uids if (place := selected.index_of(u)) is not None}
    op = SetFlags(selected.info.id, uids, mode, flags)  # type: ignore[arg-type]
    await session.blocking(lambda: session.store.apply([op]))
    await session.tell_changes(expunge=False, silent=frozenset(uids) if silent else frozenset(), with_uid=uid)
    if not silent:  # also tell those whose flags were so already: the client waits for an answer for each
        for u, value in before.items():
            place = selected.index_of(u)
            if place is not None and selected.flags[place] == value:
                prefix = b"UID %d " % u if uid else b""
                session.write(b"* %d FETCH (%bFLAGS (%b))\r\n" % (place + 1, prefix, selected.flag_names(value)))
    return ""


async def copy(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=False, move=False)


async def uid_copy(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=True, move=False)


async def move(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=False, move=True)


async def uid_move(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=True, move=True)


async def _copy(session: Session, arguments: Arguments, *, uid: bool, move: bool) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.space()
    name = decode_name(arguments.astring())
    arguments.end()
    selected = _writable(session) if move else session.mailbox
    try:
        target = await session.blocking(lambda: session.store.mailbox(name))
    except NoSuchMailbox as error:
        raise No(str(error), "TRYCREATE") from error
    uids = selected.uids_at(_places(selected, numbers, uid))
    done = f"{'MOVE' if move else 'COPY'} completed"
    if not uids:
        return done
    op = Copy(selected.info.id, uids, target.id, move)
    (result,) = await session.blocking(lambda: session.store.apply([op]))
    await _tell_plugins(session, selected, target, result)
    if not result.uids:
        return done
    code = f"[COPYUID {result.uidvalidity} {_set_text(result.sources)} {_set_text(result.uids)}]"
    if move:
        session.untagged(f"OK {code} Moved")  # before the EXPUNGEs (RFC 6851 section 4.3)
        return done
    return f"{code} {done}"


async def _tell_plugins(session: Session, selected: Selected, target: MailboxInfo, result: OpResult) -> None:
    """Only moves into and out of Junk teach anything; so only those messages are read again."""
    from_junk, to_junk = selected.info.special_use == "\\Junk", target.special_use == "\\Junk"
    if from_junk == to_junk or session.account is None:
        return
    for uid in result.sources:
        place = selected.index_of(uid)
        if place is None:
            continue
        message = selected.messages[place]
        ((size_octets,),) = await session.blocking(lambda m=message: list(session.store.meta([m], ("size_octets",))))  # type: ignore[misc]
        if int(size_octets) > MAX_LEARNT_OCTETS:
            continue
        octets = await session.blocking(lambda m=message: session.store.read(m))  # type: ignore[misc]
        session.desk.moved(
            MessageMoved(
                account=session.account,
                source=selected.info.name,
                target=target.name,
                octets=octets,
                source_is_junk=from_junk,
                target_is_junk=to_junk,
                target_is_trash=target.special_use == "\\Trash",
            )
        )


def _set_text(numbers: Sequence[int]) -> str:
    """Numbers in the given order as a set, runs joined."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in parts)
