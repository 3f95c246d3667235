"""Which parts does a message have, and where do they lie? (RFC 2045, 2046)

One forward pass that looks for the delimiter lines of the multiparts that are open, with a stack instead of recursion: offsets
only rise, and no octet of a body is copied or looked at twice for one boundary. Budgets of depth and parts end the pass, never
the message. A multipart that cannot be split is read as text, as clients show it, so its content is never out of sight.
"""

from mailward.formats import budgets
from mailward.formats.header import header_end
from mailward.formats.octets import Octets, find
from mailward.formats.part import PartView

_BLANKS = b" \t\r\n"
_EXACT = (b"", b"--")
"""What stands behind a boundary in a delimiter line and in a close delimiter line."""


class _Boundary:
    """A boundary whose delimiter lines count, and the place of its multipart in the stack.

    next: where its next delimiter line begins; that of the outer multipart which ends this one, where none comes before.
    """

    __slots__ = ("line", "next", "place")

    def __init__(self, boundary: bytes, place: int) -> None:
        self.line = b"\n--" + boundary
        self.place = place
        self.next = -1


def index(octets: Octets, holder: PartView | None = None) -> PartView:
    """The root of the tree of parts. Never raises on content.

    holder: the attached message whose decoded octets these are; the root becomes its part, but not its child.
    """
    return _Index(octets, holder).read()


