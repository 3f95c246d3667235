"""Which anomalies does a condition speak of that there are none of? A misspelt one would never match, and nobody would hear."""

import re
from collections.abc import Iterator

from mailward.formats.anomalies import ANOMALIES

_LITERAL = r"""(["'])(?P<name>[^"']*)\1"""
_MEMBER = re.compile(_LITERAL + r"\s+in\s+message\.anomalies\b")
_MACRO = re.compile(r"\bmessage\.anomalies\.\w+\(\s*(?P<each>\w+)\s*,(?P<inside>[^()]*)")


def unknown_anomalies(source: str) -> Iterator[str]:
    """The names in `"NAME" in message.anomalies` and `message.anomalies.exists(a, a == "NAME")` that the catalogue lacks."""
    names = [found["name"] for found in _MEMBER.finditer(source)]
    for macro in _MACRO.finditer(source):
        compared = re.compile(rf"\b{macro['each']}\s*[!=]=\s*" + _LITERAL)
        names += [found["name"] for found in compared.finditer(macro["inside"])]
    return (name for name in names if name not in ANOMALIES)
