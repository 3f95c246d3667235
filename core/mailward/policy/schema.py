"""The keys of a policy file, as dataclasses; the JSON Schema for editors is generated from them.

Shape and types only. What the words refer to (facts, lists, plugins, presets) is checked in `check`.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, timedelta
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError, WithJsonSchema

from mailward.formats.duration import DURATION_PATTERN, parse_duration
from mailward.formats.nearest import nearest
from mailward.formats.yaml_nodes import Node
from mailward.model.errors import Problem
from mailward.model.names import NAME_PATTERN
from mailward.policy.facts import type_name

VERSION = 1

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%")

_CONFIG = ConfigDict(extra="forbid")


def _duration(value: object) -> timedelta:
    try:
        return parse_duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ValueError(f"{error}; {found(value)} was found") from None


def _day(value: object) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"a day such as 2026-12-01 was expected, {found(value)} was found") from None


def _share(value: object) -> float:
    if isinstance(value, str) and (match := _SHARE.fullmatch(value)) and float(match[1]) <= 100:
        return float(match[1])
    raise ValueError(f"a share from 0% to 100% such as 5% was expected, {found(value)} was found")


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _points_or_off(value: object) -> object:
    return math.inf if value == "off" else value


def _empty_for_nothing(value: object) -> object:
    return {} if value is None else value


Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$"})
]
Day = Annotated[date, BeforeValidator(_day)]
Share = Annotated[float, BeforeValidator(_share), WithJsonSchema({"type": "string", "pattern": f"^{_SHARE.pattern}$"})]
OneOrMany = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Points = Annotated[float, Strict(), Field(ge=-1000, le=1000)]
LimitPoints = Annotated[
    float,
    Strict(),
    BeforeValidator(_points_or_off),
    Field(ge=-1000),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"const": "off"}]}),
]
Switch = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
VerdictWord = Literal["reject", "tempfail", "quarantine", "junk", "accept", "discard"]
ErrorVerdict = Literal["reject", "tempfail", "quarantine", "junk", "accept"]


@dataclass(frozen=True, kw_only=True)
class ScopeKeys:
    """For which mail, in access for which logins: every key that is here must hold, and of its words any."""

    __pydantic_config__ = _CONFIG

    recipient: OneOrMany | None = None
    """Domains, addresses, "group:name"."""
    sender: OneOrMany | None = None
    """Domains and addresses of the reverse-path; in submission also "group:name", by the account."""
    network: OneOrMany | None = None
    """The client's addresses: 192.0.2.0/24, "2001:db8::/32", 192.0.2.7."""
    listener: OneOrMany | None = None
    """Names of listeners, as in mailward.yaml."""
    identity: OneOrMany | None = None
    """In submission, the account: addresses, domains, "group:name"."""


@dataclass(frozen=True, kw_only=True)
class PluginKeys:
    """The core's own keys of a plugin's entry; all others are the plugin's settings."""

    __pydantic_config__ = _CONFIG

    mode: Literal["enforce", "shadow", "canary", "off"] = "enforce"
    """enforce: it counts. shadow: recorded, never counted. off: it does not run.

    canary: for a share of senders, or for the mail that `for` names, it is enforced, for all others it is in shadow.
    """
    timeout: Duration = timedelta(seconds=10)
    """Limit of one hook call, at most 120s."""
    on_error: ErrorVerdict = "tempfail"
    """What a failed call of this plugin counts as."""
    heed: Switch = False
    """The verdicts its findings ask for count."""
    optional: Switch = False
    """The server starts without it when it is not installed."""
    order: Whole = 0
    """Its place among the plugins that edit, the lowest first."""
    share: Share | None = None
    """Of a canary: "5%" of senders, always the same ones."""
    scope: Annotated[ScopeKeys | None, Field(alias="for")] = None
    """Of a canary: the mail it counts for."""
    isolation: Literal["none", "process"] = "none"
    """process: it runs in a process of its own, held to what it declares."""


CORE_KEYS = frozenset({"for", *(key.name for key in fields(PluginKeys) if key.name != "scope")})


@dataclass(frozen=True, kw_only=True)
class ListKeys:
    """One list: `author.domain.listed("partners")`."""

    __pydantic_config__ = _CONFIG

    type: Literal["address", "domain", "network", "hash", "text"]
    file: str | None = None
    """Relative to the folder of the policy file; one entry a line; read again when it changes."""
    values: tuple[str, ...] = ()
    database: Switch = False
    """Entries are kept by `mailward list`, for all policies that name this list."""


@dataclass(frozen=True, kw_only=True)
class LimitKeys:
    """From this score on, the verdict; "off" removes a limit."""

    __pydantic_config__ = _CONFIG

    junk: LimitPoints | None = None
    quarantine: LimitPoints | None = None
    reject: LimitPoints | None = None


