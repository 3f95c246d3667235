"""Which mailbox does a name mean, in whose store, and what may be done with it? Own mailboxes, and those that others share.

What others share is named "Other Users/alice@example.org/Folder" (RFC 2342). A mailbox that somebody may not know of, one that is
not there, and an account that does not exist or shares nothing are answered by the same words (RFC 4314 section 6, T-IMAP-14).
Everything here blocks, but `Reach.at_hand`.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice

from mailward.access.imap.identifiers import ACCOUNT, Identifiers
from mailward.access.imap.rights import EVERY, KNOWING, Rights
from mailward.formats.mailbox_names import SEPARATOR
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId
from mailward.store.base import AccountStore, MailboxInfo, MailboxView, MailStore
from mailward.store.ops import Op, OpResult, SetAnnotations
from mailward.store.refusals import MailboxExists, NoSuchMailbox, OverQuota, StoreRefusal, TooManyAnnotations

OTHERS = "Other Users"

MAX_LISTED = 1000
"""Mailboxes of one owner that are listed, the first by name, so that nobody makes others' LIST long. All can be selected."""

MAX_ASKED = 10
"""Owners whose mailboxes are looked for at once, where too much is noted about them (T-DOS-08)."""


class NoPermission(StoreRefusal):
    """The mailbox may be known, and this may not be done with it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A mailbox as one account reaches it.

    owner, store: whose it is, and where. info: with the name, subscription and special use it has for who reaches it: somebody
    else's Sent is not his. name_there: as its owner calls it.
    """

    owner: AccountId
    store: AccountStore
    info: MailboxInfo
    rights: Rights
    name_there: str
    is_own: bool = True

    @property
    def place(self) -> tuple[AccountId, MailboxId]:
        """What stays when a mailbox is renamed."""
        return self.owner, self.info.id

    @property
    def whose(self) -> str:
        """What keeps the identifiers of its objects apart from those of one's own: "" or the owner."""
        return "" if self.is_own else self.owner

    def seen(self, info: MailboxInfo) -> MailboxInfo:
        """What the owner's store says now, with what is ours."""
        return replace(info, name=self.info.name, subscribed=self.info.subscribed, special_use=self.info.special_use)

    def apply(self, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        """As its store does, but how much somebody else holds and may hold is his own affair."""
        try:
            return self.store.apply(ops)
        except OverQuota:
            if self.is_own:
                raise
            raise OverQuota("Whose mailbox it is may not hold more mail") from None

    def need(self, rights: str) -> None:
        """Raises NoPermission without all of them, and NoSuchMailbox where even the mailbox is not to be known of."""
        if not self.rights.issuperset(rights):
            if "l" not in self.rights:
                raise _nowhere(self.info.name)
            raise NoPermission("The mailbox is shared without the right to do that")


@dataclass(frozen=True, slots=True)
class Standing:
    """What of an account decides which mailboxes of others it is shown, and how.

    grantees: all that it is. taken: names of its own mailboxes that others' could have.
    """

    grantees: frozenset[str]
    subscriptions: frozenset[str]
    taken: frozenset[str]


class Reach:
    """Of one `account`, whose own store is `own`. identifiers: None where nothing is shared."""

    def __init__(self, stores: MailStore, account: AccountId, identifiers: Identifiers | None) -> None:
        self._stores = stores
        self.account = account
        self._identifiers = identifiers
        self.own = stores.open(account)

    def find(self, name: str, rights: str) -> Reached:
        """The mailbox of this name, an own one first, with these rights at least. Raises NoSuchMailbox, NoPermission."""
        try:
            return self.owned(self.own.mailbox(name))
        except NoSuchMailbox:
            if not is_of_others(name):
                raise
        owner, level, name_there = self._owner_of(name)
        try:
            store = self._stores.open(owner)
            info = store.mailbox(name_there)
            reached = _reached(owner, store, info, self._rights_in(store, info.id), level)
        except NoSuchMailbox:
            raise _nowhere(name) from None
        if reached.rights.isdisjoint(KNOWING):
            raise _nowhere(name)
        reached.need(rights)
        return reached

    def at_hand(self, name: str) -> tuple[Reached, MailboxView] | None:
        """An own mailbox of this name and all that is in it, where that needs no waiting."""
        view = self.own.view_at_hand(name)
        return None if view is None else (self.owned(view.mailbox), view)

    def owned(self, info: MailboxInfo) -> Reached:
        """One of our own."""
        return Reached(self.account, self.own, info, EVERY, info.name)

    def place_for(self, name: str) -> tuple[AccountId, AccountStore, str]:
        """Whose a mailbox of this name would be, and its name there. Raises NoPermission, MailboxExists.

        Among others' only below one where mailboxes may be made (RFC 4314 section 4). One that is there and hidden is a place
        where they may not: that there is something cannot be denied, what it is can.
        """
        if not is_of_others(name):
            return self.account, self.own, name
        try:
            owner, _, name_there = self._owner_of(name)
        except NoSuchMailbox:
            raise _not_there() from None
        store = self._stores.open(owner)
        infos, above = {info.name: info for info in store.mailboxes()}, name_there
        while SEPARATOR in above:
            above = above.rpartition(SEPARATOR)[0]
            if above in infos:
                if "k" not in self._rights_in(store, infos[above].id):
                    break
                if name_there not in infos:
                    return owner, store, name_there
                if self._rights_in(store, infos[name_there].id).isdisjoint(KNOWING):
                    break
                raise MailboxExists(f"The mailbox {name} exists")
        raise _not_there()

    def all(self, *, others: bool = True) -> list[Reached]:
        """Those that are listed. others: those that others share, too; their stores have to be opened for that."""
        own = self.all_own()
        owners = self.owners() if others else {}
        standing = self.standing(own) if owners else None
        shared = [self.shared_by(owner, level, standing) for owner, level in owners.items()] if standing else []
        return [*own, *chain.from_iterable(shared)]

    def all_own(self) -> list[Reached]:
        return [self.owned(info) for info in self.own.mailboxes()]

    def owners(self) -> Mapping[AccountId, str]:
        """Who may share something with us, and the level above his mailboxes."""
        with suppress(StorageError):  # who looks for his own mail does not hang on what others share
            return self._owners()
        return {}

    def standing(self, own: Collection[Reached]) -> Standing:
        """Ours, with these mailboxes."""
        taken = frozenset(filter(is_of_others, (one.info.name for one in own)))
        return Standing(frozenset(self._grantees()), self.own.subscriptions(), taken)

    def shared_by(self, owner: AccountId, level: str, standing: Standing) -> list[Reached]:
        """What he lets us list."""
        store = self._stores.open(owner)
        grants = store.grants()
        granted = ((info, _rights(grants.get(info.id, {}), standing.grantees)) for info in store.mailboxes())
        known = (one for one in granted if "l" in one[1])
        reached = (_reached(owner, store, info, rights, level, standing.subscriptions) for info, rights in known)
        return list(islice((one for one in reached if one.info.name not in standing.taken), MAX_LISTED))

    def again(self, reached: Reached) -> Reached:
        """With the rights of now. Raises NoSuchMailbox when it may not be read any more."""
        if reached.is_own:
            return reached
        is_there = self._level_of(reached.owner) is not None
        rights = self._rights_in(reached.store, reached.info.id) if is_there else frozenset[str]()
        if "r" not in rights:
            raise _nowhere(reached.info.name)
        return reached if rights == reached.rights else replace(reached, rights=rights)

    def below(self, reached: Reached, rights: str) -> list[MailboxInfo]:
        """All mailboxes below it, as their owner has them. Raises NoPermission without these rights to all of them."""
        grants, grantees, above = reached.store.grants(), self._grantees(), reached.name_there + SEPARATOR
        found = [info for info in reached.store.mailboxes() if info.name.startswith(above)]
        if not all(_rights(grants.get(info.id, {}), grantees).issuperset(rights) for info in found):
            raise NoPermission("A mailbox below it is shared without the right to do that")
        return found

    def note(self, ops: Sequence[Op]) -> None:
        """Apply ops to our own store. Where it has too many annotations, those about lost mailboxes of others make room."""
        try:
            self.own.apply(ops)
        except TooManyAnnotations:
            if not (gone := self._noted_for_nothing()):
                raise
            self.own.apply([*gone, *ops])

    def _noted_for_nothing(self) -> list[SetAnnotations]:
        """What removes it, as far as it is found: of some owners, others each time, since their stores have to be opened."""
        if self._identifiers is None:
            return []
        noted = self.own.annotated()
        owners = {owner for owner, _ in noted}
        are_there = [owner for owner in owners if self._level_of(owner)]
        asked = random.sample(are_there, min(len(are_there), MAX_ASKED))
        there = {(owner, info.id) for owner in asked for info in self._stores.open(owner).mailboxes()}
        known = owners.difference(are_there).union(asked)
        return [
            SetAnnotations(mailbox, tuple((name, None) for name in self.own.annotations(mailbox, owner)), owner)
            for owner, mailbox in sorted(noted - there)
            if owner in known
        ]

    def names_anyone_else(self) -> bool:
        """Whether there is a namespace of others at all."""
        return self._identifiers is not None

    def _owners(self) -> Mapping[AccountId, str]:
        """Who may share something with us, and the level above his mailboxes."""
        found = self._stores.sharing_with(self._grantees()) if self._identifiers is not None else ()
        levels = {owner: self._level_of(owner) for owner in found if owner != self.account}
        return {owner: level for owner, level in levels.items() if level is not None}

    def _owner_of(self, name: str) -> tuple[AccountId, str, str]:
        """Whose mailbox that would be, the level above it, and its name there. Raises NoSuchMailbox."""
        _, _, rest = name.partition(SEPARATOR)
        address, _, name_there = rest.partition(SEPARATOR)
        for owner, level in self._owners().items() if name_there else ():
            if level == OTHERS + SEPARATOR + address:
                return owner, level, name_there
        raise _nowhere(name)

    def _level_of(self, owner: AccountId) -> str | None:
        """None for an account that is gone, or whose address cannot be a level."""
        address = None if self._identifiers is None else self._identifiers.name(f"{ACCOUNT}{owner}")
        return None if address is None or not frozenset(address).isdisjoint(SEPARATOR + "%*") else OTHERS + SEPARATOR + address

    def _rights_in(self, store: AccountStore, mailbox: MailboxId) -> Rights:
        return _rights(store.grants().get(mailbox, {}), self._grantees())

    def _grantees(self) -> Collection[str]:
        """All that we are."""
        return () if self._identifiers is None else self._identifiers.grantees_of(self.account)


def _reached(
    owner: AccountId, store: AccountStore, info: MailboxInfo, rights: Rights, level: str, subscriptions: Collection[str] = ()
) -> Reached:
    """One of somebody else's. level: what stands above his mailboxes."""
    name = level + SEPARATOR + info.name
    ours = replace(info, name=name, subscribed=name in subscriptions, special_use="")
    return Reached(owner, store, ours, rights, info.name, is_own=False)


def _rights(granted: Mapping[str, str], grantees: Collection[str]) -> Rights:
    return frozenset(letter for grantee in grantees for letter in granted.get(grantee, ""))


def is_of_others(name: str) -> bool:
    """Whether it would be a mailbox of somebody else, or a level above those."""
    return name == OTHERS or name.startswith(OTHERS + SEPARATOR)


def _nowhere(name: str) -> NoSuchMailbox:
    """In the store's words."""
    return NoSuchMailbox(f"There is no mailbox {name}")


def _not_there() -> NoPermission:
    return NoPermission("You cannot make mailboxes there")
