"""Texts of a policy with facts in braces: replies, header values, subject prefixes.

A brace names a fact and nothing else: no expressions, no attributes, no environment (T-PLUG-09); what is filled in is not
looked at again. Facts come from strangers, so only printable ASCII of them is used (T-PLUG-07).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from mailward.model.evidence import FactValue
from mailward.model.reply import Reply
from mailward.model.verdict import Verdict

MAX_TEXT = 200
MAX_WORDING = 400
"""Of the core's own replies: code, enhanced code and id fit beside it into 512 octets (RFC 5321 section 4.5.3.1.5)."""
_BRACE = re.compile(r"\{([^{}]*)\}")
_REPLY = re.compile(r"([0-9]{3}) ([245]\.[0-9]{1,3}\.[0-9]{1,3}) (.+)")
_CODE = re.compile(r"\s*[2-5][0-9]{2}(?:[ -]|$)|\s*[245]\.[0-9]{1,3}\.[0-9]{1,3}(?: |$)")
_PRINTABLE = re.compile(r"[ -~]*")
_CODES = {Verdict.REJECT: re.compile(r"5(?:[05][0-9]|30)"), Verdict.TEMPFAIL: re.compile(r"4[5][0-9]")}
_EXAMPLES = {Verdict.REJECT: "554 5.7.1 Text", Verdict.TEMPFAIL: "451 4.7.1 Text"}


class TextError(ValueError):
    """A text that cannot be used, in words for an admin."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and names of facts in turn: parts[0] literal, parts[1] a fact, parts[2] literal ..."""

    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.parts[1::2]

    def fill(self, lookup: Callable[[str], FactValue]) -> str:
        """The text, at most 200 characters of printable ASCII."""
        pieces = [part if index % 2 == 0 else shown(lookup(part)) for index, part in enumerate(self.parts)]
        return printable("".join(pieces))[:MAX_TEXT]


@dataclass(frozen=True, slots=True)
class ReplyText:
    """`reply: "554 5.7.1 This message carries {antivirus.name}"`."""

    code: int
    enhanced: str
    template: Template

    def reply(self, lookup: Callable[[str], FactValue]) -> Reply:
        return Reply(self.code, self.enhanced, (self.template.fill(lookup),))


def template(text: str) -> Template:
    """Raises TextError for control or non-ASCII characters, for braces that name nothing, and for more than 200 characters."""
    if not _PRINTABLE.fullmatch(text):
        raise TextError("only printable ASCII can be used here")
    if len(text) > MAX_TEXT:
        raise TextError(f"the text has {len(text)} characters; at most {MAX_TEXT} are sent")
    parts = tuple(_BRACE.split(text))
    if any("{" in part or "}" in part for part in parts[::2]) or any(not name for name in parts[1::2]):
        raise TextError("a brace must name a fact, as in {author.domain}")
    return Template(parts)


def reply_text(text: str, verdict: Verdict) -> ReplyText:
    """Raises TextError when it is no reply (RFC 5321 section 4.2, RFC 3463) or its codes do not fit the verdict."""
    codes = _CODES.get(verdict)
    if codes is None:
        raise TextError(f"{verdict.value} has no reply of its own; only reject and tempfail have")
    match = _REPLY.fullmatch(text)
    if match is None:
        raise TextError(f'a reply is written "{_EXAMPLES[verdict]}"')
    code, enhanced, rest = match.groups()
    if not codes.fullmatch(code) or enhanced[0] != code[0]:
        raise TextError(f'the code {code} {enhanced} does not fit {verdict.value}; "{_EXAMPLES[verdict]}" does')
    return ReplyText(int(code), enhanced, template(rest))


def wording(text: str, of: Reply) -> str:
    """An admin's text for a reply of the core, with `{names}` of that reply's own values only. Raises TextError."""
    if not text.strip() or not _PRINTABLE.fullmatch(text):
        raise TextError("printable ASCII on one line was expected")
    if len(text) > MAX_WORDING:
        raise TextError(f"the text has {len(text)} characters; at most {MAX_WORDING} fit into a reply with its code and id")
    if _CODE.match(text):
        raise TextError("the code stays the server's; write the text alone")
    own = _BRACE.findall(of.lines[0])
    if set(_BRACE.findall(text)) - set(own) or re.search(r"[{}]", _BRACE.sub("", text)):
        names = ", ".join(f"{{{name}}}" for name in own)
        raise TextError(f"braces may only hold what this reply fills in: {names}" if own else "this reply fills in no braces")
    return text


def shown(value: FactValue) -> str:
    """A fact as people read it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def printable(text: str) -> str:
    """Everything but printable ASCII as "?"."""
    return text if _PRINTABLE.fullmatch(text) else "".join(c if " " <= c <= "~" else "?" for c in text)
