"""LIST and LSUB (RFC 3501 section 6.3.8 and 6.3.9, LIST-EXTENDED of RFC 5258, RFC 3348, 5819, 6154, 8440, 9590)."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailward.access.imap.commands.mailboxes import read_status_items, status_line
from mailward.access.imap.commands.metadata import values_line
from mailward.access.imap.reach import OTHERS, Reached
from mailward.access.imap.rights import shown
from mailward.access.imap.session import Session
from mailward.formats.mailbox_names import INBOX, SEPARATOR
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.metadata import read_returned
from mailward.protocol.imap.names import Pattern, decode_pattern
from mailward.store.base import MailboxInfo

SELECT_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS", "MYRIGHTS", "METADATA"})
MAX_PATTERNS = 20


@dataclass(frozen=True, slots=True)
class _Request:
    """select: selection options. returned: return options. status: what STATUS is to tell, () for none.
    metadata: names of annotations, () for none."""

    select: frozenset[str]
    patterns: tuple[Pattern, ...]
    returned: frozenset[str]
    status: Sequence[str]
    metadata: Sequence[str]


async def list_(session: Session, arguments: Arguments) -> str:
    request = _read(session, arguments)
    if request is None:
        session.untagged(b'LIST (\\Noselect) "/" ""')
        return ""
    if "HIGHESTMODSEQ" in request.status:
        session.enable_condstore()
    await session.send_pieces(_lines(session, request))
    return ""


def _lines(session: Session, request: _Request) -> Iterator[bytes]:
    """The answers to LIST. Blocks."""
    reached = {one.info.name: one for one in session.reach.all(others=_may_be_of_others(request.patterns))}
    tells_missing = "SUBSCRIBED" in request.select and "SPECIAL-USE" not in request.select
    names = _Names([one.info for one in reached.values()], _missing(session) if tells_missing else ())
    for name in names.all:
        info = names.infos.get(name)
        below = "RECURSIVEMATCH" in request.select and any(_chosen(child, request) for child in names.below(name))
        is_chosen = below or name in names.missing or _chosen(info, request)
        if not is_chosen or not any(pattern.matches(name) for pattern in request.patterns):
            continue
        attributes = names.attributes(name, is_rev2=session.is_rev2)
        is_subscribed = name in names.missing or (info is not None and info.subscribed)
        if is_subscribed and "SUBSCRIBED" in request.select | request.returned:
            attributes.append("\\Subscribed")
        line = b'LIST (%b) "/" %b' % (" ".join(attributes).encode("ascii"), session.name_octets(name))
        if below:
            criteria = " ".join(f'"{option}"' for option in sorted(request.select - {"RECURSIVEMATCH", "REMOTE"}))
            line += f' ("CHILDINFO" ({criteria}))'.encode("ascii")
        yield b"* %b\r\n" % line
        if name in reached and "MYRIGHTS" in request.returned:
            yield b"* %b\r\n" % rights_line(session, reached[name])
        if name in reached and request.metadata and (values := values_line(session, reached[name], request.metadata)):
            yield b"* %b\r\n" % values
        if name in reached and request.status and "r" in reached[name].rights:
            yield b"* %b\r\n" % status_line(session, reached[name], request.status)


def _may_be_of_others(patterns: Iterable[Pattern]) -> bool:
    return any(pattern.may_match_below(OTHERS) for pattern in patterns)


def rights_line(session: Session, reached: Reached) -> bytes:
    """The answer to MYRIGHTS, and what LIST returns of it: what stands after "* "."""
    return b"MYRIGHTS %b %b" % (session.name_octets(reached.info.name), shown(reached.rights).encode("ascii"))


def _chosen(info: MailboxInfo | None, request: _Request) -> bool:
    if info is None:
        return not request.select & {"SUBSCRIBED", "SPECIAL-USE"}
    return ("SUBSCRIBED" not in request.select or info.subscribed) and (
        "SPECIAL-USE" not in request.select or info.special_use != ""
    )


def _read(session: Session, arguments: Arguments) -> _Request | None:
    """None for LIST "" "", which asks for the separator."""
    arguments.space()
    select: frozenset[str] = frozenset()
    if arguments.looks_like(b"("):
        select = frozenset(arguments.parenthesised(arguments.atom, allow_empty=True))
        arguments.space()
    reference = decode_pattern(arguments.astring(), utf8=session.speaks_utf8)
    arguments.space()
    if arguments.looks_like(b"("):
        patterns = arguments.parenthesised(arguments.list_mailbox)
    else:
        patterns = [arguments.list_mailbox()]
    status: list[str] = []
    metadata: list[str] = []

    def option() -> str:
        word = arguments.atom()
        if word == "STATUS":
            arguments.space()
            status.extend(read_status_items(arguments))
        elif word == "METADATA":
            metadata.extend(read_returned(arguments))
        return word

    returned: frozenset[str] = frozenset()
    if arguments.take(b" "):
        arguments.expect(b"RETURN ")
        returned = frozenset(arguments.parenthesised(option, allow_empty=True))
    arguments.end()
    if select - SELECT_OPTIONS or returned - RETURN_OPTIONS:
        raise BadSyntax("Unknown LIST option")
    if "RECURSIVEMATCH" in select and not select & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise BadSyntax("RECURSIVEMATCH needs something to match")
    if len(patterns) > MAX_PATTERNS:
        raise BadSyntax("Too many patterns")
    if patterns == [b""] and not select:
        return None
    named = (Pattern(reference + decode_pattern(pattern, utf8=session.speaks_utf8)) for pattern in patterns)
    return _Request(select, tuple(named), returned, status, metadata)


async def lsub(session: Session, arguments: Arguments) -> str:
    arguments.space()
    reference = decode_pattern(arguments.astring(), utf8=session.speaks_utf8)
    arguments.space()
    pattern = Pattern(reference + decode_pattern(arguments.list_mailbox(), utf8=session.speaks_utf8))
    arguments.end()
    await session.send_pieces(_subscribed_lines(session, pattern))
    return ""


def _subscribed_lines(session: Session, pattern: Pattern) -> Iterator[bytes]:
    """The answers to LSUB. Blocks."""
    reached = session.reach.all(others=_may_be_of_others([pattern]))
    names = _Names([one.info for one in reached if one.info.subscribed], _missing(session))
    listed = {name for name in names.infos if pattern.matches(name)}
    # A level that is not subscribed itself is told when the pattern stops at it, "%", and not at what is below (section 6.3.9).
    levels = {name for name in names.all if name not in names.infos and pattern.matches(name)}
    levels = {name for name in levels if name in names.missing or not all(child.name in listed for child in names.below(name))}
    for name in names.all:
        if name in listed:
            use = names.infos[name].special_use.encode("ascii")
            yield b'* LSUB (%b) "/" %b\r\n' % (use, session.name_octets(name))
        elif name in levels:
            yield b'* LSUB (\\Noselect) "/" %b\r\n' % session.name_octets(name)


def _missing(session: Session) -> frozenset[str]:
    """Names that are subscribed and of no mailbox of ours (RFC 3501 section 6.3.9, RFC 5258 section 3). Blocks.

    What others shared once is left out: they took it back, or deleted it (T-IMAP-14).
    """
    own = session.reach.own
    subscribed = own.subscriptions() - {info.name for info in own.mailboxes()}
    return frozenset(name for name in subscribed if not name.startswith(f"{OTHERS}{SEPARATOR}"))


class _Names:
    """Mailboxes by name, the levels above them that are no mailboxes themselves, and names that are missing but to be told."""

    def __init__(self, infos: Sequence[MailboxInfo], missing: Collection[str] = ()) -> None:
        self.missing = missing
        self.infos = {info.name: info for info in infos}
        self._sorted = sorted(self.infos)
        self._parents: set[str] = set()
        for name in self.infos:
            while SEPARATOR in name:
                name = name.rpartition(SEPARATOR)[0]
                if name in self._parents:
                    break
                self._parents.add(name)
        more = (self._parents | {*missing}) - self.infos.keys()
        self.all = sorted(self.infos.keys() | more, key=_order) if more else list(self.infos)

    def below(self, name: str) -> list[MailboxInfo]:
        """All mailboxes under a name."""
        low, high = bisect_left(self._sorted, name + SEPARATOR), bisect_left(self._sorted, name + chr(ord(SEPARATOR) + 1))
        return [self.infos[below] for below in self._sorted[low:high]]

    def attributes(self, name: str, *, is_rev2: bool) -> list[str]:
        found = ["\\HasChildren" if name in self._parents else "\\HasNoChildren"]
        info = self.infos.get(name)
        if info is None:
            found.append("\\NonExistent" if is_rev2 or name in self.missing else "\\Noselect")
        elif info.special_use:
            found.append(info.special_use)
        return found


def _order(name: str) -> tuple[bool, str]:
    return name != INBOX, name
