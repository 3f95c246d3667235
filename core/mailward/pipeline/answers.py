"""Is what a hook returned fit for use? Turns any object into values of the API, or says what is wrong with it.

Plugins are programs of others: their answers are checked as closely as input from the network (T-PLUG-07). Text is cleaned and
cut, since a plugin often quotes the message; whatever would change a verdict (a symbol, a strength, a fact of another type) makes
the call a failed one instead.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import TypeVar, get_args

from mailward.api.commands import AccountCommand, CommandGroup, CommandOption, ServerCommand
from mailward.api.delivering import Delivery, FolderChoice
from mailward.api.dns import DnsRecord
from mailward.api.logins import FactorAnswer
from mailward.api.plugin import Facts, Finding, Plugin, asked_verdict
from mailward.formats.edits import part_of_number
from mailward.formats.mailbox_names import INBOX
from mailward.formats.message import MessageView
from mailward.formats.replacing import check_replacement
from mailward.formats.text import clean
from mailward.model.edits import AddHeader, Edit, PartEncoding, PrefixSubject, RemoveHeader, ReplaceHeader, ReplacePart
from mailward.model.evidence import AuthResult, FactValue
from mailward.model.identity import Identity
from mailward.model.tls import Tlsa, TlsLevel, TlsPolicy, TlsRequirement, TlsResult

T = TypeVar("T")

MAX_FINDINGS = 100
MAX_EDITS = 50
MAX_TEXT = 300
MAX_FACT_CHARACTERS = 10_000
MAX_FACT_ITEMS = 1000
MAX_AUTH_RESULTS = 50
MAX_PROPERTY_CHARACTERS = 1000
MAX_HEADER_CHARACTERS = 10_000
MAX_PREFIX_CHARACTERS = 200
MAX_CONTENT_OCTETS = 1024 * 1024
MAX_NAME_CHARACTERS = 320
MAX_FOLDER_CHARACTERS = 1000
MAX_FOLDERS_MADE = 1000
MAX_REQUIREMENTS = 20
MAX_COMMANDS = 50
MAX_RECORDS = 100
MAX_RECORD_CHARACTERS = 8000

TAKEN = frozenset({"address", "config", "as_json"})
"""Names that every command of a plugin has from the server."""

_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")  # RFC 5322 section 2.2: printable ASCII without the colon
_AUTH_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")  # RFC 8601 section 2.2: Keyword
_COMMAND = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ARGUMENT = re.compile(r"[a-z][a-z0-9_]{0,30}")
_PROPERTY = re.compile(r"[A-Za-z0-9-]{1,64}\.[A-Za-z0-9_.-]{1,64}")

OWN_FIELDS = frozenset({"received", "return-path", "authentication-results"})
"""Fields that only the core writes and removes: trace (RFC 5321 section 4.4) and what readers trust as ours (RFC 8601)."""


class BadAnswer(Exception):
    """A hook returned what its specification does not allow."""


def read_findings(plugin: Plugin, answer: object) -> tuple[Finding, ...]:
    """The findings of an `inspect_*` hook of this plugin, text cleaned. Raises BadAnswer. Iterating may run the plugin's code."""
    if answer is None:
        return ()
    return tuple(_finding(one, plugin) for one in _several(answer, Finding, MAX_FINDINGS, "a Finding, several, or None"))


def read_edits(answer: object, message: MessageView) -> tuple[Edit, ...]:
    """The edits of an `edit_*` hook that was given this message. Raises BadAnswer."""
    edits = _several(answer, get_args(Edit), MAX_EDITS, "an Edit, several, or None")
    for edit in edits:
        _check_edit(edit, message)
    if sum(len(edit.content) for edit in edits if isinstance(edit, ReplacePart)) > MAX_CONTENT_OCTETS:
        raise BadAnswer(f"returned new parts of more than {MAX_CONTENT_OCTETS} octets")
    return tuple(edits)


