"""GETMETADATA and SETMETADATA (RFC 5464), and what LIST returns of them (RFC 9590): notes about mailboxes and about the
account, to oneself and for all who share one.

What is /shared lies with the mailbox, what is /private with who wrote it. For the server as a whole there is nothing /shared.
"""

import re
from collections.abc import Mapping, Sequence

from mailward.access.imap.commands.mailboxes import CREATED_USES
from mailward.access.imap.reach import NoPermission, Reached
from mailward.access.imap.rights import Rights
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.formats.imap import string
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.metadata import PRIVATE, SHARED, SPECIAL_USE, Wanted, read_changes, read_wanted
from mailward.store.ops import SERVER, Op, SetAnnotations, SetSpecialUse

_PLAIN = re.compile(rb"[a-z0-9/._-]+")
_Changes = dict[str, bytes | None]
_READING: Rights = frozenset("rswip")
"""Beside the right to know of the mailbox any of these (section 3.3)."""
_WRITING = "w"
"""Beside those, for what all others read: no letter is made for it, and this one is for changing what they see of messages."""


async def get_metadata(session: Session, arguments: Arguments) -> str:
    written, wanted = read_wanted(arguments)
    reached = await _find(session, written)
    entries, longest = await session.blocking(lambda: _answer(session, reached, wanted))
    if entries:
        session.untagged(_line(session, reached, entries))
    return f"[METADATA LONGENTRIES {longest}] Some are longer" if longest else ""


async def set_metadata(session: Session, arguments: Arguments) -> str:
    written, changes = read_changes(arguments)
    reached = await _find(session, written)
    if any(name.startswith(SHARED) for name in changes):
        if reached is None:
            raise No("What is shared by all of the server is not changed by its users", "NOPERM")
        reached.need(_WRITING)
    await session.blocking(lambda: _change(session, reached, changes))
    return ""


async def _find(session: Session, written: bytes) -> Reached | None:
    """None for the server. Raises NoSuchMailbox and NoPermission."""
    if not written:
        return None
    reached = await session.find(session.name_of(written), "l")
    if not _may_read(reached):
        raise NoPermission("The mailbox is shared without the right to do that")
    return reached


def _may_read(reached: Reached) -> bool:
    return not reached.rights.isdisjoint(_READING)


def values_line(session: Session, reached: Reached, names: Sequence[str]) -> bytes:
    """What LIST returns of a mailbox that may be known of, NIL for an entry that is not there (RFC 9590 section 4): what stands
    after "* "; b"" where its entries may not be read. Blocks."""
    if not _may_read(reached):
        return b""
    there = _entries(session, reached)
    return _line(session, reached, _written({name: there.get(name) for name in names}))


def _answer(session: Session, reached: Reached | None, wanted: Wanted) -> tuple[bytes, int]:
    """The entries that are told, and the octets of the longest of those that are too long; 0 for none. Blocks."""
    found = {name: value for name, value in _entries(session, reached).items() if wanted.includes(name)}
    most = wanted.max_octets
    told = {name: value for name, value in found.items() if most is None or len(value) <= most}
    longest = max((len(value) for name, value in found.items() if name not in told), default=0)
    return _written(told), longest


def _entries(session: Session, reached: Reached | None) -> dict[str, bytes]:
    """All that there are."""
    if reached is None:
        return dict(session.own.annotations(SERVER))
    there = reached.store.annotations(reached.info.id)
    if reached.is_own:
        use = reached.info.special_use.encode("ascii")
        return {**there, SPECIAL_USE: use} if use else dict(there)
    ours = session.own.annotations(reached.info.id, reached.owner)
    return {**ours, **{name: value for name, value in there.items() if name.startswith(SHARED)}}


def _change(session: Session, reached: Reached | None, changes: _Changes) -> None:
    """All or nothing, but for those of a mailbox of somebody else: what is shared first, which may be refused for his sake."""
    if reached is None:
        session.reach.note([SetAnnotations(SERVER, tuple(changes.items()))])
        return
    id = reached.info.id
    if reached.is_own:
        noted = tuple((name, value) for name, value in changes.items() if name != SPECIAL_USE)
        ops: list[Op] = [SetAnnotations(id, noted)]
        if SPECIAL_USE in changes:
            ops.append(SetSpecialUse(id, _use(changes[SPECIAL_USE] or b"")))
        session.reach.note(ops)
        return
    if SPECIAL_USE in changes:
        raise No("The mailboxes of others have no special use for you", "USEATTR")
    shared = tuple((name, value) for name, value in changes.items() if name.startswith(SHARED))
    private = tuple((name, value) for name, value in changes.items() if name.startswith(PRIVATE))
    if shared:
        reached.store.apply([SetAnnotations(id, shared)])
    if private:
        session.reach.note([SetAnnotations(id, private, reached.owner)])


def _use(value: bytes) -> str:
    """A mailbox here has one use at most. Raises No."""
    use = value.decode("ascii", "replace")
    if use and use.lower() not in CREATED_USES:
        raise No("A mailbox is one of " + " ".join(CREATED_USES.values()), "USEATTR")
    return CREATED_USES.get(use.lower(), "")


def _line(session: Session, reached: Reached | None, entries: bytes) -> bytes:
    """The answer, without "* "."""
    mailbox = b'""' if reached is None else session.name_octets(reached.info.name)
    return b"METADATA %b (%b)" % (mailbox, entries)


def _written(entries: Mapping[str, bytes | None]) -> bytes:
    return b" ".join(_name(name.encode("ascii")) + b" " + _value(value) for name, value in entries.items())


def _name(octets: bytes) -> bytes:
    """Without quotes where it can be, as in the examples of RFC 5464: some programs read nothing else."""
    return octets if _PLAIN.fullmatch(octets) else string(octets)


def _value(octets: bytes | None) -> bytes:
    """A string, or a literal8 where it holds a NUL (RFC 3516); NIL for None."""
    if octets is None:
        return b"NIL"
    return b"~{%d}\r\n%b" % (len(octets), octets) if b"\0" in octets else string(octets)
