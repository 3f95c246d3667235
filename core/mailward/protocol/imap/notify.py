"""What NOTIFY asks for, as values (RFC 5465 section 8)."""

from collections.abc import Callable
from dataclasses import dataclass

from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.fetch import FetchItems, read_fetch_items
from mailward.protocol.imap.filters import Kind, MailboxFilter, check_count, read_filter

EVENTS = ("MessageNew", "MessageExpunge", "FlagChange", "MailboxName", "SubscriptionChange")
"""Those that can be told of; annotations and metadata cannot be."""
MESSAGE_EVENTS = frozenset(EVENTS[:3])
_KINDS: tuple[Kind, ...] = ("selected", "selected-delayed", "inboxes", "personal", "subscribed", "subtree", "mailboxes")
_EVENTS = {event.upper(): event for event in EVENTS}


class BadEvent(Exception):
    """An event that is not known here: NO [BADEVENT]."""


@dataclass(frozen=True, slots=True)
class Group:
    """Of which mailboxes which events are told. items: what is told of each new message."""

    filter: MailboxFilter
    events: frozenset[str]
    items: FetchItems | None = None

    @property
    def is_selected(self) -> bool:
        return self.filter.kind.startswith("selected")


@dataclass(frozen=True, slots=True)
class Request:
    """groups: in the order in which they are looked at, the first that fits counts; none for NOTIFY NONE. status: tell at once
    how all of their mailboxes are."""

    groups: tuple[Group, ...]
    status: bool = False


def read_notify(arguments: Arguments, name_of: Callable[[bytes], str]) -> Request:
    """To the end of the command. name_of: the mailbox that octets name. Raises BadSyntax, BadEvent."""
    arguments.space()
    if arguments.take(b"NONE"):
        arguments.end()
        return Request(())
    arguments.expect(b"SET ")
    status = arguments.take(b"STATUS ")
    groups = [_group(arguments, name_of)]
    while arguments.take(b" "):
        groups.append(_group(arguments, name_of))
    arguments.end()
    if len([group for group in groups if group.is_selected]) > 1:
        raise BadSyntax("The selected mailbox stands once")
    check_count([group.filter for group in groups])
    return Request(tuple(groups), status)


def _group(arguments: Arguments, name_of: Callable[[bytes], str]) -> Group:
    arguments.expect(b"(")
    filter = read_filter(arguments, name_of, _KINDS)
    arguments.space()
    items: FetchItems | None = None

    def event() -> str:
        nonlocal items
        word = arguments.atom()
        if word not in _EVENTS:
            raise BadEvent(word)
        if word == "MESSAGENEW" and arguments.looks_like(b" ("):
            arguments.space()
            items = read_fetch_items(arguments)
        return _EVENTS[word]

    events = frozenset() if arguments.take(b"NONE") else frozenset(arguments.parenthesised(event))
    arguments.expect(b")")
    group = Group(filter, events, items)
    if group.is_selected and events - MESSAGE_EVENTS:
        raise BadSyntax("Of the selected mailbox there are events of messages only")
    if items is not None and not group.is_selected:
        raise BadSyntax("What is to be fetched of new messages is for the selected mailbox")
    if events & MESSAGE_EVENTS and not events >= {"MessageNew", "MessageExpunge"}:
        raise BadSyntax("MessageNew and MessageExpunge go together, and FlagChange with both")
    return group