def read_identity(answer: object) -> Identity | None:
    """The answer of `provide_identity`. Raises BadAnswer."""
    identity = _one(answer, Identity, "an Identity or None")
    if identity is None:
        return None
    if not (_is_name(identity.account) and _is_name(identity.user)):
        raise BadAnswer("returned an Identity whose account or user is no plain text")
    groups_fit = isinstance(identity.groups, tuple) and all(_is_name(group) for group in identity.groups)
    secret_fits = isinstance(identity.app_password, str) and isinstance(identity.credential, str)
    if not groups_fit or not secret_fits or not isinstance(identity.second_factor, bool):
        raise BadAnswer("returned an Identity with values of other types than declared")
    return identity


def read_factor(answer: object) -> FactorAnswer | None:
    """The answer of `provide_second_factor`. Raises BadAnswer."""
    for word in get_args(FactorAnswer):
        if type(answer) is str and answer == word:
            found: FactorAnswer = word
            return found
    if answer is not None:
        raise BadAnswer(f"returned {_kind(answer)}; {', '.join(get_args(FactorAnswer))} or None was expected")
    return None


def read_folder(answer: object, delivery: Delivery) -> FolderChoice | None:
    """The answer of `provide_folder` that was asked about this delivery, its reason cleaned. Raises BadAnswer.

    A folder that the account has may be called as people call theirs: Persian words and emoji have invisible characters in them.
    """
    choice = _one(answer, FolderChoice, "a FolderChoice or None")
    if choice is None:
        return None
    name = choice.name
    if not isinstance(name, str) or not 0 < len(name) <= MAX_FOLDER_CHARACTERS or not isinstance(choice.why, str):
        raise BadAnswer(
            f"returned a FolderChoice whose name is no text of 1 to {MAX_FOLDER_CHARACTERS} characters, or whose reason is none"
        )
    if type(choice.make_up_to) is not int or not 0 <= choice.make_up_to <= MAX_FOLDERS_MADE:
        wrong = clean(repr(choice.make_up_to), 40)
        raise BadAnswer(f"returned a FolderChoice with make_up_to={wrong}; 0 to {MAX_FOLDERS_MADE} was expected")
    why = clean(choice.why, MAX_TEXT)
    if _is_clean(name, MAX_FOLDER_CHARACTERS) or name in [folder.name for folder in delivery.folders]:
        return replace(choice, why=why)
    if choice.make_up_to:
        raise BadAnswer("returned a FolderChoice that makes a folder with control or invisible characters in its name")
    return FolderChoice(INBOX, clean(f"there is no folder {name}: {why}", MAX_TEXT))


def read_requirements(answer: object) -> tuple[TlsRequirement, ...]:
    """The answer of `collect_tls_requirement`, its texts cleaned. Raises BadAnswer."""
    wanted = _several(answer, TlsRequirement, MAX_REQUIREMENTS, "a TlsRequirement, several, or None")
    for one in wanted:
        if not isinstance(one.level, TlsLevel) or not isinstance(one.why, str):
            raise BadAnswer("returned a TlsRequirement without a TlsLevel or without a reason")
        if not isinstance(one.policy, TlsPolicy) or not all(isinstance(record, Tlsa) for record in one.tlsa):
            raise BadAnswer("returned a TlsRequirement whose policy is no TlsPolicy or whose tlsa are no Tlsa")
        if not all(isinstance(name, str) for name in one.names) or not isinstance(one.problem, TlsResult | None):
            raise BadAnswer("returned a TlsRequirement whose names are no text or whose problem is no TlsResult")
    return tuple(one if (why := clean(one.why, MAX_TEXT)) == one.why else replace(one, why=why) for one in wanted)


