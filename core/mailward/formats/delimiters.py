"""Where is the next delimiter line of the multiparts that are open? (RFC 2046 section 5.1.1)

The outer boundaries are searched for one by one, each no further than the next line of the one around it. Those nested deeper
than honest mail has them are searched for together, so that however many are open no octet is looked at for each of them.
"""

from collections.abc import Iterable
from typing import NamedTuple

from mailward.formats import budgets
from mailward.formats.header import header_end
from mailward.formats.octets import Octets, find

_BLANKS = b" \t\r\n"
_EXACT = (b"", b"--")
"""What stands behind a boundary in a delimiter line and in a close delimiter line."""
_OUTER = 2
"""So many boundaries are searched for one by one."""
_HEADER_OCTETS = 4 * 1024
"""Headers of parts are shorter, nearly all."""
_UNKNOWN = -1


class _Lines:
    """How delimiter lines of some boundaries begin, each once; what all of them begin with; the length of the longest."""

    __slots__ = ("all", "longest", "prefix")

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.all = tuple(set(lines))
        self.longest = max(map(len, self.all))
        self.prefix = self.all[0]
        if len(self.all) > 1:
            first, last = min(self.all), max(self.all)
            self.prefix = first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


class _Boundary:
    """line: how its delimiter lines begin, with the line feed before. place: of its multipart in the stack.

    next: where its next delimiter line begins; that of the outer multipart which ends this one, where none comes before.
    Only known of outer boundaries.
    """

    __slots__ = ("line", "lines", "next", "place")

    def __init__(self, boundary: bytes, place: int) -> None:
        self.line = b"\n--" + boundary
        self.lines = _Lines((self.line,))
        self.place = place
        self.next = _UNKNOWN


class Owner(NamedTuple):
    """Whose a delimiter line is. place: of the multipart in the stack. rest: what stands behind the boundary, without blanks.

    is_exact: rest is nothing, or the two hyphens that close the multipart.
    """

    place: int
    rest: bytes
    is_exact: bool


class OpenBoundaries:
    """The boundaries whose delimiter lines count, the outermost first. Places asked for only rise.

    is_exact_only: a line that only begins with a boundary does not count, because inner boundaries are not known.
    looked_at: lines that were looked at and were none of those sought. Beyond the budget none is found any more.
    """

    def __init__(self, octets: Octets) -> None:
        self.is_exact_only = False
        self.looked_at = 0
        self._octets = octets
        self._end = len(octets)
        self._open: list[_Boundary] = []
        # Of the boundaries beyond the outer ones: how their lines begin, where to look for one, where one is.
        self._inner: _Lines | None = None
        self._inner_from = 0
        self._inner_next = _UNKNOWN

    @property
    def innermost(self) -> int:
        """The place of the innermost multipart in the stack; -1 when none is open."""
        return self._open[-1].place if self._open else -1

    def open(self, boundary: bytes, place: int, at: int) -> None:
        """The multipart at this place begins; its first delimiter line may be the one at `at`."""
        self._open.append(_Boundary(boundary, place))
        self._inner = None
        self.look_from(at)

    def close(self) -> None:
        """Lines of the innermost boundary count no more."""
        self._open.pop()
        self._inner = None

    def next_line(self) -> int:
        """Where the next delimiter line of any of them begins; the end when there is none."""
        if not self._open:
            return self._end
        if len(self._open) <= _OUTER:
            return self._open[-1].next
        if self._inner_next == _UNKNOWN:
            self._inner_next = self._find_inner(self._inner_from, self._open[_OUTER - 1].next)
        return self._inner_next

    def header_end(self, start: int) -> int:
        """Where the header that begins at `start` ends: a delimiter line ends it as well as an empty line does."""
        if len(self._open) > _OUTER and self._inner_next == _UNKNOWN:
            # The part may open a further boundary, so what comes behind its header is not looked at before that is known.
            near = min(start + _HEADER_OCTETS, self._open[_OUTER - 1].next)
            end = header_end(self._octets, start, near)
            line = self._find_inner(start, end)
            if line < end:
                self._inner_next = line
                return line
            if end < near:
                self._inner_from = end
                return end
        return header_end(self._octets, start, self.next_line())

    def look_from(self, at: int) -> None:
        """From now on the next delimiter lines are those from the line that begins at `at`."""
        self._inner_from, self._inner_next = at, _UNKNOWN
        # None is looked for beyond that of one around it, so those not known are the innermost.
        known = min(len(self._open), _OUTER)
        while known and self._open[known - 1].next < at:
            known -= 1
        limit, line = (self._open[known - 1].next, self._open[known - 1].line) if known else (self._end, b"")
        for boundary in self._open[known:_OUTER]:
            if boundary.line != line:
                # One that begins where an outer one does may share its line.
                line = boundary.line
                limit = self._find(boundary.lines, at - 1, limit)
            boundary.next = limit

    def owner(self, line: int) -> Owner:
        """Whose the delimiter line is: of the innermost boundary that is all of it, otherwise of the longest one.

        RFC 2046 section 5.1.1 has a line that begins with the boundary be enough.
        """
        start = line - 1
        longest, behind = self._open[0], b""
        for number in range(len(self._open) - 1, -1, -1):
            boundary = self._open[number]
            if number < _OUTER and boundary.next != line:
                break  # nor does a line of an outer one begin here
            end = start + len(boundary.line)
            if self._octets[start:end] != boundary.line:
                continue
            rest = self._rest_of_line(end)
            if rest in _EXACT:
                return Owner(boundary.place, rest, True)
            if not behind or len(boundary.line) > len(longest.line):
                longest, behind = boundary, rest
        return Owner(longest.place, behind, False)

    def _find_inner(self, at: int, limit: int) -> int:
        """The next delimiter line of the inner boundaries from the line that begins at `at`; `limit` when none comes before."""
        if self._inner is None:
            self._inner = _Lines(boundary.line for boundary in self._open[_OUTER:])
        return self._find(self._inner, at - 1, limit)

    def _find(self, lines: _Lines, start: int, limit: int) -> int:
        """Where the first line begins that one of these begins; `limit` when it would be beyond that."""
        end = min(limit - 1 + len(lines.prefix), self._end)
        while (found := find(self._octets, lines.prefix, start, end)) >= 0:
            if self._counts(lines, found):
                return found + 1
            self.looked_at += 1
            if self.looked_at >= budgets.DELIMITERS_LOOKED_AT:
                break
            start = found + 1
        return limit

    def _counts(self, lines: _Lines, start: int) -> bool:
        """Whether one of them stands here, where their common beginning does."""
        if not self.is_exact_only:
            return len(lines.all) == 1 or self._octets[start : start + lines.longest].startswith(lines.all)
        line = b"\n" + self._rest_of_line(start + 1, lines.longest)
        return line in lines.all or (line.endswith(b"--") and line[:-2] in lines.all)

    def _rest_of_line(self, start: int, more_octets: int = 0) -> bytes:
        """What stands behind a boundary, without blanks; they stay where the line is longer than is looked at, for it goes on."""
        length = budgets.BOUNDARY_OCTETS + more_octets
        line, newline, _ = self._octets[start : start + length].partition(b"\n")
        return line.rstrip(_BLANKS) if newline or start + length >= self._end else line