class _Index:
    """One pass over one message. A boundary is searched for up to the next delimiter line of an outer one, and no octet twice."""

    def __init__(self, octets: Octets, holder: PartView | None) -> None:
        self._octets = octets
        self._end = len(octets)
        self._holder = holder
        self._depth = 0 if holder is None else holder.depth + 1
        self._stack: list[PartView] = []
        self._open: list[_Boundary] = []
        self._most_parts = budgets.parts_of(self._end)
        self._parts = self._delimiters = 0
        self._is_deep = False

    def read(self) -> PartView:
        self._open_parts(0, "text/plain")
        root = self._stack[0]
        while (line := self._delimiter_line()) < self._end:
            if self._parts >= self._most_parts or self._delimiters >= budgets.DELIMITERS:
                root.note("MIME_PARTS")
                break
            self._delimiters += 1
            self._take(line)
        self._close_above(-1, self._end)
        return root

    def _open_parts(self, start: int, default_type: str) -> None:
        """Open the part at `start`, and while the part is a message, the root of that message too."""
        while True:
            body_start = header_end(self._octets, start, self._delimiter_line())
            stack = self._stack
            parent = stack[-1] if stack else self._holder
            part = PartView(self._octets, start, body_start, self._depth + len(stack), default_type, parent)
            if stack:
                stack[-1].children.append(part)
            stack.append(part)
            self._parts += 1
            start = body_start
            if not (part.may_hold_parts and self._holds_message(part)):
                return
            default_type = "text/plain"

    def _holds_message(self, part: PartView) -> bool:
        """Whether the body of this part is a message whose header comes next. A multipart's boundary counts from here on."""
        is_multipart = part.is_multipart
        if not is_multipart and not part.is_message:
            return False
        if part.depth >= budgets.DEPTH or self._parts >= self._most_parts:
            self._is_deep = self._is_deep or part.depth >= budgets.DEPTH
            part.note("MIME_DEEP" if part.depth >= budgets.DEPTH else "MIME_PARTS")
            part.content_type = "application/octet-stream"
            return False
        if not is_multipart:
            return True
        if part.boundary is None:
            part.note("MULTIPART_WITHOUT_BOUNDARY")
            part.content_type = "text/plain"
        else:
            self._open.append(_Boundary(part.boundary, len(self._stack) - 1))
            self._look_from(part.body_start)
        return False

    def _take(self, line: int) -> None:
        """A delimiter line: it ends every part inside its multipart, and begins the next one or none."""
        owner, rest, is_exact = self._owner(line)
        newline = find(self._octets, b"\n", line, self._end)
        after = self._end if newline < 0 else newline + 1
        if not is_exact and self._is_deep:
            # Below the deepest part that is read, boundaries are not known: only what is surely ours counts.
            self._look_from(after)
            return
        self._close_above(owner.place, self._line_end_before(line))
        part = self._stack[-1]
        if not is_exact:
            part.note("DELIMITER_WITH_JUNK")
        if not part.children:
            part.preamble_end = line
        if rest.startswith(b"--"):
            part.epilogue_start = after
            self._close(part)
        self._look_from(after)
        if not rest.startswith(b"--") and newline >= 0:
            self._open_parts(after, "message/rfc822" if part.content_type == "multipart/digest" else "text/plain")

    def _delimiter_line(self) -> int:
        """Where the next delimiter line of an open boundary begins; the end when there is none."""
        return self._open[-1].next if self._open else self._end

    def _look_from(self, at: int) -> None:
        """Find the next delimiter line of each open boundary, from the line that begins at `at`, where it is not known.

        Since none is looked for beyond that of an outer one, those not known are the innermost.
        """
        known = len(self._open)
        while known and self._open[known - 1].next < at:
            known -= 1
        limit, line = (self._open[known - 1].next, self._open[known - 1].line) if known else (self._end, b"")
        for boundary in self._open[known:]:
            if boundary.line != line:
                # One that begins where an outer one does may share its line.
                line = boundary.line
                found = self._find(line, at - 1, min(limit - 1 + len(line), self._end))
                limit = found + 1 if found >= 0 else limit
            boundary.next = limit

    def _find(self, line: bytes, start: int, end: int) -> int:
        found = find(self._octets, line, start, end)
        while self._is_deep and found >= 0 and self._rest_of_line(found + len(line)) not in _EXACT:
            self._delimiters += 1
            found = find(self._octets, line, found + 1, end) if self._delimiters < budgets.DELIMITERS else -1
        return found

    def _rest_of_line(self, start: int) -> bytes:
        """What stands behind a boundary, without blanks; a boundary's length of it is enough."""
        return self._octets[start : start + budgets.BOUNDARY_OCTETS].partition(b"\n")[0].rstrip(_BLANKS)

    def _owner(self, line: int) -> tuple[_Boundary, bytes, bool]:
        """The boundary that has this delimiter line, what stands behind it there, and whether that is nothing or two hyphens.

        The innermost one that is all of the line; otherwise the longest, since RFC 2046 section 5.1.1 has a line that begins
        with the boundary be enough.
        """
        longest, behind = self._open[0], b""
        for boundary in reversed(self._open):
            if boundary.next != line:
                break  # nor does a line of an outer one begin here
            start = line - 1 + len(boundary.line)
            if self._octets[line - 1 : start] != boundary.line:
                continue
            rest = self._rest_of_line(start)
            if rest in _EXACT:
                return boundary, rest, True
            if not behind or len(boundary.line) > len(longest.line):
                longest, behind = boundary, rest
        return longest, behind, False

    def _close_above(self, place: int, end: int) -> None:
        """Close every part above this place in the stack."""
        while len(self._stack) > place + 1:
            part = self._stack.pop()
            above = self._stack[-1] if self._stack else None
            if above is not None and above.is_message:  # a header cut by a delimiter has no message below it
                part.start = min(part.start, max(end, above.start))
            # The line end before a delimiter belongs to it, even where it ends the part's header.
            part.end = end if end > part.start else part.start
            if part.body_start > part.end:
                part.body_start = part.end
            if self._open and self._open[-1].place == len(self._stack):
                self._close(part, "UNCLOSED_MULTIPART")

    def _close(self, part: PartView, problem: str = "") -> None:
        """The innermost multipart has all its parts."""
        self._open.pop()
        if not part.children:
            part.note("MULTIPART_WITHOUT_PARTS")
            part.content_type = "text/plain"
        elif problem:
            part.note(problem)

    def _line_end_before(self, line: int) -> int:
        """Where the line end starts that belongs to the delimiter at `line` (RFC 2046 section 5.1.1)."""
        end = line - 1 if self._octets[line - 1 : line] == b"\n" else line
        return end - 1 if self._octets[end - 1 : end] == b"\r" else end
