"""The values of the API as plain data, and back: all that crosses between a worker and the process of a plugin.

Whatever is no plain scalar is a list that begins with a word. Only the classes named here are made again, of what the other side
says their fields are; whether those make sense is for `answers` to check, as of any plugin. A value of any other class arrives as
a `Foreign`, which says no more than the name of its class.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, make_dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import count
from types import MappingProxyType
from typing import Any

from mailward.api.commands import AccountCommand, CommandAnswer, CommandOption, ServerCommand
from mailward.api.delivering import Delivery, Folder, FolderChoice
from mailward.api.dns import DnsRecord
from mailward.api.learning import MessageClassified, MessageMoved
from mailward.api.logins import LoginAttempt, LoginOutcome, Secret
from mailward.api.plugin import Facts, Finding
from mailward.api.relaying import MailHost, Relaying, RelayingAttempt, RelayOutcome
from mailward.api.services import HttpAnswer
from mailward.api.views import Evidence
from mailward.formats.message import MessageView
from mailward.model.address import Address, ForwardPath, ReversePath
from mailward.model.dns import DnsAnswer
from mailward.model.edits import AddHeader, PrefixSubject, RemoveHeader, ReplaceHeader, ReplacePart
from mailward.model.envelope import BodyType, DeliverBy, Envelope, MailParameters, RcptParameters
from mailward.model.evidence import AuthResult
from mailward.model.identity import Identity
from mailward.model.metrics import Counter, Gauge, Histogram
from mailward.model.session import ReverseName, Role, Session, TlsFacts
from mailward.model.tls import PolicyType, Tlsa, TlsLevel, TlsPolicy, TlsRequirement, TlsResult, TlsSession

_CLASSES: tuple[type, ...] = (
    AccountCommand, AddHeader, Address, AuthResult, CommandAnswer, CommandOption, Counter, DeliverBy, Delivery, DnsAnswer,
    DnsRecord, Envelope, Evidence, Finding, Folder, FolderChoice, ForwardPath, Gauge, Histogram, HttpAnswer, Identity,
    LoginAttempt, LoginOutcome, MailHost, MailParameters, MessageClassified, MessageMoved, PrefixSubject, RcptParameters,
    RelayOutcome, Relaying, RelayingAttempt, RemoveHeader, ReplaceHeader, ReplacePart, ReverseName, ReversePath, Secret,
    ServerCommand, Session, TlsFacts, TlsPolicy, TlsRequirement, TlsSession, Tlsa,
)  # fmt: skip
_ENUMS: tuple[type[enum.Enum], ...] = (BodyType, PolicyType, Role, TlsLevel, TlsResult)

_MAKERS: dict[str, type] = {one.__name__: one for one in _CLASSES}
_FIELDS: dict[type, tuple[str, ...]] = {one: tuple(field.name for field in fields(one)) for one in _CLASSES}
_MEMBERS: dict[str, type[enum.Enum]] = {one.__name__: one for one in _ENUMS}
_PLAIN = frozenset({str, int, float, bool, type(None)})


class BadValue(Exception):
    """What came is no value of the API."""


class Foreign:
    """Stands for a value of a class that does not cross."""


class Handle:
    """Stands in the plugin's process for something that stays in the worker, such as the proof of a login."""

    def __init__(self, number: int) -> None:
        self.number = number


