"""Where else could the parts of this message begin and end? (RFC 2046 section 5.1, T-MIME-01..12, 15)

Readers disagree about which boundary counts, what a delimiter line may look like, and where a header ends. So every boundary that
a field names to somebody and every one that lines of two hyphens suggest cuts the octets once, each on its own, nesting aside: a
leaf of any reading lies between two lines of some boundary. Nothing here judges; the octets are looked through once for each
boundary, of which there is a bounded number.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from mailward.formats.budgets import BLOCK_HEADER_OCTETS, BLOCKS, BOUNDARIES, BOUNDARY_OCTETS
from mailward.formats.octets import Octets, find

_HYPHENS = re.compile(rb"(?:\A|[\r\n])[ \t\0\x0b\x0c]*+--([^\r\n]*+)")
_LINE_END = re.compile(rb"\r{0,2}\n|\n\r|\r|\Z")
_EMPTY_LINE = re.compile(rb"\n[ \t\0\x0b\x0c\r]*+\n")
_EMPTY_LINE_OF_CR = re.compile(rb"\r[ \t\0\x0b\x0c]*+\r(?!\n)")
_FIELD_LINE = re.compile(rb"[ \t\0\x0b\x0c]*+(?:[!-9;-~][ -9;-~\t\0]{0,76})?:")
_LINE = re.compile(rb"([ \t]?)([^\n]*+)(?:\n|\Z)")
_BLANKS = b" \t\r\n\0\x0b\x0c"
_TAKEN_BLANKS = b" \t\r\n"
"""What all readers pass over behind a boundary; with others behind it, the line is a part's own to some."""
_MENTIONS_CONTENT = re.compile(rb"c[^a-z]{0,3}o[^a-z]{0,3}n[^a-z]{0,3}t[^a-z]{0,3}e[^a-z]{0,3}n[^a-z]{0,3}t", re.IGNORECASE)
_BODY_STARTS = 4
_HEAD_OCTETS = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """What a reader may take for one part. start, end: header included, the delimiter lines not. boundary: what cuts it off."""

    start: int
    end: int
    boundary: bytes


@dataclass(frozen=True, slots=True)
class Blocks:
    """found: in the order of the boundaries. is_cut: there were more than are looked at."""

    found: tuple[Block, ...]
    is_cut: bool


def blocks_of(octets: Octets, body_start: int, declared: Iterable[bytes]) -> Blocks:
    """Every block between two delimiters of any declared boundary, then of any that is guessed.

    body_start: where the first part may stand. declared: candidates as fields name them, the preferred ones first.
    """
    found: list[Block] = []
    is_cut = False
    known = tuple(dict.fromkeys(trimmed for each in declared for trimmed in (each.strip(_BLANKS)[:BOUNDARY_OCTETS],)))
    guesses, guesses_are_cut = _guessed(octets, body_start)
    for count, boundary in enumerate(dict.fromkeys([*known, *guesses])):
        if count >= BOUNDARIES or len(found) >= BLOCKS:
            is_cut = True
            break
        places = list(islice(_delimiters(octets, body_start, boundary), BLOCKS)) if boundary in known else guesses[boundary]
        cut = list(_between(octets, body_start, iter(places), boundary))
        exact = [place for place in places if _is_whole_line(octets, *place)]
        if boundary in known and len(exact) < len(places):
            # Some readers want a delimiter line to hold nothing else; to them any other line belongs to the part.
            cut += _between(octets, body_start, iter(exact), boundary)
        if boundary in known or any(looks_like_part(octets, block.start, block.end) for block in cut[1:]):
            found += cut[: BLOCKS - len(found)]
            is_cut = is_cut or len(found) == BLOCKS
    return Blocks(tuple(found), is_cut or guesses_are_cut)


def _is_whole_line(octets: Octets, start: int, after: int) -> bool:
    """Whether nothing but blanks, or the two hyphens that close, stands with a boundary in its line."""
    rest = bytes(octets[after : after + BOUNDARY_OCTETS])
    line, newline, _ = rest.partition(b"\n")
    is_seen_whole = bool(newline) or len(rest) < BOUNDARY_OCTETS
    return octets[start - 1 : start] in (b"\n", b"\r") and is_seen_whole and line.strip(_TAKEN_BLANKS) in (b"", b"--")


