"""What the ManageSieve machine asks of its session. Until an event is answered, the machine reads nothing further."""

from dataclasses import dataclass, field

from mailward.protocol.events import SaslAsked, SaslResponse, TlsAsked


@dataclass(frozen=True, slots=True)
class SpaceAsked:
    """HAVESPACE: would a script of so many octets find room under this name?"""

    name: str
    octets: int


@dataclass(frozen=True, slots=True)
class PutAsked:
    """Store a script, in place of one of that name."""

    name: str
    script: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckAsked:
    """Is this a script that could be stored?"""

    script: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListAsked:
    """Which scripts are there?"""


@dataclass(frozen=True, slots=True)
class ActivateAsked:
    """SETACTIVE. name: "" for none."""

    name: str


@dataclass(frozen=True, slots=True)
class GetAsked:
    """The octets of a script."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteAsked:
    """Remove a script that is not active."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameAsked:
    """Give a script a new name; it stays active if it is."""

    name: str
    new_name: str


Event = (
    TlsAsked | SaslAsked | SaslResponse | SpaceAsked | PutAsked | CheckAsked | ListAsked | ActivateAsked | GetAsked | DeleteAsked
    | RenameAsked
)  # fmt: skip