def read_commands(answer: object) -> tuple[AccountCommand | ServerCommand, ...]:
    """The answer of `collect_commands`. Raises BadAnswer."""
    wanted = "an AccountCommand, a ServerCommand, several, or None"
    commands = _several(answer, (AccountCommand, ServerCommand), MAX_COMMANDS, wanted)
    for command in commands:
        words_fit = _matches(_COMMAND, command.name) and isinstance(command.help, str) and command.help
        if not words_fit or not inspect.iscoroutinefunction(command.run):
            raise BadAnswer(f"returned a command {clean(repr(command.name), 60)} without a plain name, help or an async run")
        _check_arguments(command)
    if len({(getattr(command, "group", ""), command.name) for command in commands}) < len(commands):
        raise BadAnswer("returned two commands of one name")
    return tuple(commands)


def _check_arguments(command: AccountCommand | ServerCommand) -> None:
    of_server = isinstance(command, ServerCommand)
    arguments: object = command.options if isinstance(command, ServerCommand) else command.arguments
    if isinstance(command, ServerCommand) and command.group not in get_args(CommandGroup):
        raise BadAnswer(f"returned a command of a group that takes none; {', '.join(get_args(CommandGroup))} was expected")
    if not isinstance(arguments, Mapping):
        raise BadAnswer(f"returned arguments of {command.name} that are no mapping")
    if TAKEN & set(arguments):
        raise BadAnswer(f"returned an argument of {command.name} with a name of the server's own: {', '.join(sorted(TAKEN))}")
    for name, said in arguments.items():
        fits = isinstance(said, CommandOption) and isinstance(said.help, str) if of_server else isinstance(said, str)
        if not _matches(_ARGUMENT, name) or not fits:
            raise BadAnswer(f"returned an argument of {command.name} that is no plain name with a text")


def read_records(answer: object) -> tuple[DnsRecord, ...]:
    """The answer of `collect_dns_records`. Raises BadAnswer."""
    records = _several(answer, DnsRecord, MAX_RECORDS, "a DnsRecord, several, or None")
    for record in records:
        texts = (record.name, record.type, record.value, record.why)
        if not all(_is_clean(text, MAX_RECORD_CHARACTERS) for text in texts) or not record.name.endswith("."):
            raise BadAnswer("returned a DnsRecord with control characters, or with a name that does not end in a dot")
    return tuple(records)


def reader_of(hook: str) -> "Callable[..., object]":
    """What reads the answer of a hook: called with it, plugin= and arguments= (what the hook was given). Raises BadAnswer."""
    if hook.startswith("inspect_"):
        return lambda answer, plugin, arguments: read_findings(plugin, answer)
    if hook.startswith("edit_"):
        return lambda answer, plugin, arguments: _edits(answer, arguments.get("message"))
    if hook.startswith("on_"):
        return lambda answer, plugin, arguments: None
    if hook == "provide_folder":
        return lambda answer, plugin, arguments: _folder(answer, arguments.get("delivery"))
    reader = _READERS[hook]
    return lambda answer, plugin, arguments: reader(answer)


def _edits(answer: object, message: object) -> tuple[Edit, ...]:
    if isinstance(message, MessageView):
        return read_edits(answer, message)
    return tuple(_several(answer, get_args(Edit), MAX_EDITS, "an Edit, several, or None"))


def _folder(answer: object, delivery: object) -> FolderChoice | None:
    if isinstance(delivery, Delivery):
        return read_folder(answer, delivery)
    return _one(answer, FolderChoice, "a FolderChoice or None")


def flat_facts(plugin: str, facts: Facts) -> dict[str, FactValue]:
    """A plugin's facts as policies name them: "spf.result" -> value. Control characters in text become spaces."""
    flat: dict[str, FactValue] = {}
    for declared in fields(facts):
        value = getattr(facts, declared.name)
        flat[f"{plugin}.{declared.name}"] = (
            clean(value, MAX_FACT_CHARACTERS)
            if isinstance(value, str)
            else tuple(clean(item, MAX_FACT_CHARACTERS) for item in value)
            if isinstance(value, tuple)
            else value
        )
    return flat


