"""The facts a policy may name: what type each has, what it is when nobody knows, and from which stage on it is known.

The core's facts are the tables below (design: "Facts"); a plugin's are the fields of its Facts class and `<plugin>.status`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from mailward.api.plugin import Plugin
from mailward.model.evidence import FactValue
from mailward.policy.directions import RULES, Direction
from mailward.policy.stages import Stage

MAX_TEXT = 2000
MAX_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class FactSpec:
    """One declared fact. default also tells its type: str, bool, int, float or a tuple of str."""

    default: FactValue
    stage: Stage

    @property
    def type_name(self) -> str:
        return type_name(self.default)

    @property
    def sample(self) -> FactValue:
        """A value of its type for the trial evaluation of conditions; not the default, so that lists are not empty."""
        if isinstance(self.default, bool):
            return True
        if isinstance(self.default, int):
            return 1
        if isinstance(self.default, float):
            return 1.5
        return "a" if isinstance(self.default, str) else ("a",)


def type_name(value: object) -> str:
    """How people call the type of a value: "text", "a whole number" ..."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a mapping" if isinstance(value, dict) else "a list"


_SESSION: Mapping[str, FactValue] = {"peer.ip": "", "tls.version": "", "listener.name": ""}

RDNS = frozenset({"peer.rdns", "peer.rdns_result"})
"""Facts that are looked up while the client talks: who reads one must wait for it."""

_MESSAGE: Mapping[str, FactSpec] = {
    **{name: FactSpec(default, "mail") for name, default in _SESSION.items()},
    "peer.rdns": FactSpec("", "mail"),
    "peer.rdns_result": FactSpec("none", "mail"),
    "helo.name": FactSpec("", "mail"),
    "mail_from.address": FactSpec("", "mail"),
    "mail_from.domain": FactSpec("", "mail"),
    "mail_from.is_null": FactSpec(False, "mail"),
    "recipient.address": FactSpec("", "rcpt"),
    "recipient.domain": FactSpec("", "rcpt"),
    "recipient.local_part": FactSpec("", "rcpt"),
    "recipient.tag": FactSpec("", "rcpt"),
    "recipient.mailboxes": FactSpec((), "rcpt"),
    "recipient.groups": FactSpec((), "rcpt"),
    "recipient.is_local": FactSpec(True, "rcpt"),
    "author.address": FactSpec("", "message"),
    "author.domain": FactSpec("", "message"),
    "author.display_name": FactSpec("", "message"),
    "message.size_octets": FactSpec(0, "message"),
    "message.subject": FactSpec("", "message"),
    "message.anomalies": FactSpec((), "message"),
    "message.attachment_types": FactSpec((), "message"),
    "score": FactSpec(0.0, "message"),
    "symbols": FactSpec((), "message"),
}

CORE_FACTS: Mapping[Direction, Mapping[str, FactSpec]] = {
    "inbound": _MESSAGE,
    "submission": {
        **_MESSAGE,
        "identity.user": FactSpec("", "mail"),
        "identity.groups": FactSpec((), "mail"),
        "identity.second_factor": FactSpec(False, "mail"),
    },
    "outbound": {},
    "access": {
        **{name: FactSpec(default, "auth") for name, default in _SESSION.items()},
        "login.protocol": FactSpec("", "auth"),
        "login.mechanism": FactSpec("", "auth"),
        "score": FactSpec(0.0, "auth"),
        "symbols": FactSpec((), "auth"),
    },
}
"""What the core knows in each direction. A login is judged before its secret is looked at, so nobody is identified then."""

NOT_YET = frozenset({"tls.verified"})
"""Facts of the design that nothing supplies yet: a rule about them would silently never match, so naming one is a Problem."""


def known_in(name: str) -> tuple[Direction, ...]:
    """The directions that have this fact of the core."""
    return tuple(direction for direction, facts in CORE_FACTS.items() if name in facts)


class Vocabulary:
    """Every fact of one policy. missing: plugins that the policy names and that are not there (optional or off).

    stages: plugin -> the stage of its last inspect hook; others are known at the last stage of the direction.
    """

    def __init__(
        self, direction: Direction, plugins: Mapping[str, Plugin], stages: Mapping[str, Stage], missing: Iterable[str] = ()
    ) -> None:
        self.direction = direction
        self.facts: dict[str, FactSpec] = dict(CORE_FACTS[direction])
        self.missing = frozenset(missing)
        self.symbols: dict[str, str] = {}
        for name, plugin in plugins.items():
            stage = stages.get(name, RULES[direction].last or "message")
            self.facts[f"{name}.status"] = FactSpec("ok", stage)
            for declared in fields(plugin.facts):
                default = declared.default
                if isinstance(default, (str, int, float, tuple)):
                    self.facts[f"{name}.{declared.name}"] = FactSpec(default, stage)
            for symbol in plugin.symbols:
                self.symbols[symbol] = name
        self.roots = frozenset(name.partition(".")[0] for name in self.facts)

    def members(self, root: str) -> list[str]:
        return [name for name in self.facts if name.startswith(root + ".")]


def cleaned(value: FactValue) -> FactValue:
    """A value fit for a condition: valid Unicode, bounded, so that a hostile header costs no more than a kind one."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        return tuple(_text(item) for item in value[:MAX_ITEMS])
    return value


def is_cut(value: FactValue) -> bool:
    """Does `cleaned` leave something of it out? Then nobody may take what is left for all of it."""
    if isinstance(value, str):
        return len(value) > MAX_TEXT
    return isinstance(value, tuple) and (len(value) > MAX_ITEMS or any(len(item) > MAX_TEXT for item in value))


def cut_among(facts: Mapping[str, FactValue]) -> frozenset[str]:
    """The names of those that are cut. Most facts are short texts, which are told at once."""
    return frozenset(
        [name for name, value in facts.items() if (value.__class__ is not str or len(value) > MAX_TEXT) and is_cut(value)]
    )


def comparable(value: FactValue) -> FactValue:
    """A value fit for a comparison with one text, which costs little however long it is: valid Unicode, all of it."""
    return _valid(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    return _valid(value if len(value) <= MAX_TEXT else value[:MAX_TEXT])


def _valid(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
