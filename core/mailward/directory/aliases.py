"""Where does mail for an address of ours go in the end? Aliases, lists, catch-alls, followed to their ends (RFC 5321 3.9).

Pure: what an address means by itself is looked up by whoever calls. Circles and long ways are refused when an alias is made; when
they come about all the same, mail goes everywhere else that the alias leads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from mailward.model.address import Address
from mailward.model.ids import AccountId

MOST_STEPS = 10
"""From an alias to an alias to an alias."""
MOST_ENDS = 1000
"""Of one address; what is more is a mailing list, and wants a program for it."""


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that leads to others.

    address: with the local-part "" it is a catch-all, for all of its domain that is nobody's. targets: in the order they were
    given; one with the local-part "" is the same local-part in another domain. owner: makes it a list, whose mail leaves with
    this reverse-path. members_only: only those it leads to, and its owner, may send to it.
    """

    address: Address
    targets: tuple[Address, ...]
    owner: Address | None = None
    members_only: bool = False

    @property
    def name(self) -> str:
        """As people write it: "sales@example.org", "@example.org"."""
        return shown(self.address)


def shown(address: Address) -> str:
    """An address, or a whole domain."""
    return str(address) if address.local_part else f"@{address.domain}"


@dataclass(frozen=True, slots=True)
class Way:
    """One end. account: whose mailbox it is, None when it is on another server. through: the aliases that lead there."""

    address: Address
    account: AccountId | None
    through: tuple[Alias, ...] = ()

    @property
    def owner(self) -> Address | None:
        """Of the last list on the way."""
        return next((alias.owner for alias in reversed(self.through) if alias.owner is not None), None)


class NoEnd(Enum):
    """What an address can be beside an account or an alias."""

    NOBODY = "nobody's here"
    ELSEWHERE = "on another server"


Meaning = AccountId | Alias | NoEnd
LookUp = Callable[[Address], Meaning]
MayPass = Callable[[Alias, Address], bool]
"""May this mail go on through an alias, met under this address?"""


def anybody(alias: Alias, address: Address) -> bool:
    """Every alias may be passed."""
    return True


def expand(asked: Address, look_up: LookUp, may_pass: MayPass = anybody) -> tuple[Way, ...]:
    """Every end once, in the order of the targets; () when the address is nobody's, or no way may be passed."""
    found: dict[AccountId | Address, Way] = {}
    passed: set[Address] = set()
    waiting: list[tuple[Address, tuple[Alias, ...]]] = [(asked, ())]
    while waiting and len(found) < MOST_ENDS:
        address, through = waiting.pop()
        match look_up(address):
            case NoEnd.NOBODY:
                continue
            case NoEnd.ELSEWHERE:
                found.setdefault(address, Way(address, None, through))
            case Alias() as alias:
                key = Address(address.local_part.lower(), address.domain)
                if key not in passed and len(through) < MOST_STEPS and may_pass(alias, address):
                    passed.add(key)
                    waiting += [(end, (*through, alias)) for end in reversed(_ends(alias, address))]
            case account:
                found.setdefault(account, Way(address, account, through))
    return tuple(found.values())


def circle(alias: Alias, look_up: LookUp) -> tuple[Alias, ...]:
    """The aliases from this one back to itself, or too far on; () when all is well. look_up: knows the alias already."""
    passed: set[Address] = set()
    waiting: list[tuple[Address, tuple[Alias, ...]]] = [(end, (alias,)) for end in _ends(alias, alias.address)]
    while waiting:
        address, through = waiting.pop()
        met = look_up(address)
        if not isinstance(met, Alias) or address in passed:
            continue
        passed.add(address)
        if met.address == alias.address or len(through) >= MOST_STEPS:
            return (*through, met)
        waiting += [(end, (*through, met)) for end in _ends(met, address)]
    return ()


def _ends(alias: Alias, asked: Address) -> Sequence[Address]:
    """Where one step leads. asked: by which address of a catch-all."""
    return [end if end.local_part else Address(asked.local_part, end.domain) for end in alias.targets]