def describe(error: BaseException, plugin_file: str = "") -> str:
    """An exception in one line: its class, its text, and the last line of the plugin it came through."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  an exception's own __str__ may fail, too
        text = "(its text cannot be shown)"
    where = ""
    at = error.__traceback__
    while at is not None:
        if plugin_file and at.tb_frame.f_code.co_filename == plugin_file:
            where = f" (line {at.tb_lineno})"
        at = at.tb_next
    head = type(error).__name__
    return clean(f"{head}: {text[:MAX_TEXT]}" if text else head, MAX_TEXT) + where


def _several(answer: object, kinds: type | tuple[type, ...], most: int, wanted: str) -> list:  # type: ignore[type-arg]
    if answer is None:
        return []
    if isinstance(answer, kinds):
        return [answer]
    if not isinstance(answer, Iterable) or isinstance(answer, (str, bytes, bytearray, memoryview, Mapping)):
        raise BadAnswer(f"returned {_kind(answer)}; {wanted} was expected")
    found: list[object] = []
    for one in answer:
        if not isinstance(one, kinds):
            raise BadAnswer(f"returned {_kind(one)} among its answers; {wanted} was expected")
        if len(found) == most:
            raise BadAnswer(f"returned more than {most} answers")
        found.append(one)
    return found


def _one(answer: object, kind: type[T], wanted: str) -> T | None:
    if answer is None or isinstance(answer, kind):
        return answer
    raise BadAnswer(f"returned {_kind(answer)}; {wanted} was expected")


def _is_name(text: object) -> bool:
    return bool(text) and _is_clean(text, MAX_NAME_CHARACTERS)


def _matches(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"a {name}; write async def" if name == "coroutine" else f"a value of type {name[:60]}"


def _finding(finding: Finding, plugin: Plugin) -> Finding:
    if finding.symbol is not None and finding.symbol not in plugin.symbols:
        raise BadAnswer(f"returned the symbol {clean(str(finding.symbol), 60)!r}, which its Plugin does not declare")
    if not isinstance(finding.text, str):
        raise BadAnswer(f"returned a text of type {type(finding.text).__name__}")
    strength = finding.strength
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
        raise BadAnswer(f"returned the strength {clean(repr(strength), 40)}; 0 to 1 was expected")
    try:
        asked_verdict(finding)
    except (ValueError, TypeError) as error:
        raise BadAnswer(clean(f"returned {error}", MAX_TEXT)) from error
    if finding.facts is not None:
        _check_facts(finding.facts, plugin)
    if not isinstance(finding.auth, tuple) or len(finding.auth) > MAX_AUTH_RESULTS:
        raise BadAnswer(f"returned auth results that are no tuple of at most {MAX_AUTH_RESULTS}")
    text = clean(finding.text, MAX_TEXT)
    if text == finding.text and not finding.auth:
        return finding
    return replace(finding, text=text, auth=tuple(_auth(result) for result in finding.auth))


def _check_facts(facts: object, plugin: Plugin) -> None:
    if type(facts) is not plugin.facts:
        raise BadAnswer(f"returned facts of the class {type(facts).__name__[:60]}; {plugin.facts.__name__} was declared")
    for declared in fields(plugin.facts):
        value = getattr(facts, declared.name)
        if not _has_type_of(value, declared.default):
            raise BadAnswer(f"returned the fact {declared.name} as {_kind(value)}; its default is {declared.default!r}")
        items = value if isinstance(value, tuple) else (value,)
        if len(items) > MAX_FACT_ITEMS or any(isinstance(item, str) and len(item) > MAX_FACT_CHARACTERS for item in items):
            raise BadAnswer(f"returned a value of the fact {declared.name} that is too large")


def _has_type_of(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, type(default))


def _auth(result: object) -> AuthResult:
    if not isinstance(result, AuthResult):
        raise BadAnswer(f"returned {_kind(result)} among its auth results")
    words = (result.method, result.result)
    if not all(isinstance(word, str) and _AUTH_WORD.fullmatch(word) for word in words):
        raise BadAnswer(f"returned the auth result {clean(repr(words), 100)}; RFC 8601 wants a plain word")
    properties = []
    for name, value in result.properties:
        if not isinstance(name, str) or not _PROPERTY.fullmatch(name) or not isinstance(value, str):
            raise BadAnswer(f"returned the auth property {clean(repr(name), 100)}; ptype.property was expected")
        properties.append((name, clean(value, MAX_PROPERTY_CHARACTERS)))
    reason = None if result.reason is None else clean(str(result.reason), MAX_TEXT)
    return AuthResult(result.method, result.result, tuple(properties), reason)


def _check_edit(edit: Edit, message: MessageView) -> None:
    if type(edit) not in get_args(Edit):  # the queue could not read it back
        raise BadAnswer(f"returned an edit of the class {type(edit).__name__[:60]}; subclasses cannot be used")
    match edit:
        case PrefixSubject(prefix):
            if not _is_clean(prefix, MAX_PREFIX_CHARACTERS):
                raise BadAnswer(f"returned a subject prefix with control characters or more than {MAX_PREFIX_CHARACTERS} others")
        case ReplacePart():
            _check_new_part(edit, message)
        case AddHeader(name, value):
            _check_field_name(name)
            _check_field_value(name, value)
        case ReplaceHeader(name, value, nth):
            _check_field_name(name)
            _check_field_value(name, value)
            _check_place(name, nth)
        case RemoveHeader(name, nth):
            _check_field_name(name)
            if nth is not None:
                _check_place(name, nth)


def _check_field_name(name: object) -> None:
    if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
        raise BadAnswer(f"returned {clean(repr(name), 100)}, which cannot be a field name (RFC 5322 section 2.2)")
    if name.lower() in OWN_FIELDS:
        raise BadAnswer(f"returned an edit of {name}, which only the server writes")


def _check_field_value(name: str, value: object) -> None:
    if not _is_clean(value, MAX_HEADER_CHARACTERS):
        raise BadAnswer(f"returned a value of {name} with control characters or more than {MAX_HEADER_CHARACTERS} others")


def _check_place(name: str, nth: object) -> None:
    if type(nth) is not int or nth < 0:
        raise BadAnswer(f"returned {clean(repr(nth), 40)} as the place of a {name} field; 0 or more was expected")


def _check_new_part(edit: ReplacePart, message: MessageView) -> None:
    texts = (edit.number, edit.content_type, "" if edit.disposition is None else edit.disposition)
    if not all(_is_clean(text, MAX_PROPERTY_CHARACTERS) for text in texts) or type(edit.content) is not bytes:
        raise BadAnswer("returned a new part whose number or fields are no plain text, or whose content is not bytes")
    if edit.encoding not in get_args(PartEncoding):
        wanted = " or ".join(get_args(PartEncoding))
        raise BadAnswer(f"returned a new part in {clean(repr(edit.encoding), 60)}; {wanted} was expected")
    try:
        check_replacement(edit)
    except ValueError as error:
        raise BadAnswer(clean(f"returned a new part that cannot be written: {error}", MAX_TEXT)) from error
    if part_of_number(message, edit.number) is None:
        raise BadAnswer(f"returned a new part {clean(repr(edit.number), 60)}, and the message has none of this number to replace")


def _is_clean(text: object, limit: int) -> bool:
    return isinstance(text, str) and clean(text, limit) == text


_READERS: Mapping[str, Callable[[object], object]] = {
    "provide_identity": read_identity,
    "provide_second_factor": read_factor,
    "collect_tls_requirement": read_requirements,
    "collect_commands": read_commands,
    "collect_dns_records": read_records,
}
