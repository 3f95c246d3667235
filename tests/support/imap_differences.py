"""Where do our answers about a message differ from those of Dovecot? Item by item: ENVELOPE, BODY, BODYSTRUCTURE, every section."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mailward.formats import imap
from mailward.formats.message import MessageView
from mailward.formats.sections import SectionKind, section
from support.imap_data import Data, parse_imap
from support.imap_structure import Numbered, numbered, parts_of

ENVELOPE = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")
NAMES = ("SUBJECT", "CONTENT-TYPE", "FROM", "X-NONE")
_OF_A_MESSAGE: tuple[SectionKind, ...] = ("HEADER", "TEXT", "HEADER.FIELDS", "HEADER.FIELDS.NOT")
_OF_A_PART: tuple[SectionKind, ...] = ("", "MIME")
_PARTIALS = ((0, 10), (7, 1_000_000), (1_000_000_000, 5))


@dataclass(frozen=True)
class Difference:
    """part: its number, "" for the message. item: "size", "parameters", "tree", "MIME" ... of that part.

    described: everything that Dovecot says of the part.
    """

    fixture: str
    part: str
    item: str
    ours: Data
    theirs: Data
    described: Mapping[str, Data] = field(default_factory=dict)

    def __str__(self) -> str:
        ours, theirs = (repr(each)[-150:] for each in _from_first_difference(self.ours, self.theirs))
        return f"{self.fixture}: [{self.part}] {self.item}\n    ours   {ours}\n    theirs {theirs}"


def _from_first_difference(ours: Data, theirs: Data) -> tuple[Data, Data]:
    if not isinstance(ours, bytes) or not isinstance(theirs, bytes):
        return ours, theirs
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return ours[max(0, at - 30) : at + 60], theirs[max(0, at - 30) : at + 60]


def differences(
    fixture: str,
    view: MessageView,
    overview: Mapping[bytes, Data],
    sections: Callable[[Sequence[bytes]], Mapping[bytes, Data]],
) -> Iterator[Difference]:
    """overview: what Dovecot says of the message. sections: asks it for more, by what stands behind BODY."""
    (our_envelope,) = parse_imap(imap.envelope(view))
    yield from _envelopes(fixture, "", our_envelope, overview[b"ENVELOPE"])
    ours = numbered(parse_imap(imap.bodystructure(view))[0], extended=True)
    theirs = numbered(overview[b"BODYSTRUCTURE"], extended=True)
    both = ours.keys() & theirs.keys()
    if ours.keys() != theirs.keys():
        yield Difference(
            fixture, "", "tree", b" ".join(sorted(map(str.encode, ours))), b" ".join(sorted(map(str.encode, theirs)))
        )
        both = {number for number in both if _is_same_place(number, ours, theirs)}
    ours_short = numbered(parse_imap(imap.body(view))[0], extended=False)
    theirs_short = numbered(overview[b"BODY"], extended=False)
    seen = set()
    for our, their in ((ours, theirs), (ours_short, theirs_short)):
        for number in sorted(both):
            for difference in _of_a_part(fixture, number, our[number], their[number]):
                if (number, difference.item) not in seen:
                    seen.add((number, difference.item))
                    yield difference
    parts = {number: ours[number] for number in sorted(both)}
    yield from _sections(fixture, view, [*(((), kind) for kind in _OF_A_MESSAGE), *_sections_of(parts_of(parts))], sections)


def _is_same_place(number: str, ours: Numbered, theirs: Numbered) -> bool:
    """Whether both found a part of the same kind, within parts of the same kind."""
    above = [number[:end] for end, c in enumerate(number) if c == "."]
    numbers = [n for each in ["", *above, number] for n in (each, f"{each}.TEXT" if each else "TEXT")]
    return all((n in ours) == (n in theirs) and (n not in ours or _kind(ours[n]) == _kind(theirs[n])) for n in numbers)


def _kind(items: Mapping[str, Data]) -> tuple[bool, bool]:
    return items["type"] == b"multipart", "envelope" in items


def _envelopes(fixture: str, part: str, ours: Data, theirs: Data) -> Iterator[Difference]:
    assert isinstance(ours, list)
    assert isinstance(theirs, list)
    for name, our, their in zip(ENVELOPE, ours, theirs, strict=True):
        if our != their:
            yield Difference(fixture, part, f"envelope {name}", our, their)


def _of_a_part(fixture: str, number: str, ours: Mapping[str, Data], theirs: Mapping[str, Data]) -> Iterator[Difference]:
    for item in sorted(ours.keys() | theirs.keys()):
        our, their = ours.get(item), theirs.get(item)
        if item == "envelope" and isinstance(our, list) and isinstance(their, list):
            yield from _envelopes(fixture, number, our, their)
        elif our != their:
            yield Difference(fixture, number, item, our, their, theirs)


def _sections_of(parts: Iterator[tuple[str, bool]]) -> Iterator[tuple[tuple[int, ...], SectionKind]]:
    for number, is_message in parts:
        path = tuple(map(int, number.split(".")))
        for kind in (*_OF_A_PART, *_OF_A_MESSAGE) if is_message else _OF_A_PART:
            yield path, kind


def _sections(
    fixture: str,
    view: MessageView,
    wanted: Sequence[tuple[tuple[int, ...], SectionKind]],
    sections: Callable[[Sequence[bytes]], Mapping[bytes, Data]],
) -> Iterator[Difference]:
    theirs = sections([_label(path, kind) for path, kind in wanted])
    differs = set()
    for path, kind in wanted:
        our, their = section(view, path, kind, NAMES), theirs[_label(path, kind)]
        if our != (their or b""):
            differs.add((path, kind))
            yield Difference(fixture, ".".join(map(str, path)), kind or "BODY", our, their)
    # Partial fetches of some of those that are equal; the answer names only the first octet (RFC 9051 section 7.5.2).
    cuts = [(path, kind, cut) for path, kind in (*wanted[:1], *wanted[4:6]) for cut in _PARTIALS if (path, kind) not in differs]
    theirs = sections([_label(path, kind) + b"<%d.%d>" % cut for path, kind, cut in cuts])
    for path, kind, cut in cuts:
        our, their = section(view, path, kind, NAMES, cut), theirs[_label(path, kind) + b"<%d>" % cut[0]]
        if our != (their or b""):
            yield Difference(fixture, ".".join(map(str, path)), f"{kind}<{cut[0]}.{cut[1]}>", our, their)


def _label(path: tuple[int, ...], kind: SectionKind) -> bytes:
    text = ".".join([*map(str, path), *([kind] if kind else [])])
    return f"[{text} ({' '.join(NAMES)})]".encode() if kind.startswith("HEADER.FIELDS") else f"[{text}]".encode()