@dataclass(frozen=True, kw_only=True)
class HeaderKeys:
    """A header field to add on top."""

    __pydantic_config__ = _CONFIG

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class ActionKeys:
    """One action of `do:`; exactly one key."""

    __pydantic_config__ = _CONFIG

    add_header: HeaderKeys | None = None
    remove_header: str | None = None
    subject_prefix: str | None = None
    folder: str | None = None
    flag: str | None = None
    score: Points | None = None
    redirect: str | None = None
    """Not available yet."""
    bcc: str | None = None
    """Not available yet."""


@dataclass(frozen=True, kw_only=True)
class RuleKeys:
    """One rule. Without `when` it always matches; without `then` it only adds its actions."""

    __pydantic_config__ = _CONFIG

    name: Name
    when: str | None = None
    """A condition in CEL."""
    then: VerdictWord | None = None
    do: tuple[ActionKeys, ...] = ()
    reply: str | None = None
    """For reject and tempfail, with facts in braces: "554 5.7.1 Carries {antivirus.name}"."""
    at: Literal["connect", "tls", "helo", "auth", "mail", "rcpt", "data", "message"] | None = None
    """Judge it at this stage and no other (mail, rcpt and message are available, auth in access)."""
    mode: Literal["enforce", "shadow", "canary", "off"] = "enforce"
    share: Share | None = None
    """Of a canary: "5%" of senders, always the same ones."""
    scope: Annotated[ScopeKeys | None, Field(alias="for")] = None
    """Of a canary: the mail it counts for."""
    override: tuple[str, ...] = ()
    """Plugins whose failure or request this rule may go below."""


