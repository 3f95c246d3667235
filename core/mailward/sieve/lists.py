"""Which values are on a list that is kept outside of the script? (RFC 6134)

Lists are named by URIs. A list that is not there is a mistake, which the owner is told: a test that is quietly false would be
found by nobody. `valid_ext_list` asks without making one.
"""

import re
from collections.abc import Iterable

from mailward.sieve.arguments import Shape, Takes
from mailward.sieve.endings import RunProblem
from mailward.sieve.running import Run, Step, Test

SCHEMES = ("tag", "urn")
"""Of the URIs that name lists (RFC 4151, RFC 8141)."""
_URI = re.compile(r"(tag|urn):[A-Za-z0-9._~:/?#\[\]@!$&'*+(),;=%-]+", re.IGNORECASE)
_SIEVE = "urn:ietf:params:sieve"
_ASKING = 16
"""How much dearer it is to look a value up than to look at it."""


def list_name(text: str) -> str | None:
    """The URI of a list in the one form in which it is compared; None where this is none.

    ":addrbook:default" is short for "urn:ietf:params:sieve:addrbook:default". Of a tag the scheme alone has no case.
    """
    if text.startswith(":"):
        text = _SIEVE + text
    if not _URI.fullmatch(text):
        return None
    scheme, _, rest = text.partition(":")
    return f"urn:{rest.lower()}" if scheme.lower() == "urn" else f"tag:{rest}"


def found_list(run: Run, text: str) -> str:
    """The name of a list that is there. Raises RunProblem."""
    name = list_name(text)
    if name is None or not run.outside.has_list(name):
        raise RunProblem(f"there is no list {text[:80]!r}")
    return name


def listed(run: Run, values: Iterable[str], keys: list[str]) -> str | None:
    """The first value that is on any of these lists."""
    names = [found_list(run, key) for key in keys]
    for value in values:
        for name in names:
            run.spending.look_through(_ASKING * len(value))
            if run.outside.is_listed(name, value):
                return value
    return None


def _are_valid(run: Run, step: Step) -> bool:
    names = [list_name(text) for text in run.texts(step.strings(0))]
    return all(name is not None and run.outside.has_list(name) for name in names)


TESTS = (Test("valid_ext_list", (Takes("list names", Shape.STRINGS),), extension="extlists", holds=_are_valid),)
