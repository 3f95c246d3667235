"""New mail is read in the background, so that the first search for a text need not read a whole mailbox.

One process of the server does it: account after account, as hints name them, the latest mail first, a bit at a time, and for four
times as long nothing; while mail comes in or is changed in any account, fifty times as long. What it misses, since a hint was
lost or the process ended, is read by the next search, or after the account's next change.

That a message is being read is noted before. So one whose reading ends the process is met once (T-Q-08): it is left out from then
on, until a search or `mailward store index` has read it.
"""

import asyncio
import mmap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import structlog

from mailward.formats.message import MessageView
from mailward.formats.searched import has_much_text, searched_texts
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore, MailStore

_log = structlog.get_logger()

_BATCH = 20
"""Messages: a bit."""
_REST = 4
_REST_BEHIND_OTHERS = 50
"""What is done in the foreground wants the same processors and the same disk. So little is not noticed, and goes on all day."""
_FOREGROUND_S = 1.0
"""So long after a hint somebody is taken to be still at work."""


class Marking:
    """On one event loop. is_there: whether an account has mail, for asking its store makes one."""

    def __init__(self, store: MailStore, is_there: Callable[[AccountId], bool]) -> None:
        self._store = store
        self._is_there = is_there
        self._waiting: dict[AccountId, None] = {}
        self._heard_at = -_FOREGROUND_S
        """Of the last hint, by the monotonic clock."""
        self._done: dict[AccountId, int] = {}
        """The latest message of each account that has been looked at."""

    def changed(self, account: AccountId) -> None:
        """A hint came in."""
        self._waiting[account] = None
        self._heard_at = time.monotonic()

    async def run_once(self) -> None:
        """All that wait. Raises StorageError; what then has not been read waits for the next change."""
        while self._waiting:
            account = next(iter(self._waiting))
            del self._waiting[account]
            if self._is_there(account):
                await self._mark(account)

    async def _mark(self, account: AccountId) -> None:
        store = await asyncio.to_thread(self._store.open, account)
        if account not in self._done and (left_out := await asyncio.to_thread(store.marks.begun)):
            _log.warning("mail not read for searches", account=account, messages=[*left_out], mend="mailward store index")
        messages = await asyncio.to_thread(store.marks.unmarked, self._done.get(account, 0))
        bits = mark(store, account, messages)
        while True:
            begun = time.monotonic()
            if await asyncio.to_thread(next, bits, None) is None:
                break
            ended = time.monotonic()
            others_work = ended - self._heard_at < _FOREGROUND_S
            await asyncio.sleep((_REST_BEHIND_OTHERS if others_work else _REST) * (ended - begun))
        self._done[account] = max([self._done.get(account, 0), *messages[:1]])


def mark(store: AccountStore, account: AccountId, messages: Sequence[int]) -> Iterator[int]:
    """Tell the store the texts of these, a bit at each step, which yields how many messages are done. Raises StorageError.

    What a search or another process has read meanwhile is not read again.
    """
    for start in range(0, len(messages), _BATCH):
        batch = messages[start : start + _BATCH]
        unread = [message for message, held in zip(batch, store.marks.may_hold(batch, ""), strict=True) if held is None]
        for message, octets in zip(unread, store.bodies(unread), strict=True):
            if not isinstance(octets, StorageError):
                store.marks.begin(message)
            look_into(message, octets, account=account, note=store.marks.add)
        yield start + len(batch)


def look_into(
    message: int,
    octets: bytes | mmap.mmap | StorageError,
    wanted: str | None = None,
    *,
    account: AccountId,
    note: Callable[[dict[int, Iterable[str] | None]], None] | None,
) -> bool | None:
    """Whether a message has this text, folded, behind its header; None where it could not be read, which is logged.

    octets: as `AccountStore.bodies` gives them. note: is told what `Marks.add` is to be told; None where that has been done.
    """
    if isinstance(octets, StorageError):
        _log.error("unreadable message", account=account, message=message, error=str(octets))
        return None
    try:
        view = MessageView(octets)
        texts: Iterable[str] = searched_texts(view)
        if note is not None:
            has_much = has_much_text(view)
            if wanted is not None and not has_much:
                texts = [*texts]
            note({message: None if has_much else texts})
        return wanted is not None and any(wanted in text for text in texts)
    except Exception:  # noqa: BLE001  whatever is wrong with a message, or with its reader, the others are read
        _log.exception("mail not read for searches", account=account, messages=[message], mend="mailward store index")
        return None
