"""When is the admin's script run? After APPEND, REPLACE, COPY and MOVE, and where STORE or FETCH have changed flags.

What the script itself does comes by no command, so it is never run for that (RFC 6785 section 6).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mailward.access.imap.reach import Reached
from mailward.access.imap.selected import Selected
from mailward.access.imap.session import Session
from mailward.store.events import Cause, Event
from mailward.store.flags import names_of


def tell(session: Session, cause: Cause, mailbox: Reached, uids: Sequence[int], flags: tuple[str, ...] = ()) -> None:
    """Messages came into a mailbox, or have changed there."""
    scripts, identity = session.desk.scripts, session.identity
    if scripts is not None and identity is not None and cause in scripts.causes:
        scripts.happened(Event(cause, identity, mailbox.owner, mailbox.store, mailbox.info.id, mailbox.name_there, uids, flags))


def changed(session: Session, selected: Selected, before: Iterable[tuple[int, int]], bits: int | None = None) -> None:
    """Flags were stored. before: (place, flags value) of each message. bits: that the command could change; None for all."""
    if session.desk.scripts is None or "FLAG" not in session.desk.scripts.causes:
        return  # STORE is frequent
    alike: defaultdict[int, list[int]] = defaultdict(list)
    for place, value in before:
        alike[(selected.flags[place] ^ value) & (~0 if bits is None else bits)].append(selected.uids[place])
    for difference, uids in alike.items():
        if difference:
            tell(session, "FLAG", session.here, uids, names_of(difference, selected.keywords))
