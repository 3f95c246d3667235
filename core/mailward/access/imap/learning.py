"""What do the plugins that learn hear of a person's sorting? Moves into and out of Junk, and the keywords that say junk or not.

It is told behind the reply, and only the messages in question are read again. Nothing else says so: not what delivery writes,
and not APPEND or COPY, whose keywords are copies of what was said elsewhere, often long ago and of whole mailboxes.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import structlog

from mailward.access.imap.desk import MAX_LESSONS_A_MINUTE
from mailward.access.imap.selected import Selected
from mailward.access.imap.session import Session
from mailward.api.learning import MessageClassified, MessageMoved
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.flags import mask_of

MAX_LEARNT_OCTETS = 2 * 1024 * 1024
"""Larger messages are not handed to the plugins that learn."""
_JUNK = "\\Junk"

JUNK_KEYWORDS = ("$Junk", "Junk")
"""Without `$`: Thunderbird, and older clients (the note in the registration of `$Junk` with IANA)."""
HAM_KEYWORDS = ("$NotJunk", "NotJunk", "NonJunk")
_SAYING = frozenset(keyword.lower() for keyword in JUNK_KEYWORDS + HAM_KEYWORDS)

Kind = Literal["ham", "spam"]

log = structlog.get_logger("mailward.imap")


def teach_moves(session: Session, source: MailboxInfo, target: MailboxInfo, messages: Sequence[int]) -> None:
    """Messages were moved or copied; only into and out of Junk it says something."""
    account = session.account
    if account is None or (source.special_use == _JUNK) == (target.special_use == _JUNK):
        return

    def tell(_: int, octets: bytes) -> None:
        session.desk.moved(
            MessageMoved(
                account=account,
                source=source.name,
                target=target.name,
                octets=octets,
                source_is_junk=source.special_use == _JUNK,
                target_is_junk=target.special_use == _JUNK,
                target_is_trash=target.special_use == "\\Trash",
            )
        )

    _behind_the_reply(session, account, messages, tell)


def says_junk_or_not(flags: Sequence[str]) -> bool:
    """Is one of the keywords among these flags?"""
    return any(flag.lower() in _SAYING for flag in flags)


def newly_said(selected: Selected, places: Sequence[int], before: Sequence[int]) -> dict[int, Kind]:
    """Flags were stored. before: the flags value at each of the places; what keywords say counts where it is new. By message."""
    junk, ham = mask_of(JUNK_KEYWORDS, selected.keywords), mask_of(HAM_KEYWORDS, selected.keywords)
    kinds: dict[int, Kind] = {}
    for place, value in zip(places, before, strict=True):
        kind = _kind(selected.flags[place], junk, ham)
        if kind is not None and kind != _kind(value, junk, ham):
            kinds[selected.messages[place]] = kind
    return kinds


def teach_keywords(session: Session, kinds: dict[int, Kind]) -> None:
    """What keywords newly say, by message."""
    account = session.account
    if account is None or not kinds:
        return

    def tell(message: int, octets: bytes) -> None:
        session.desk.classified(MessageClassified(account, octets, kinds[message], "keyword"))

    _behind_the_reply(session, account, tuple(kinds), tell)


def _kind(value: int, junk: int, ham: int) -> Kind | None:
    """Both together say nothing, like neither (IANA's registration of `$Junk`, note 1)."""
    if bool(value & junk) == bool(value & ham):
        return None
    return "spam" if value & junk else "ham"


def _behind_the_reply(session: Session, account: AccountId, messages: Sequence[int], tell: Callable[[int, bytes], None]) -> None:
    """Not of the mail of others, which is none of ours however we sort it."""
    if not session.here.is_own:
        return
    lessons = session.desk.lessons
    left = lessons.left(account)
    granted = messages[: lessons.take(account, len(messages))]
    if len(granted) < len(messages) and left:  # once a minute
        log.warning("lessons left out", account=account, learnt_in_a_minute=MAX_LESSONS_A_MINUTE)
    if not granted:
        return
    task = asyncio.get_running_loop().create_task(_tell(session, granted, tell))
    session.desk.background.add(task)
    task.add_done_callback(session.desk.background.discard)


async def _tell(session: Session, messages: Sequence[int], tell: Callable[[int, bytes], None]) -> None:
    async with session.learning:  # what was said last is told last
        for message in messages:
            try:
                octets = await session.desk.threads.run(session.account, partial(_small, session.own, message))
            except StorageError as error:
                log.error("unreadable message", message=message, error=str(error))
                continue
            if octets is not None:
                tell(message, octets)


def _small(store: AccountStore, message: int) -> bytes | None:
    """The message; None when it is too large to learn from."""
    ((size_octets,),) = store.meta([message], ("size_octets",))
    return store.read(message) if int(size_octets) <= MAX_LEARNT_OCTETS else None