@dataclass(frozen=True, kw_only=True)
class OverrideKeys:
    """Limits and rules for some mail, in access for some logins, before those of the file."""

    __pydantic_config__ = _CONFIG

    name: Name
    scope: Annotated[ScopeKeys, Field(alias="for")]
    limits: LimitKeys = field(default_factory=LimitKeys)
    rules: tuple[RuleKeys, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MessageKeys:
    """The message of a test."""

    __pydantic_config__ = _CONFIG

    rcpt: OneOrMany
    mail_from: str = ""
    """Empty: the null reverse-path."""
    author: str | None = None
    """The address in From; the reverse-path when it is not given."""
    subject: str = "Test"
    text: str = "Test"
    attach: Literal["eicar"] | None = None
    """live tests only: the EICAR test file."""


@dataclass(frozen=True, kw_only=True)
class TestKeys:
    """A message (in access none), facts, and what is expected.

    Run at every load; `live: true` only under `mailward policy test`.
    """

    __pydantic_config__ = _CONFIG

    name: str
    message: MessageKeys | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    """Facts by name, and `symbols` that were found: their points add up to the score."""
    live: Switch = False
    shadow: Switch = False
    """Judged as if what is in shadow counted: of a rule or a filter that is being tried."""
    expect: Mapping[str, Any]
    """verdict, rule, score; or a verdict for each recipient."""


PluginEntry = Annotated[Mapping[str, Any], BeforeValidator(_empty_for_nothing)]


@dataclass(frozen=True, kw_only=True)
class PolicyKeys:
    """A policy file; its name is the direction it is for: inbound, submission, outbound, access."""

    __pydantic_config__ = _CONFIG

    version: Literal[1]
    """The meaning of this file; no release changes it."""
    extends: str | None = None
    """A shipped preset: mailward/inbound, mailward/submission, mailward/outbound, mailward/access."""
    lists: Mapping[Name, ListKeys] = field(default_factory=dict)
    plugins: Mapping[str, PluginEntry] = field(default_factory=dict)
    scores: Mapping[str, Points] = field(default_factory=dict)
    """Points of a symbol, instead of its plugin's own."""
    limits: LimitKeys = field(default_factory=LimitKeys)
    rules: tuple[RuleKeys, ...] = ()
    """The first enforced rule with `then` that matches decides."""
    overrides: tuple[OverrideKeys, ...] = ()
    replies: Mapping[str, str] = field(default_factory=dict)
    """Texts of the core's own replies, by name."""
    tests: tuple[TestKeys, ...] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a policy file, kept in policies/schema/policy-1.json. Plugins' settings are left open."""
    _CONFIG["use_attribute_docstrings"] = True  # here alone: to find them, all sources are read and parsed again
    schema = TypeAdapter(PolicyKeys).json_schema()
    plugin = TypeAdapter(PluginKeys).json_schema()
    plugin["additionalProperties"] = True
    schema["$defs"]["PluginKeys"] = plugin
    schema["properties"]["plugins"]["additionalProperties"] = {"anyOf": [{"$ref": "#/$defs/PluginKeys"}, {"type": "null"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Mailward policy"}


@lru_cache(maxsize=256)
def _adapter(type_: Any) -> TypeAdapter[Any]:
    return TypeAdapter(type_)


def validate(type_: Any, node: Node, path: str, problems: list[Problem], *, drop: Iterable[str] = ()) -> Any:
    """The node as a value of `type_` (a dataclass of this file or of a plugin's settings), problems added to the list.

    What is wrong is left out and the rest tried again, so that later checks can go on: None only when the rest makes no value.
    `drop`: keys that are looked at elsewhere.
    """
    plain = node.plain()
    if isinstance(plain, dict):
        for key in drop:
            plain.pop(key, None)
    try:
        return _adapter(type_).validate_python(plain)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
    for mistake in mistakes:
        loc = tuple(mistake["loc"])
        problems.append(Problem(node.where_of(loc), _joined(path, loc), *_explain(type_, mistake, loc, node)))
        _prune(plain, loc)
    try:
        return _adapter(type_).validate_python(plain)
    except ValidationError:
        return None


def _explain(type_: Any, mistake: Any, loc: tuple[str | int, ...], node: Node) -> tuple[str, str]:
    kind, value, limits = mistake["type"], mistake["input"], mistake.get("ctx", {})
    if kind == "unexpected_keyword_argument":
        known = _keys_at(type_, loc[:-1])
        return f"there is no key '{loc[-1]}' here", nearest(str(loc[-1]), known) or f"Keys: {', '.join(known)}."
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"the key '{loc[-1]}' is missing", ""
    if kind in ("literal_error", "enum"):
        words = [str(word) for word in _literals_of(limits)]
        return f"{limits['expected'].replace(chr(39), '')} was expected, {found(value)} was found", nearest(str(value), words)
    if kind == "value_error":
        return str(limits["error"]), ""
    if kind == "string_pattern_mismatch":
        return f"a name of letters, digits, '-' and '_' was expected, {found(value)} was found", ""
    if kind.startswith("greater_than") or kind.startswith("less_than"):
        bound = next(iter(limits.values()))
        return (
            f"a number {'from' if kind.startswith('greater') else 'up to'} {bound:g} was expected, {found(value)} was found",
            "",
        )
    expected = _EXPECTED.get(kind)
    if expected is None:
        return f"{mistake['msg'][0].lower()}{mistake['msg'][1:]}; {found(value)} was found", ""
    hint = ""
    if kind == "string_type":
        at = loc[-1] if loc and isinstance(loc[-1], str) else ""
        hint = "Put the whole condition into single quotes: when: '...'" if at == "when" else "Put the value into quotes."
    elif kind == "bool_type" and isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
        hint = f"Write {'true' if value.lower() in ('yes', 'on') else 'false'}; in YAML 1.2 '{value}' is text."
    return f"{expected} was expected, {found(value)} was found", hint


_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "dataclass_type": "a mapping",
    "dataclass_exact_type": "a mapping",
}


def found(value: object) -> str:
    """A value of a file, as a message shows it."""
    if value is None or isinstance(value, (dict, tuple, list)):
        return type_name(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{str(value)[:60]}'" if isinstance(value, str) else f"the number {value}"


def _literals_of(limits: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", limits["expected"])


def _joined(path: str, loc: Iterable[str | int]) -> str:
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def _prune(plain: Any, loc: tuple[str | int, ...]) -> None:
    """Remove what `loc` names: a dict's key, or the item of a tuple's owner as a whole."""
    for step in loc[:-1]:
        if not isinstance(plain, dict) or step not in plain:
            return
        if not isinstance(plain[step], dict):
            plain.pop(step)
            return
        plain = plain[step]
    if isinstance(plain, dict) and loc:
        plain.pop(loc[-1], None)


def _keys_at(type_: Any, loc: tuple[str | int, ...]) -> list[str]:
    """The keys known at a place inside a dataclass."""
    for step in loc:
        inner = _dataclass_in(type_)
        if isinstance(step, str) and inner is not None and step in (hints := _hints(inner)):
            type_ = hints[step]
        else:
            arguments = [a for a in get_args(_bare(type_)) if a is not Ellipsis]
            type_ = arguments[-1] if arguments else type_
    inner = _dataclass_in(type_)
    return list(_hints(inner)) if inner is not None else []


def _hints(inner: type) -> dict[str, Any]:
    hints = get_type_hints(inner, include_extras=True)
    return {_alias(hints[member.name]) or member.name: hints[member.name] for member in fields(inner)}


def _alias(hint: Any) -> str | None:
    for extra in getattr(hint, "__metadata__", ()):
        if getattr(extra, "alias", None):
            return str(extra.alias)
    return None


def _bare(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _dataclass_in(type_: Any) -> Any:
    type_ = _bare(type_)
    if is_dataclass(type_):
        return type_
    if get_origin(type_) in (Union, UnionType):
        return next((a for a in map(_bare, get_args(type_)) if is_dataclass(a)), None)
    return None
