"""Which values are on a list that is kept outside of the script? (RFC 6134)

Lists are named by URIs. A list that is not there is a mistake, which the owner is told: a test that is quietly false would be
found by nobody. `valid_ext_list` asks without making one.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from mailward.sieve.arguments import Shape, Takes
from mailward.sieve.endings import RunProblem
from mailward.sieve.running import Run, Step, Test

SCHEMES = ("tag", "urn")
"""Of the URIs that name lists (RFC 4151, RFC 8141)."""
_URI = re.compile(r"(tag|urn):[A-Za-z0-9._~:/?#\[\]@!$&'*+(),;=%-]+", re.IGNORECASE)
_SIEVE = "urn:ietf:params:sieve"
_LOOKUP_CHARACTERS = 1000
"""What it costs to look a value up, however short it is."""
_ASKING = 64
"""How much dearer it is to look a value up than to look at it: it may be many short addresses."""
_PASSING = 16
"""What a value costs that is not looked up, as it was already."""
_AT_ONCE = 512
"""Values of one question."""


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
    """The first value that is on any of these lists. They are asked for many values at once, and for each of them once."""
    names = [*dict.fromkeys(found_list(run, key) for key in keys)]
    different = _different(run, values)
    while some := tuple(islice(different, _AT_ONCE)):
        run.spending.look_through(len(names) * sum(_LOOKUP_CHARACTERS + _ASKING * len(value) for value in some))
        found = run.outside.first_listed(names, some)
        if found is not None:
            return found
    return None


def _different(run: Run, values: Iterable[str]) -> Iterator[str]:
    known: set[str] = set()
    for value in values:
        run.spending.look_through(_PASSING + len(value))
        if value not in known:
            known.add(value)
            yield value


def _are_valid(run: Run, step: Step) -> bool:
    names = [list_name(text) for text in run.texts(step.strings(0))]
    return all(name is not None and run.outside.has_list(name) for name in names)


TESTS = (Test("valid_ext_list", (Takes("list names", Shape.STRINGS),), extension="extlists", holds=_are_valid),)
