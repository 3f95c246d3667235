"""Is there room for the message in the mailboxes that a forward-path leads to? Asked at RCPT, as long as a server waits for the
reply that can tell whoever wrote it: what was taken and finds no room later waits in the queue, and may have to be bounced.

Users who submit are not asked: their mail programs do not try again, and the queue does.
"""

from collections.abc import Callable, Sequence

import structlog

from mailward.api.services import RunBlocking
from mailward.directory.forwarding import End
from mailward.intake.refusing import CoreRefusal
from mailward.model import replies
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId

MOST_ASKED = 10
"""Of an alias with more ends some mailbox has room, or it waits for that: one RCPT must not read a thousand files (T-DOS-03)."""

FULL = CoreRefusal("full mailbox", replies.MAILBOX_FULL)
FULL_FOR_GOOD = CoreRefusal("full mailbox", replies.MAILBOX_FULL_FOR_GOOD)

log = structlog.get_logger("mailward.smtp")


class MailboxRoom:
    """has_room: would a message of so many octets be delivered to the account now? 0 octets: not known how many. It may wait for
    the disk and raise StorageError. waits: is the sender's server to try again? Else the message goes back at once.
    """

    def __init__(self, has_room: Callable[[AccountId, int], bool], run_blocking: RunBlocking, *, waits: bool) -> None:
        self._has_room = has_room
        self._run_blocking = run_blocking
        self._refusal = FULL if waits else FULL_FOR_GOOD

    async def refusal(self, ends: Sequence[End], size_octets: int) -> CoreRefusal | None:
        """Why a message is not taken, None when it is: by whom there is room, or who is not here, gets it.

        size_octets: as MAIL announced it, 0 where it did not.
        """
        accounts = [end.account for end in ends if end.account is not None]
        if not 0 < len(accounts) == len(ends) <= MOST_ASKED:
            return None
        is_full = await self._run_blocking(lambda: not any(self._would_take(account, size_octets) for account in accounts))
        return self._refusal if is_full else None

    def _would_take(self, account: AccountId, size_octets: int) -> bool:
        try:
            return self._has_room(account, size_octets)
        except StorageError as error:
            # Whatever is the matter with one account, its mail waits for that in the queue, as it does without a quota.
            log.warning("room of an account not known", account=account, problem=str(error))
            return True
