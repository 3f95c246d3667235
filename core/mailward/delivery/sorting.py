"""Whose folder does a plugin choose, and what did it say? Asked before copies are stored, from a thread of delivery.

The admin's word goes before a plugin's: where a rule named a folder, or the verdict is junk, nobody is asked. Nor is anybody for
mail that no policy has accepted for this recipient: reports, plugins' mail, and what an admin has released from the quarantine.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mailward.api.delivering import Delivery, Folder
from mailward.delivery.mda import Copy
from mailward.delivery.ports import Folders
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.address import Address
from mailward.model.errors import HooksUnavailable
from mailward.model.ids import AccountId
from mailward.store.base import MailStore


class Details(Protocol):
    """What `Directory` knows of subaddresses."""

    def detail(self, address: Address) -> str:
        """What stands behind the separator, "" for nothing. May raise StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class ForQueue:
    """The queue process is to make this delivery, since mail is sent with it."""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The recipient refuses it. reason: his words. text: for `explain`."""

    reason: str
    text: str


Sorted = Copy | HooksUnavailable | ForQueue | Unwanted
"""A copy and where it goes, or why it cannot be delivered now, or here."""


class Sorter:
    """folders: asked for at each batch, so that after a reload the new plugins are asked. loop: on which they are."""

    def __init__(
        self, store: MailStore, details: Details, folders: Callable[[], Folders], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._store = store
        self._details = details
        self._folders = folders
        self._loop = loop

    def sort(self, copies: Sequence[Copy]) -> Sequence[Sorted]:
        """Copies of one account or other route, in their order. All are asked about at once, so a plugin that hangs costs its
        limit once. Blocks; not to be called on the loop. Raises StorageError.
        """
        folders = self._folders()
        if not folders.asks_anybody:
            return copies
        asked = [copy for copy in copies if copy.recipient.sortable]
        if not asked:
            return copies
        account = AccountId(asked[0].recipient.account)
        known = tuple(Folder(one.name, one.special_use) for one in self._store.open(account).mailboxes())
        answers = asyncio.run_coroutine_threadsafe(
            _all(folders, [(copy, self._delivery(copy, known)) for copy in asked]), self._loop
        ).result()
        found = {copy.delivery_key: answer for copy, answer in zip(asked, answers, strict=True)}
        return [found.get(copy.delivery_key, copy) for copy in copies]

    def _delivery(self, copy: Copy, folders: tuple[Folder, ...]) -> Delivery:
        recipient = copy.recipient
        return Delivery(
            copy.item.id,
            AccountId(recipient.account),
            copy.item.reverse_path_of(copy.index),
            recipient.forward_path,
            self._detail(recipient.forward_path),
            folders,
        )

    def _detail(self, forward_path: str) -> str:
        try:
            return self._details.detail(parse_mailbox(forward_path))
        except AddressSyntaxError:  # the bare postmaster has no domain
            return ""


async def _all(folders: Folders, asked: Sequence[tuple[Copy, Delivery]]) -> list[Sorted]:
    return await asyncio.gather(*[_one(folders, copy, delivery) for copy, delivery in asked])


async def _one(folders: Folders, copy: Copy, delivery: Delivery) -> Sorted:
    try:
        return replace(copy, chosen=await folders.choose(delivery, copy.octets))
    except HooksUnavailable as error:
        return error
