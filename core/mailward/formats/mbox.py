"""Where does each message of an mbox file lie? (RFC 4155)"""

import mmap
import re

_START = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]*\r?\n(?=[!-9;-~]+:)")
"""The line before a message: at the start or after an empty line, and a header follows."""


def message_spans(octets: bytes | mmap.mmap) -> list[tuple[int, int]]:
    """Begin and end of each message, without the line before it and the empty one behind; none when this is no mbox file."""
    if octets[:5] != b"From ":
        return []
    starts = [found.span() for found in _START.finditer(octets)]
    ends = [*(start for start, _ in starts[1:]), len(octets)][: len(starts)]
    return [(begin, _before_empty_line(octets, end)) for (_, begin), end in zip(starts, ends, strict=True)]


def _before_empty_line(octets: bytes | mmap.mmap, end: int) -> int:
    last = octets[max(0, end - 3) : end]
    if last.endswith(b"\n\n"):
        return end - 1
    return end - 2 if last == b"\n\r\n" else end
