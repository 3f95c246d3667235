"""Which mailboxes does a command mean, by a word and perhaps by names (RFC 5465 section 6, RFC 7377 section 2.2)?"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, get_args

from mailward.protocol.imap.arguments import Arguments, BadSyntax

Kind = Literal["selected", "selected-delayed", "inboxes", "personal", "subscribed", "subtree", "subtree-one", "mailboxes"]
_KINDS: dict[str, Kind] = {word.upper(): word for word in get_args(Kind)}
_SOURCES = frozenset(_KINDS.values()) - {"selected-delayed"}
MAX_FILTERS = 100
MAX_NAMES = 1000


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """names: of a subtree, of one level of it, or of mailboxes."""

    kind: Kind
    names: frozenset[str] = frozenset()


def read_filter(arguments: Arguments, name_of: Callable[[bytes], str], kinds: Collection[Kind]) -> MailboxFilter:
    """One of these kinds. name_of: the mailbox that octets name. Raises BadSyntax."""
    kind = _KINDS.get(arguments.atom())
    if kind is None or kind not in kinds:
        raise BadSyntax("There is no such set of mailboxes")
    names: list[bytes] = []
    if kind in ("subtree", "subtree-one", "mailboxes"):
        arguments.space()
        names = arguments.parenthesised(arguments.astring) if arguments.looks_like(b"(") else [arguments.astring()]
    return MailboxFilter(kind, frozenset(map(name_of, names)))


def read_sources(arguments: Arguments, name_of: Callable[[bytes], str]) -> list[MailboxFilter]:
    """`IN (personal mailboxes "a") ` when it comes next; else the selected mailbox is meant (RFC 7377 section 2.1). Raises
    BadSyntax."""
    if not arguments.take(b"IN "):
        return [MailboxFilter("selected")]
    filters = arguments.parenthesised(lambda: read_filter(arguments, name_of, _SOURCES))
    check_count(filters)
    arguments.space()
    return filters


def check_count(filters: Collection[MailboxFilter]) -> None:
    """Raises BadSyntax."""
    if len(filters) > MAX_FILTERS or sum(len(one.names) for one in filters) > MAX_NAMES:
        raise BadSyntax("Too many sets of mailboxes, or names")
