"""Which parts does a message have, and where do they lie? (RFC 2045, 2046)

One forward pass over the lines that begin with two hyphens, with a stack instead of recursion; offsets only rise. Budgets of
depth and parts end the pass, never the message. A multipart that cannot be split is read as text, as clients show it, so its
content is never out of sight; whatever two readers could see differently is named among the problems.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mailward.formats.header import FieldView, Octets, header_end, split_header
from mailward.formats.part import MESSAGE_TYPES, PartView, content_type_of, parameterised_of, transfer_encoding_of

MAX_DEPTH = 32
MAX_PARTS = 2000
MAX_PART_HEADER_OCTETS = 64 * 1024
MAX_PART_FIELDS = 200
MAX_ENCODED_MESSAGES = 3
"""message/rfc822 in base64 inside another one, and so on: each level is decoded into memory."""
MAX_BOUNDARY_OCTETS = 200
"""RFC 2046 section 5.1.1 allows 70."""

_IDENTITY = frozenset({"7bit", "8bit", "binary"})


@dataclass(slots=True)
class _Open:
    """A part whose end is not known yet. boundary: octets while its delimiters count, None for all but open multiparts."""

    fields: tuple[FieldView, ...]
    content_type: str
    depth: int
    start: int
    body_start: int
    encoding: str
    boundary: bytes | None = None
    is_closed: bool = False
    children: list[PartView] = field(default_factory=list)


class _Delimiter(NamedTuple):
    """A delimiter line: where it starts, where the next line starts, the place in the stack of the multipart it belongs to."""

    start: int
    end: int
    owner: int
    closes: bool


def index_parts(octets: Octets, fields: tuple[FieldView, ...], body_start: int) -> tuple[PartView, frozenset[str]]:
    """The root of the tree of parts, and the names of what was odd in its structure. Never raises on content."""
    problems: set[str] = set()
    return _Index(octets, problems, depth=0, encoded_level=0, count=0).read(fields, body_start), frozenset(problems)


class _Index:
    """One pass over one buffer."""

    def __init__(self, octets: Octets, problems: set[str], depth: int, encoded_level: int, count: int) -> None:
        self._octets = octets
        self._problems = problems
        self._base_depth = depth
        self._encoded_level = encoded_level
        self._count = count
        self._stack: list[_Open] = []
        self._open_lines: dict[bytes, tuple[int, bool]] = {}
        self._open_boundaries: tuple[bytes, ...] = ()
        self._closed_boundaries: set[bytes] = set()
        self._candidate = -1
        self._header_end = 0

    def read(self, fields: tuple[FieldView, ...], body_start: int) -> PartView:
        """The tree under a root with this header."""
        self._candidate = self._next_candidate(body_start)
        if self._push(fields, 0, body_start, "text/plain"):
            self._open_part(body_start, "text/plain")
        return self._read_on()

    def read_message(self) -> PartView:
        """The tree of the message that the whole buffer is."""
        self._candidate = self._next_candidate(0)
        self._open_part(0, "text/plain")
        return self._read_on()

    def _read_on(self) -> PartView:
        while (delimiter := self._next_delimiter(len(self._octets))) is not None:
            if self._count >= MAX_PARTS:
                self._problems.add("MIME_PARTS")
                break
            self._close_above(delimiter.owner, self._line_end_before(delimiter.start))
            owner = self._stack[-1]
            if delimiter.closes:
                self._closed_boundaries.add(owner.boundary or b"")
                owner.is_closed, owner.boundary = True, None
                self._note_boundaries()
            else:
                self._open_part(delimiter.end, "message/rfc822" if owner.content_type == "multipart/digest" else "text/plain")
        self._close_above(0, len(self._octets))
        return self._closed(self._stack.pop(), len(self._octets))

    def _open_part(self, start: int, default_type: str) -> None:
        """Read the header at `start`, and while the part is a message, the header of that message too."""
        while self._push(*self._part_header(start), default_type):
            start, default_type = self._stack[-1].body_start, "text/plain"

    def _part_header(self, start: int) -> tuple[tuple[FieldView, ...], int, int]:
        """Fields, start and body start of the part at `start`. A delimiter ends a header as well as an empty line does."""
        if self._header_end <= start:
            self._header_end = header_end(self._octets, start)
        body_start = self._header_end
        if (early := self._next_delimiter(body_start)) is not None:
            body_start = self._candidate = early.start
        block = bytes(self._octets[start : min(body_start, start + MAX_PART_HEADER_OCTETS)])
        raw_fields = split_header(block)[0]
        if body_start - start > MAX_PART_HEADER_OCTETS or len(raw_fields) > MAX_PART_FIELDS:
            self._problems.add("HEADER_BLOCK_TOO_BIG")
        return tuple(FieldView.of(raw) for raw in raw_fields[:MAX_PART_FIELDS]), start, body_start

    def _push(self, fields: tuple[FieldView, ...], start: int, body_start: int, default_type: str) -> bool:
        """Open a part; True when its body is a message whose header is to be read next."""
        declared = parameterised_of(fields, "Content-Type")
        depth = self._base_depth + len(self._stack)
        part = _Open(fields, content_type_of(declared, default_type)[0], depth, start, body_start, transfer_encoding_of(fields))
        self._stack.append(part)
        self._count += 1
        is_multipart = part.content_type.startswith("multipart/")
        if not is_multipart and part.content_type not in MESSAGE_TYPES:
            return False
        if depth >= MAX_DEPTH:
            self._problems.add("MIME_DEEP")
            part.content_type = "application/octet-stream"
            return False
        if not is_multipart:
            return part.encoding in _IDENTITY
        if part.encoding not in _IDENTITY:
            # RFC 2045 section 6.4 forbids it, and readers differ: most take the body as it stands.
            self._problems.add("ENCODED_MULTIPART")
        if declared.boundary is None:
            self._problems.add("MULTIPART_WITHOUT_BOUNDARY")
            part.content_type = "text/plain"
        else:
            part.boundary = declared.boundary.rstrip(b" \t\r\n")[:MAX_BOUNDARY_OCTETS]
            self._note_boundaries()
        return False

    def _close_above(self, owner: int, end: int) -> None:
        """Close every part above this place in the stack, each becoming the last child of the one below it."""
        while len(self._stack) > owner + 1:
            closed = self._closed(self._stack.pop(), end)
            self._stack[-1].children.append(closed)
        self._note_boundaries()

    def _closed(self, part: _Open, end: int) -> PartView:
        if part.content_type.startswith("multipart/"):
            if not part.children:
                self._problems.add("MULTIPART_WITHOUT_PARTS")
                part.content_type = "text/plain"
            elif not part.is_closed:
                self._problems.add("UNCLOSED_MULTIPART")
        view = PartView(
            part.fields, part.content_type, part.depth, self._octets, part.start, part.body_start, max(end, part.body_start)
        )
        if part.content_type in MESSAGE_TYPES and not part.children:
            return self._with_encoded_message(view)
        return replace(view, children=tuple(part.children))

    def _with_encoded_message(self, view: PartView) -> PartView:
        """A message/rfc822 in base64 or quoted-printable: forbidden (RFC 2045 section 6.4), yet clients open it."""
        self._problems.add("ENCODED_MESSAGE")
        if self._encoded_level >= MAX_ENCODED_MESSAGES:
            self._problems.add("MIME_DEEP")
            return replace(view, content_type="application/octet-stream")
        inner = _Index(view.decode(), self._problems, view.depth + 1, self._encoded_level + 1, self._count)
        child = inner.read_message()
        self._count = inner._count
        return replace(view, children=(child,))

    def _note_boundaries(self) -> None:
        """Prepare the look-up of delimiter lines: exact ones first, the innermost multipart before the outer ones."""
        self._open_lines = {}
        for owner in range(len(self._stack) - 1, -1, -1):
            boundary = self._stack[owner].boundary
            if boundary is not None:
                self._open_lines.setdefault(boundary, (owner, False))
                self._open_lines.setdefault(boundary + b"--", (owner, True))
        self._open_boundaries = tuple(part.boundary for part in self._stack if part.boundary)

    def _next_candidate(self, line_start: int) -> int:
        """The next line start at or after this one where two hyphens stand; -1 when there is none."""
        found = self._octets.find(b"\n--", max(line_start - 1, 0))
        return -1 if found < 0 else found + 1

    def _next_delimiter(self, limit: int) -> _Delimiter | None:
        """The next delimiter line of an open multipart that starts before `limit`."""
        while 0 <= self._candidate < limit:
            start = self._candidate
            line_end = self._octets.find(b"\n", start)
            end = len(self._octets) if line_end < 0 else line_end + 1
            line = bytes(self._octets[start + 2 : min(end, start + MAX_BOUNDARY_OCTETS + 4)]).rstrip(b" \t\r\n")
            self._candidate = self._next_candidate(end)
            owned = self._open_lines.get(line) or self._loosely_owned(line)
            if owned is not None:
                return _Delimiter(start, end, *owned)
            if line in self._closed_boundaries:
                self._problems.add("PARTS_AFTER_CLOSE")
        return None

    def _loosely_owned(self, line: bytes) -> tuple[int, bool] | None:
        """RFC 2046 section 5.1.1: a line that begins with the boundary is enough. The longest boundary that fits has it."""
        if not self._open_boundaries or not line.startswith(self._open_boundaries):
            return None
        self._problems.add("DELIMITER_WITH_JUNK")
        boundary = max((b for b in self._open_boundaries if line.startswith(b)), key=len)
        return self._open_lines[boundary][0], line.startswith(boundary + b"--")

    def _line_end_before(self, line_start: int) -> int:
        """Where the line end starts that belongs to the delimiter at `line_start` (RFC 2046 section 5.1.1)."""
        end = line_start - 1 if self._octets[line_start - 1 : line_start] == b"\n" else line_start
        return end - 1 if self._octets[end - 1 : end] == b"\r" else end
