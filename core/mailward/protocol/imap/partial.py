"""A page of results, in SEARCH, SORT and UID FETCH (RFC 9394)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailward.protocol.imap.arguments import Arguments, BadSyntax

_RANGE = re.compile(rb"(-?)([1-9][0-9]{0,9}):\1([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class Page:
    """The results from `first` to `last`, counted from 1; from_end: from the last one backwards."""

    first: int
    last: int
    from_end: bool

    def __str__(self) -> str:
        """The lower number first: 4:2 is the same range as 2:4 (RFC 9394 section 3.1)."""
        sign = "-" if self.from_end else ""
        return f"{sign}{self.first}:{sign}{self.last}"

    def of(self, results: Sequence[int]) -> Sequence[int]:
        """Those on the page, in the order of the results; fewer or none where there are not so many."""
        if not self.from_end:
            return results[self.first - 1 : self.last]
        return results[max(len(results) - self.last, 0) : max(len(results) - self.first + 1, 0)]


def read_page(arguments: Arguments) -> Page:
    """` 1:100` or ` -1:-100`, what follows PARTIAL. Raises BadSyntax."""
    arguments.space()
    match = _RANGE.fullmatch(arguments.atom_as_written())
    if match is None:
        raise BadSyntax("A range such as 1:100 or -1:-100 was expected")
    first, last = sorted((int(match[2]), int(match[3])))
    if last > 0xFFFFFFFF:
        raise BadSyntax("A number of 32 bits was expected")
    return Page(first, last, match[1] == b"-")
