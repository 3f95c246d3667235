"""What does an account's script meet when it is run, at delivery and in a rehearsal?"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.address import NULL_REVERSE_PATH, Address, ForwardPath, ReversePath
from mailward.protocol.imap.objectid import object_id
from mailward.sieve import LANGUAGE, Envelope, Owner, Script, World, compile_script
from mailward.sieve.world import Location
from mailward.store.base import AccountStore, MailboxInfo, StoreRefusal


class _Outside:
    """`sieve.world.Outside` of one account. at: in the zone of the owner, which is this machine's."""

    def __init__(self, store: AccountStore, at: datetime) -> None:
        self._store = store
        self._at = at

    def now(self) -> datetime:
        return self._at

    def mailbox_exists(self, name: str) -> bool:
        return self._mailbox(name) is not None

    def mailbox_with_use(self, use: str) -> str | None:
        return next((one.name for one in self._store.mailboxes() if one.special_use.lower() == use.lower()), None)

    def uses_of(self, mailbox: str) -> frozenset[str]:
        found = self._mailbox(mailbox)
        return frozenset() if found is None or not found.special_use else frozenset({found.special_use})

    def mailbox_with_id(self, mailbox_id: str) -> str | None:
        return next((one.name for one in self._store.mailboxes() if object_id("F", one.id) == mailbox_id), None)

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        return None  # the store keeps none

    def is_marked(self, key: str) -> bool:
        return False

    def script(self, location: Location, name: str) -> bytes | None:
        if location != "personal":
            return None
        return next((one.text for one in self._store.scripts() if one.name == name), None)

    def has_list(self, name: str) -> bool:
        return False

    def is_listed(self, name: str, value: str) -> bool:
        return False

    def _mailbox(self, name: str) -> MailboxInfo | None:
        try:
            return self._store.mailbox(name)
        except StoreRefusal:
            return None


def world_of(
    store: AccountStore, reverse_path: str, forward_path: str, user: str, addresses: Sequence[Address], at: datetime
) -> World:
    """store: of the script's owner. Paths as the queue writes them. user: the address of the account that submitted the message,
    "" for none. addresses: of the owner, his own first. at: aware.
    """
    sender, recipient = _address(reverse_path), _address(forward_path)
    envelope = Envelope(
        NULL_REVERSE_PATH if sender is None else ReversePath(sender),
        None if recipient is None else ForwardPath(recipient),
        user,
    )
    return World(envelope, Owner(tuple(addresses)), _Outside(store, at.astimezone()))


@lru_cache(maxsize=64)
def compiled(text: bytes) -> Script:
    """Raises ScriptError."""
    return compile_script(text, LANGUAGE)


def _address(path: str) -> Address | None:
    """None for the null reverse-path, and for what has no domain: the bare postmaster."""
    try:
        return parse_mailbox(path) if path else None
    except AddressSyntaxError:
        return None
