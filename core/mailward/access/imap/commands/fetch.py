"""FETCH and UID FETCH (RFC 3501 section 6.4.5, CHANGEDSINCE of RFC 7162, PARTIAL of RFC 9394): answers leave as they are made.

\\Seen is set in one op at the end.
"""

from collections.abc import Collection, Sequence

from mailward.access.imap.rendering import Plan
from mailward.access.imap.scripting import tell
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.model.ids import Uid
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.condstore import read_fetch_modifiers
from mailward.protocol.imap.fetch import read_fetch_items
from mailward.store.flags import SEEN
from mailward.store.ops import SetFlags


async def fetch(session: Session, arguments: Arguments) -> str:
    return await _fetch(session, arguments, uid=False)


async def uid_fetch(session: Session, arguments: Arguments) -> str:
    return await _fetch(session, arguments, uid=True)


async def _fetch(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.space()
    items = read_fetch_items(arguments)
    modifiers = read_fetch_modifiers(arguments)
    arguments.end()
    since = modifiers.changed_since
    if modifiers.vanished and not (uid and "QRESYNC" in session.enabled):
        raise BadSyntax("VANISHED is for UID FETCH once QRESYNC is enabled")
    if modifiers.page is not None and not uid:
        raise BadSyntax("PARTIAL is for UID FETCH")
    if since is not None or "MODSEQ" in items.items:
        session.enable_condstore()
    places = await session.places(numbers, uid=uid)
    if since is not None:
        modseqs, known = session.mailbox.modseqs, places
        places = await session.worked_out(lambda: [place for place in known if modseqs[place] > since], len(known))
        items = items.having("MODSEQ")
        if modifiers.vanished:
            await session.tell_vanished(since, numbers)
    if modifiers.page is not None:
        places = modifiers.page.of(places)
    plan = Plan(items.having("UID") if uid else items, utf8=session.speaks_utf8, whose=session.here.whose)
    pieces = plan.pieces(session.store, session.mailbox, places)
    if plan.asks_store or not session.is_few(len(places)):
        await session.send_pieces(pieces)
    else:
        session.write(b"".join(pieces))
    if items.marks_seen and not session.mailbox.read_only and "s" in session.here.rights:
        await _mark_seen(session, places, plan.left_out.unreadable)
    left_out = plan.left_out
    if left_out.unreadable:
        raise No(f"{len(left_out.unreadable)} of the messages could not be read", "SERVERBUG")
    if left_out.undecodable:
        raise No(f"{left_out.undecodable} of the messages are in an encoding that is not known here", "UNKNOWN-CTE")
    if left_out.expunged:
        raise No(f"{left_out.expunged} of the messages have been expunged", "EXPUNGEISSUED")
    return ""


async def _mark_seen(session: Session, places: Sequence[int], unreadable: Collection[int]) -> None:
    """The news that follow every command tell the new flags. unreadable: messages that nobody has seen."""
    selected = session.mailbox
    unseen = (
        Uid(selected.uids[place])
        for place in places
        if not selected.flags[place] & SEEN and selected.messages[place] not in unreadable
    )
    uids = await session.worked_out(lambda: tuple(unseen), len(places))
    if uids:
        op = SetFlags(selected.info.id, uids, "add", ("\\Seen",))
        await session.blocking(lambda: session.store.apply([op]))
        tell(session, "FLAG", session.here, uids, ("\\Seen",))
