"""What each command of TRANSACTION asks of the maildrop (RFC 1939 sections 5 and 7)."""

from collections.abc import Callable

from mailward.protocol.pop3.arguments import message_number, message_number_or_none, nothing, number
from mailward.protocol.pop3.events import DeleAsked, Event, ListAsked, RetrAsked, RsetAsked, StatAsked, TopAsked, UidlAsked


def _stat(argument: bytes) -> StatAsked:
    nothing(argument)
    return StatAsked()


def _list(argument: bytes) -> ListAsked:
    return ListAsked(message_number_or_none(argument))


def _uidl(argument: bytes) -> UidlAsked:
    return UidlAsked(message_number_or_none(argument))


def _retr(argument: bytes) -> RetrAsked:
    return RetrAsked(message_number(argument))


def _top(argument: bytes) -> TopAsked:
    which, _, lines = argument.strip(b" ").partition(b" ")
    return TopAsked(message_number(which), number(lines))


def _dele(argument: bytes) -> DeleAsked:
    return DeleAsked(message_number(argument))


def _rset(argument: bytes) -> RsetAsked:
    nothing(argument)
    return RsetAsked()


ASKED: dict[bytes, Callable[[bytes], Event]] = {
    b"STAT": _stat,
    b"LIST": _list,
    b"UIDL": _uidl,
    b"RETR": _retr,
    b"TOP": _top,
    b"DELE": _dele,
    b"RSET": _rset,
}
"""Each raises BadCommandError for an argument that is none."""