class Packing:
    """Values on their way out. own_facts: the class of the plugin itself. blobs: for the frame.

    kept: what stayed here, by the number of its handle. functions: those of commands, by their number.
    numbers: where the numbers of handles come from; all that are good at one time must come from the same.
    """

    def __init__(self, own_facts: type[Facts], numbers: Iterator[int] | None = None) -> None:
        self._own_facts = own_facts
        self._numbers = count() if numbers is None else numbers
        self.blobs: list[bytes] = []
        self.kept: dict[int, object] = {}
        self.functions: list[Callable[..., Any]] = []

    def pack(self, value: object) -> object:
        """As JSON can hold it."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        names = _FIELDS.get(kind)
        if names is not None:
            return ["o", kind.__name__, *[self.pack(getattr(value, name)) for name in names]]
        if kind is tuple or kind is list:
            return ["t" if kind is tuple else "l", *[self.pack(one) for one in value]]  # type: ignore[attr-defined]
        return self._packed(value)

    def _packed(self, value: object) -> object:
        if isinstance(value, Handle):
            return ["h", value.number]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._blob("b", bytes(value))
        if isinstance(value, MessageView):
            return self._blob("m", bytes(value.octets))
        if isinstance(value, (dict, MappingProxyType)):
            return ["d", *[[self.pack(key), self.pack(one)] for key, one in value.items()]]
        if isinstance(value, enum.Enum) and type(value) in _ENUMS:
            return ["e", type(value).__name__, value.value]
        if type(value) is datetime:
            return ["D", value.astimezone(UTC).isoformat()]
        if type(value) is date:
            return ["d1", value.isoformat()]
        if isinstance(value, Facts):
            return self._facts(value)
        if type(value) in (frozenset, set):
            return ["l", *[self.pack(one) for one in value]]  # type: ignore[attr-defined]
        if callable(value) and not isinstance(value, type):
            self.functions.append(value)
            return ["c", len(self.functions) - 1]
        number = next(self._numbers)
        self.kept[number] = value
        return ["?", number, type(value).__name__[:60]]

    def _blob(self, word: str, octets: bytes) -> object:
        self.blobs.append(octets)
        return [word, len(self.blobs) - 1]

    def _facts(self, value: Facts) -> object:
        names = [field.name for field in fields(value)]
        values = [self.pack(getattr(value, name)) for name in names]
        return ["f", *values] if type(value) is self._own_facts else ["F", type(value).__name__, names, *values]


class Unpacking:
    """Values that came. kept: what handles stand for. command: what runs the command of a number; None: there are no such.

    trusted: they come from the worker, so that handles and facts of others are made of what has no class here.
    """

    def __init__(
        self,
        own_facts: type[Facts],
        blobs: Sequence[bytes],
        *,
        kept: Mapping[int, object] = MappingProxyType({}),
        command: Callable[[int], Callable[..., Any]] | None = None,
        trusted: bool = False,
    ) -> None:
        self._own_facts = own_facts
        self._blobs = blobs
        self._kept = kept
        self._command = command
        self._trusted = trusted

    def unpack(self, packed: object) -> Any:
        """The value. Raises BadValue."""
        try:
            return self._unpacked(packed)
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
            raise BadValue(f"{type(error).__name__}: {str(error)[:200]}") from error

    def _unpacked(self, packed: object) -> Any:
        if not isinstance(packed, list):
            if isinstance(packed, dict):
                raise ValueError("a bare mapping")
            return packed
        match packed:
            case ["o", str(name), *values]:
                made = _MAKERS[name]
                if len(values) != len(_FIELDS[made]):
                    raise ValueError(f"{len(values)} fields of {name}")
                return made(*map(self._unpacked, values))
            case ["t", *values]:
                return tuple(map(self._unpacked, values))
            case ["l", *values]:
                return list(map(self._unpacked, values))
            case ["d", *pairs]:
                return {self._unpacked(key): self._unpacked(value) for key, value in pairs}
            case ["b", int(number)]:
                return self._blobs[number]
            case ["m", int(number)]:
                return MessageView(self._blobs[number])
            case ["e", str(name), value]:
                return _MEMBERS[name](value)
            case ["D", str(text)]:
                return datetime.fromisoformat(text).astimezone(UTC)
            case ["d1", str(text)]:
                return date.fromisoformat(text)
            case ["f", *values]:
                names = [field.name for field in fields(self._own_facts)]
                return self._own_facts(**dict(zip(names, map(self._unpacked, values), strict=True)))
            case ["F", str(name), list(names), *values] if self._trusted:
                stand_in = _facts_class(name, tuple(str(one) for one in names))
                return stand_in(*map(self._unpacked, values))
            case ["F", str(name), *_]:
                return _foreign(name)
            case ["c", int(number)] if self._command is not None:
                return self._command(number)
            case ["h", int(number)]:
                return self._kept[number]
            case ["?", int(number), str(name)]:
                return Handle(number) if self._trusted else _foreign(name)
        raise ValueError("a value of no known form")


@lru_cache(maxsize=256)
def _facts_class(name: str, names: tuple[str, ...]) -> type[Facts]:
    """What stands for the Facts class of another plugin, whose module is not loaded here."""
    return make_dataclass(name, names, bases=(Facts,), frozen=True)


def _foreign(name: str) -> object:
    return type("".join(letter for letter in name if letter.isalnum() or letter == "_")[:60] or "Foreign", (Foreign,), {})()
