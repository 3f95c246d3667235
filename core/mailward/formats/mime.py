"""Which parts does a message have, and where do they lie? (RFC 2045, 2046)

One forward pass that looks for the delimiter lines of the multiparts that are open, with a stack instead of recursion: offsets
only rise, and no octet of a body is copied or looked at twice for one boundary. Budgets of depth and parts end the pass, never
the message. A multipart that cannot be split is read as text, as clients show it, so its content is never out of sight.
"""

from mailward.formats import budgets
from mailward.formats.delimiters import OpenBoundaries
from mailward.formats.octets import Octets, find
from mailward.formats.part import PartView


def index(octets: Octets, holder: PartView | None = None) -> PartView:
    """The root of the tree of parts. Never raises on content.

    holder: the attached message whose decoded octets these are; the root becomes its part, but not its child.
    """
    return _Index(octets, holder).read()


class _Index:
    """One pass over one message, from delimiter line to delimiter line."""

    def __init__(self, octets: Octets, holder: PartView | None) -> None:
        self._octets = octets
        self._end = len(octets)
        self._holder = holder
        self._depth = 0 if holder is None else holder.depth + 1
        self._stack: list[PartView] = []
        self._boundaries = OpenBoundaries(octets)
        self._most_parts = budgets.parts_of(self._end)
        self._parts = self._delimiters = 0
        self._is_cut = False

    def read(self) -> PartView:
        self._open_parts(0, "text/plain")
        root = self._stack[0]
        while (line := self._boundaries.next_line()) < self._end:
            if self._parts >= self._most_parts or self._delimiters >= budgets.DELIMITERS:
                root.note("MIME_PARTS")
                self._is_cut = True  # what is still open may well be closed behind
                break
            self._delimiters += 1
            self._take(line)
        if self._boundaries.looked_at >= budgets.DELIMITERS_LOOKED_AT:
            root.note("MIME_PARTS")
        self._close_above(-1, self._end)
        return root

    def _open_parts(self, start: int, default_type: str) -> None:
        """Open the part at `start`, and while the part is a message, the root of that message too."""
        while True:
            body_start = self._boundaries.header_end(start)
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
            if part.depth >= budgets.DEPTH:
                # Below the deepest part that is read, boundaries are not known: only what is surely ours counts.
                self._boundaries.is_exact_only = True
            part.note("MIME_DEEP" if part.depth >= budgets.DEPTH else "MIME_PARTS")
            part.content_type = "application/octet-stream"
            return False
        if not is_multipart:
            return True
        if part.boundary is None:
            part.note("MULTIPART_WITHOUT_BOUNDARY")
            part.content_type = "text/plain"
        else:
            self._boundaries.open(part.boundary, len(self._stack) - 1, part.body_start)
        return False

    def _take(self, line: int) -> None:
        """A delimiter line: it ends every part inside its multipart, and begins the next one or none."""
        place, rest, is_exact = self._boundaries.owner(line)
        newline = find(self._octets, b"\n", line, self._end)
        after = self._end if newline < 0 else newline + 1
        if not is_exact and self._boundaries.is_exact_only:
            self._boundaries.look_from(after)
            return
        self._close_above(place, self._line_end_before(line))
        part = self._stack[-1]
        if not is_exact:
            part.note("DELIMITER_WITH_JUNK")
        if not part.children:
            part.preamble_end = line
        if rest.startswith(b"--"):
            part.epilogue_start = after
            self._close(part)
        self._boundaries.look_from(after)
        if not rest.startswith(b"--") and newline >= 0:
            self._open_parts(after, "message/rfc822" if part.content_type == "multipart/digest" else "text/plain")

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
            if self._boundaries.innermost == len(self._stack):
                self._close(part, "UNCLOSED_MULTIPART")

    def _close(self, part: PartView, problem: str = "") -> None:
        """The innermost multipart has all its parts."""
        self._boundaries.close()
        if not part.children:
            part.note("MULTIPART_WITHOUT_PARTS")
            part.content_type = "text/plain"
        elif problem and not self._is_cut:
            part.note(problem)

    def _line_end_before(self, line: int) -> int:
        """Where the line end starts that belongs to the delimiter at `line` (RFC 2046 section 5.1.1)."""
        end = line - 1 if self._octets[line - 1 : line] == b"\n" else line
        return end - 1 if self._octets[end - 1 : end] == b"\r" else end
