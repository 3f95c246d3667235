"""Is what a hook returned fit for use? Turns any object into values of the API, or says what is wrong with it.

Plugins are programs of others: their answers are checked as closely as input from the network (T-PLUG-07). Text is cleaned and
cut, since a plugin often quotes the message; whatever would change a verdict (a symbol, a strength, a fact of another type) makes
the call a failed one instead.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import get_args

from mailward.api.plugin import Facts, Finding, Plugin, asked_verdict
from mailward.model.edits import AddHeader, Edit, PrefixSubject
from mailward.model.evidence import AuthResult, FactValue

MAX_FINDINGS = 100
MAX_EDITS = 50
MAX_TEXT = 300
MAX_FACT_CHARACTERS = 10_000
MAX_FACT_ITEMS = 1000
MAX_AUTH_RESULTS = 50
MAX_PROPERTY_CHARACTERS = 1000
MAX_HEADER_CHARACTERS = 10_000
MAX_PREFIX_CHARACTERS = 200

_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")  # RFC 5322 section 2.2: printable ASCII without the colon
_AUTH_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")  # RFC 8601 section 2.2: Keyword
_PROPERTY = re.compile(r"[A-Za-z0-9-]{1,64}\.[A-Za-z0-9_.-]{1,64}")

OWN_FIELDS = frozenset({"received", "return-path", "authentication-results"})
"""Fields that only the core writes and removes: trace (RFC 5321 section 4.4) and what readers trust as ours (RFC 8601)."""


class BadAnswer(Exception):
    """A hook returned what its specification does not allow."""


def read_findings(answer: object, plugin: Plugin) -> tuple[Finding, ...]:
    """The findings of an `inspect_*` hook, text cleaned. Raises BadAnswer. Iterating may run the plugin's code."""
    return tuple(_finding(one, plugin) for one in _several(answer, Finding, MAX_FINDINGS, "a Finding, several, or None"))


def read_edits(answer: object) -> tuple[Edit, ...]:
    """The edits of an `edit_*` hook. Raises BadAnswer."""
    edits = _several(answer, get_args(Edit), MAX_EDITS, "an Edit, several, or None")
    for edit in edits:
        _check_edit(edit)
    return tuple(edits)


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


def clean(text: str, limit: int) -> str:
    """At most `limit` characters, without control characters, bidirectional overrides and surrogates; each becomes a space."""
    short = text[:limit]
    if short.isascii() and short.isprintable():
        return short
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in short)


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


def _check_edit(edit: Edit) -> None:
    if isinstance(edit, PrefixSubject):
        if not _is_clean(edit.prefix, MAX_PREFIX_CHARACTERS):
            raise BadAnswer(f"returned a subject prefix with control characters or more than {MAX_PREFIX_CHARACTERS} others")
        return
    if not isinstance(edit.name, str) or not _FIELD_NAME.fullmatch(edit.name):
        raise BadAnswer(f"returned {clean(repr(edit.name), 100)}, which cannot be a field name (RFC 5322 section 2.2)")
    if edit.name.lower() in OWN_FIELDS:
        raise BadAnswer(f"returned an edit of {edit.name}, which only the server writes")
    if isinstance(edit, AddHeader) and not _is_clean(edit.value, MAX_HEADER_CHARACTERS):
        raise BadAnswer(f"returned a value of {edit.name} with control characters or more than {MAX_HEADER_CHARACTERS} others")


def _is_clean(text: object, limit: int) -> bool:
    return isinstance(text, str) and clean(text, limit) == text
