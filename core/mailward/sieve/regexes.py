"""Does text match a regular expression? (draft-ietf-sieve-regex: the extended ones of POSIX)

RE2 takes the longest match as POSIX does, and time that grows with the text alone: no expression makes it slow (T-DOS-09).
"""

import re
from functools import lru_cache

import re2

from mailward.sieve.limits import LIMITS
from mailward.sieve.text import MOST_MATCH_VALUES

_SPECIAL = re.compile(r"[][\\.^$*+?{}()|]")


class RegexError(Exception):
    """An expression that cannot be used; its text says why."""


@lru_cache(maxsize=32)
def _compiled(expression: str, ignores_case: bool) -> re2._Regexp:
    options = re2.Options()
    options.longest_match = True
    options.log_errors = False
    options.max_mem = LIMITS.regex_octets
    options.case_sensitive = not ignores_case
    options.dot_nl = True
    try:
        found = re2.compile(_encodable(expression), options)
        if found.groups > MOST_MATCH_VALUES:  # each makes every step dearer, and no script can name them all
            options.never_capture = True
            found = re2.compile(_encodable(expression), options)
        return found
    except re2.error as error:
        why = error.args[0] if error.args else b""
        raise RegexError(why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)) from None


def check_regex(expression: str) -> None:
    """Raises RegexError for what is no expression."""
    _compiled(expression, False)


def cost_of_regex(expression: str) -> int:
    """How much more than one step a character takes in the worst case, when what is looked for can be in many states at once."""
    compiled = _compiled(expression, False)
    return 1 + compiled.programsize * (1 + compiled.groups) // 8


def search_regex(expression: str, text: str, *, ignores_case: bool) -> tuple[str, ...] | None:
    """What matched, then what each group did, "" for one that took no part; None where nothing matches. Raises RegexError."""
    found = _compiled(expression, ignores_case).search(_encodable(text))
    return None if found is None else (found.group(0) or "", *(group or "" for group in found.groups()))


def quoted_regex(text: str) -> str:
    """An expression that matches this text only."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _encodable(text: str) -> str:
    """RE2 reads UTF-8: an octet that is none, which stands as a surrogate, is read as a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
