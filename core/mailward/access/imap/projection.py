"""HEADER.FIELDS of a stored header block, in two passes of a regular expression: this is what most clients ask of every message.

Only for blocks whose every line is a sound field; what is not gets the one reading of `formats.sections`, which this must equal.
"""

import re
from collections.abc import Callable
from functools import lru_cache

_REST = rb":[^\n]*+\n(?:[ \t][^\n]*+\n)*"
_SOUND = re.compile(rb"(?:[!-9;-~]++" + _REST + rb")*\r\n")
_MAX_NAMES = 40

Projection = Callable[[bytes], bytes | None]


@lru_cache(maxsize=512)
def projection(names: tuple[str, ...], *, without: bool) -> Projection | None:
    """What cuts these fields (or all but these) out of a block; None when there are too many names.

    The function gives the fields in their order and the empty line, or None for a block it cannot tell.
    """
    if len(names) > _MAX_NAMES:
        return None
    wanted = b"(?:" + b"|".join(sorted({re.escape(name.lower().encode("ascii")) for name in names})) + b"):"
    other = rb"(?!" + wanted + rb")[!-9;-~]++" + _REST
    chosen = rb"(?=" + wanted + rb")[!-9;-~]++" + _REST
    pattern = re.compile(rb"(?m:^)(?:" + (chosen if without else other) + rb")*((?:" + (other if without else chosen) + rb")+)")

    def project(block: bytes) -> bytes | None:
        lower = block.lower()
        if _SOUND.fullmatch(lower) is None:
            return None
        return b"".join([block[match.start(1) : match.end(1)] for match in pattern.finditer(lower)]) + b"\r\n"

    return project
