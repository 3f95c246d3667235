"""When is the admin's script run? After APPEND, REPLACE, COPY and MOVE, and where STORE or FETCH have changed flags.

What the script itself does comes by no command, so it is never run for that (RFC 6785 section 6).
"""

from collections import defaultdict
from collections.abc import Sequence

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


def hears_of_flags(session: Session) -> bool:
    """STORE is frequent, and what has changed not worked out for nobody."""
    return session.desk.scripts is not None and "FLAG" in session.desk.scripts.causes


def differences(selected: Selected, places: Sequence[int], before: Sequence[int], bits: int | None) -> dict[int, list[int]]:
    """Flags were stored: the UIDs of messages by which flags are different. before: the flags value at each of the places. bits:
    that the command could change; None for all."""
    alike: defaultdict[int, list[int]] = defaultdict(list)
    for place, value in zip(places, before, strict=True):
        if difference := (selected.flags[place] ^ value) & (~0 if bits is None else bits):
            alike[difference].append(selected.uids[place])
    return alike


def tell_changed(session: Session, selected: Selected, alike: dict[int, list[int]]) -> None:
    """As `differences` says."""
    for difference, uids in alike.items():
        tell(session, "FLAG", session.here, uids, names_of(difference, selected.keywords))
