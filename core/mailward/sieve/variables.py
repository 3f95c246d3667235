"""Text that a script makes and keeps: set and string (RFC 5229)."""

from urllib.parse import quote

from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.regexes import quoted_regex
from mailward.sieve.running import Checking, Command, Run, Step, Test
from mailward.sieve.text import NAME, Text
from mailward.sieve.wildcards import quoted

_NAME_CHARACTERS = 64


def encoded_url(text: str) -> str:
    """RFC 5435 section 6: everything but what no URI reserves is escaped."""
    return quote(text.encode("utf-8", "surrogateescape"), safe="-._~")


_MODIFIERS = {
    "lower": (40, str.lower),
    "upper": (40, str.upper),
    "lowerfirst": (30, lambda text: text[:1].lower() + text[1:]),
    "upperfirst": (30, lambda text: text[:1].upper() + text[1:]),
    "quotewildcard": (20, quoted),
    "quoteregex": (20, quoted_regex),
    "encodeurl": (15, encoded_url),
    "length": (10, lambda text: str(len(text))),
}
"""RFC 5229 section 4.1: by name, the precedence and what is done; the highest comes first."""

_EXTENSIONS = {"quoteregex": "regex", "encodeurl": "enotify"}
"""Those that come with another extension."""
MODIFIERS = tuple(
    TagRule(name, f"modifier {precedence}", extension=_EXTENSIONS.get(name, "variables"))
    for name, (precedence, _) in _MODIFIERS.items()
)


_MODIFYING = 16
"""What a character of a value costs that is modified."""


def modified(run: Run, step: Step, value: str) -> str:
    """The value as the modifiers of a step make it."""
    uses = [use.name for group, use in step.tags.items() if group.startswith("modifier ")]
    for name in sorted(uses, key=lambda name: -_MODIFIERS[name][0]):
        run.spending.look_through(_MODIFYING * len(value))
        value = _MODIFIERS[name][1](value)
    return value


def check_variable(checking: Checking, step: Step, index: int = 0) -> None:
    """Can the string at this index be the name of a variable that is set?"""
    check_name(checking, step.string(index))


def check_name(checking: Checking, text: Text) -> None:
    name = text.constant
    if name is None or not NAME.fullmatch(name):
        checking.problem(text.place, "the name of a variable is a constant word of letters, digits and underscores")
    elif len(name) > _NAME_CHARACTERS:
        checking.problem(text.place, f"the name of the variable is longer than {_NAME_CHARACTERS} characters")
    elif "." in name and name.lower().rpartition(".")[0] not in checking.namespaces:
        checking.problem(text.place, f"unknown namespace of the variable '{name[:40]}', or one that cannot be set")
    elif name.lower() not in checking.variables:
        checking.variables.add(name.lower())
        if len(checking.variables) == checking.limits.variables + 1:
            checking.problem(text.place, f"the script has more than {checking.limits.variables} variables")


def _set(run: Run, step: Step) -> None:
    run.set_variable((step.string(0).constant or "").lower(), modified(run, step, run.text(step.string(1))))


def _string(run: Run, step: Step) -> bool:
    return matches(run, step, run.texts(step.strings(0)), step.strings(1))


COMMANDS = (
    Command(
        "set",
        (Takes("name", Shape.STRING), Takes("value", Shape.STRING)),
        MODIFIERS,
        "variables",
        check=check_variable,
        do=_set,
    ),
)
TESTS = (
    Test(
        "string",
        (Takes("source", Shape.STRINGS), Takes("key list", Shape.STRINGS)),
        MATCHING,
        "variables",
        check=check_matching,
        holds=_string,
    ),
)
