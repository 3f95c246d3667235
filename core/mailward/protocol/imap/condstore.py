"""What CONDSTORE and QRESYNC add to the arguments of SELECT, FETCH and STORE, as values (RFC 7162 section 7).

PARTIAL of RFC 9394 stands beside them in FETCH.
"""

from dataclasses import dataclass

from mailward.protocol.imap.arguments import Arguments, BadSyntax, SequenceSet
from mailward.protocol.imap.partial import Page, read_page


@dataclass(frozen=True, slots=True)
class Resync:
    """What a client still has of a mailbox: its state at `modseq`, of the messages `known`, None for all."""

    uidvalidity: int
    modseq: int
    known: SequenceSet | None


@dataclass(frozen=True, slots=True)
class SelectParameters:
    """condstore: CONDSTORE was named. resync: what QRESYNC said, None without it."""

    condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class FetchModifiers:
    """changed_since: only messages with a higher MODSEQ. vanished: tell which were expunged since then, too. page: only these of
    the messages."""

    changed_since: int | None = None
    vanished: bool = False
    page: Page | None = None


def read_select_parameters(arguments: Arguments) -> SelectParameters:
    """What may follow the name of the mailbox, to the end of the command. Raises BadSyntax."""
    if not arguments.take(b" "):
        return SelectParameters()
    condstore, resync = False, None

    def parameter() -> None:
        nonlocal condstore, resync
        word = arguments.atom()
        if word == "CONDSTORE":
            condstore = True
        elif word == "QRESYNC":
            arguments.space()
            resync = _resync(arguments)
        else:
            raise BadSyntax("There is no such parameter of SELECT")

    arguments.parenthesised(parameter)
    return SelectParameters(condstore, resync)


def _resync(arguments: Arguments) -> Resync:
    arguments.expect(b"(")
    uidvalidity = arguments.number()
    arguments.space()
    modseq = arguments.modseq()
    known: SequenceSet | None = None
    if arguments.take(b" "):
        is_pair = arguments.looks_like(b"(")
        if not is_pair:
            known = _numbers(arguments)
            is_pair = arguments.take(b" ")
        if is_pair:
            # Sequence numbers and their UIDs help a server that has forgotten what was expunged; ours does not forget.
            arguments.expect(b"(")
            _numbers(arguments)
            arguments.space()
            _numbers(arguments)
            arguments.expect(b")")
    arguments.expect(b")")
    return Resync(uidvalidity, modseq, known)


def _numbers(arguments: Arguments) -> SequenceSet:
    numbers = arguments.sequence_set()
    if numbers.is_saved or any(None in pair for pair in numbers.ranges):
        raise BadSyntax("'*' and '$' cannot be among UIDs that are known")
    return numbers


def read_fetch_modifiers(arguments: Arguments) -> FetchModifiers:
    """What may follow the items of FETCH, to the end of the command. Raises BadSyntax."""
    if not arguments.take(b" "):
        return FetchModifiers()
    changed_since, vanished, page = None, False, None

    def modifier() -> None:
        nonlocal changed_since, vanished, page
        word = arguments.atom()
        if word == "CHANGEDSINCE":
            arguments.space()
            changed_since = arguments.modseq()
        elif word == "VANISHED":
            vanished = True
        elif word == "PARTIAL":
            page = read_page(arguments)
        else:
            raise BadSyntax("There is no such modifier of FETCH")

    arguments.parenthesised(modifier)
    if vanished and changed_since is None:
        raise BadSyntax("VANISHED needs CHANGEDSINCE")
    return FetchModifiers(changed_since, vanished, page)


def read_unchanged_since(arguments: Arguments) -> int | None:
    """The modifier that may stand behind the set of STORE, with the blank after it; None without it. Raises BadSyntax."""
    if not arguments.take(b"("):
        return None
    arguments.expect(b"UNCHANGEDSINCE ")
    modseq = arguments.modseq()
    arguments.expect(b") ")
    return modseq
