"""What does an account's script meet when it is run, at delivery and in a rehearsal?"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime

from mailward import __version__
from mailward.delivery.mda import Copy
from mailward.delivery.script_lists import AskedLists, ScriptLists
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.address import NULL_REVERSE_PATH, Address, ForwardPath, ReversePath
from mailward.model.decision import DecisionRecord
from mailward.protocol.imap.objectid import object_id
from mailward.queue.item import JUNK_FOLDER
from mailward.sieve import Envelope, Owner, World
from mailward.sieve.world import Location, Outside
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.ops import SERVER
from mailward.store.refusals import StoreRefusal

NO_IMAP_USER = {"imap.user": "", "imap.email": ""}
"""RFC 6785 section 4.2: at delivery nobody acts."""


class _Outside:
    """`sieve.world.Outside` of one account. at: in the zone of the owner, which is this machine's."""

    def __init__(
        self, store: AccountStore, at: datetime, lists: AskedLists | None, is_marked: Callable[[str], bool] | None
    ) -> None:
        self._store = store
        self._at = at
        self._lists = lists
        self._is_marked = is_marked

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

    def is_marked(self, key: str) -> bool:
        return self._is_marked is not None and self._is_marked(key)

    def has_list(self, name: str) -> bool:
        return self._lists is not None and self._lists.has(name)

    def first_listed(self, names: Sequence[str], values: Sequence[str]) -> str | None:
        return None if self._lists is None else self._lists.first_held(names, values)

    def listed_addresses(self, name: str, most: int) -> Sequence[str] | None:
        return None if self._lists is None else self._lists.addresses(name, most)

    def script(self, location: Location, name: str) -> bytes | None:
        """There are no scripts of everybody's."""
        found = self._store.script(name) if location == "personal" else None
        return None if found is None else found.text

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        """What the owner of the mailbox sees (RFC 5490 section 3); names are the same in any case (RFC 5464 section 3.2)."""
        there = None if mailbox is None else self._mailbox(mailbox)
        if mailbox is not None and there is None:
            return None
        value = self._store.annotations(SERVER if there is None else there.id).get(name.lower())
        return None if value is None else value.decode("utf-8", "replace")

    def _mailbox(self, name: str) -> MailboxInfo | None:
        try:
            return self._store.mailbox(name)
        except StoreRefusal:
            return None


@contextmanager
def outside_of(
    store: AccountStore, at: datetime, lists: ScriptLists | None, is_marked: Callable[[str], bool] | None = None
) -> Iterator[Outside]:
    """For one run, or several at one moment. store: of the script's owner. at: aware. lists: None for none. is_marked: what
    earlier runs noted, None for nothing.
    """
    with nullcontext() if lists is None else closing(lists.asked(at)) as asked:
        yield _Outside(store, at.astimezone(), asked, is_marked)


def world_of(reverse_path: str, forward_path: str, addresses: Sequence[Address], outside: Outside) -> World:
    """Paths as the queue writes them. addresses: of the owner, his own first."""
    sender, recipient = _address(reverse_path), _address(forward_path)
    envelope = Envelope(
        NULL_REVERSE_PATH if sender is None else ReversePath(sender), None if recipient is None else ForwardPath(recipient)
    )
    environment = {"name": "Mailward", "version": __version__, "location": "MDA", "phase": "post", **NO_IMAP_USER}
    return World(envelope, Owner(tuple(addresses)), outside, environment)


def delivery_world(copy: Copy, addresses: Sequence[Address], outside: Outside) -> World:
    """As `world_of`, with all that is known of a delivery: who submitted it, from where it came, and how it was judged."""
    item, recipient = copy.item, copy.recipient
    paths = item.reverse_path_of(copy.index), recipient.asked or recipient.forward_path
    world = world_of(*paths, addresses, outside)
    peer = item.decision.session.get("peer.ip", "")
    return replace(
        world,
        envelope=replace(world.envelope, is_alias=bool(recipient.asked), auth=item.user),
        environment={**world.environment, **({"remote-ip": peer} if peer else {})},
        spam_percent=_spam_percent(copy),
        virus=_virus(item.decision),
    )


def _spam_percent(copy: Copy) -> float | None:
    """As the verdict has it: junk is surely spam, and what is not is less sure than that. None where no filter looked."""
    if copy.recipient.folder == JUNK_FOLDER:
        return 100.0
    probability = copy.item.decision.facts.get("spam.probability")
    return min(99.0, 100.0 * probability) if isinstance(probability, float) else None


def _virus(record: DecisionRecord) -> int:
    """RFC 5235 section 3.3: 0 where nobody looked, 1 for clean, 5 for surely infected."""
    if record.is_infected:
        return 5
    return int(any(name.endswith(".infected") for name in record.facts))


def _address(path: str) -> Address | None:
    """None for the null reverse-path, and for what has no domain: the bare postmaster."""
    try:
        return parse_mailbox(path) if path else None
    except AddressSyntaxError:
        return None