def looks_like_part(octets: Octets, start: int, end: int) -> bool:
    """The first octets are a header that says something about content."""
    head = bytes(octets[start : min(end, start + _HEAD_OCTETS)]).lstrip(_BLANKS)
    return _FIELD_LINE.match(head) is not None and _MENTIONS_CONTENT.search(head) is not None


def body_starts(octets: Octets, block: Block) -> tuple[int, ...]:
    """Where the body of a block may start: behind an empty line of any kind, behind a second one when the first stands between
    fields, and at the first line that is no field (T-MIME-15)."""
    head = bytes(octets[block.start : min(block.end, block.start + BLOCK_HEADER_OCTETS)])
    found: list[int] = []
    fields_at = 0
    if head[:1] in (b"\r", b"\n"):
        fields_at = _line_end(head, 0)
        found.append(fields_at)
    if fields_at and _FIELD_LINE.match(head, fields_at) is None:
        return (block.start + fields_at,)
    for pattern in (_EMPTY_LINE, _EMPTY_LINE_OF_CR):
        position = fields_at
        while len(found) < _BODY_STARTS and (empty := pattern.search(head, position)) is not None:
            found.append(empty.end())
            if _FIELD_LINE.match(head, empty.end()) is None:
                break
            position = empty.end() - 1
    found.append(_first_other_line(head, fields_at))
    return tuple(block.start + offset for offset in dict.fromkeys(found))


def _line_end(head: bytes, position: int) -> int:
    found = _LINE_END.match(head, position)
    return found.end() if found else position


def _first_other_line(head: bytes, position: int) -> int:
    """The first line that neither is a field nor continues one."""
    for line in _LINE.finditer(head, position):
        if line.group(1) == b"" and line.group(2).strip() and _FIELD_LINE.match(line.group(2)) is None:
            return line.start()
    return len(head)


def _guessed(octets: Octets, body_start: int) -> tuple[dict[bytes, list[tuple[int, int]]], bool]:
    """Lines that begin with two hyphens, by what follows; those that are met most often are the likeliest boundaries."""
    places: dict[bytes, list[tuple[int, int]]] = {}
    for count, line in enumerate(_HYPHENS.finditer(octets, max(body_start - 1, 0))):
        if count >= BLOCKS:
            return places, True
        stem = line.group(1)[: BOUNDARY_OCTETS + 4].strip(_BLANKS).removesuffix(b"--")
        if stem and b" " not in stem:
            places.setdefault(stem, []).append((line.start(1) - 2, line.end()))
    return dict(sorted(places.items(), key=lambda item: -len(item[1]))), False


def _delimiters(octets: Octets, body_start: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Where this boundary stands behind two hyphens, wherever in a line; of an empty one, lines of nothing but hyphens."""
    if not boundary:
        for line in _HYPHENS.finditer(octets, max(body_start - 1, 0)):
            if not line.group(1).strip(_BLANKS + b"-"):
                yield line.start(1) - 2, line.end()
        return
    wanted, position = b"--" + boundary, body_start
    while (position := find(octets, wanted, position, len(octets))) >= 0:
        start, position = position, position + len(wanted)
        yield start, position


def _between(octets: Octets, body_start: int, places: Iterable[tuple[int, int]], boundary: bytes) -> Iterator[Block]:
    """The preamble, then what follows each delimiter line up to the next one, a close delimiter's too (T-MIME-09)."""
    start = body_start
    for count, (before, behind) in enumerate(places):
        if count >= BLOCKS:
            return
        yield Block(start, max(before, start), boundary)
        start = _next_line(octets, behind)
    yield Block(start, len(octets), boundary)


def _next_line(octets: Octets, position: int) -> int:
    """Behind the end of the line that goes on here; a boundary with more than 998 octets behind it ends its line there."""
    limit = min(len(octets), position + 998)
    rest = bytes(octets[position : min(limit + 3, len(octets))])
    end = re.search(rb"[\r\n]", rest)
    if end is None:
        return limit
    return position + _line_end(rest, end.start())
