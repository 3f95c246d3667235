"""Scripts that were compiled of late, by their text: the same one meets each mail of its owner, and may be included by many."""

from dataclasses import replace
from functools import lru_cache

from mailward.sieve.check import ScriptError, checked_script
from mailward.sieve.limits import LIMITS, Limits
from mailward.sieve.running import Language, Script

_SMALL_OCTETS = 32 * 1024
"""A compiled script takes fifty times the room of its text, so few that are larger are kept."""


def compile_script(octets: bytes, language: Language, limits: Limits = LIMITS, name: str = "") -> Script:
    """The script that these octets are. Raises ScriptError, for any octets that are none. name: as problems are told."""
    compiled = _small if len(octets) <= _SMALL_OCTETS else _large
    try:
        return replace(compiled(octets, language, limits), name=name)
    except ScriptError as error:
        raise ScriptError([replace(problem, script=name) for problem in error.problems]) from None


@lru_cache(maxsize=32)
def _small(octets: bytes, language: Language, limits: Limits) -> Script:
    return checked_script(octets, language, limits)


@lru_cache(maxsize=2)
def _large(octets: bytes, language: Language, limits: Limits) -> Script:
    return checked_script(octets, language, limits)
