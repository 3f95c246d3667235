"""Embedded stores for tests, in this process and in others."""

from pathlib import Path

from mailward.disk import Disk
from mailward.model.ids import AccountId, MailboxId
from mailward.store.account import EmbeddedAccount
from mailward.store.base import EXPUNGED_KEPT_S
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append
from support.storecheck import NOW_S, RECEIVED_AT

ALICE = AccountId("alice")


class NoHints:
    """Nobody listens."""

    def publish(self, account: AccountId) -> None:
        return


def embedded(
    folder: Path, *, disk: Disk | None = None, now_s: float = NOW_S, expunged_kept_s: float = EXPUNGED_KEPT_S
) -> EmbeddedStore:
    """A store below `folder`, with a clock that stands still."""
    return EmbeddedStore(folder, disk or Disk(), NoHints(), expunged_kept_s=expunged_kept_s, now_s=lambda: now_s)


def account(folder: Path, *, disk: Disk | None = None, now_s: float = NOW_S) -> EmbeddedAccount:
    """Alice's mail."""
    return embedded(folder, disk=disk, now_s=now_s).open(ALICE)


def append(mailbox: MailboxId, octets: bytes, key: str | None = None, flags: tuple[str, ...] = ()) -> Append:
    """An Append whose other values do not matter."""
    return Append(mailbox, octets, RECEIVED_AT, flags, key)
