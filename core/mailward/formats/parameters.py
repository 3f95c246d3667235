"""What do Content-Type and Content-Disposition say? (RFC 2045 section 5.1, RFC 2183, RFC 2231)

What is ordinary is matched whole by one expression and has one reading. Everything else is read carefully: tolerant, linear,
with budgets; where a value says two things the first plain reading is preferred, the others are kept beside it, and a problem
is named, because another reader may take one of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from mailward.formats import budgets
from mailward.formats.parameter_readings import DECIDING, Reading, Section, joined, other_readings, plain, unquoted

_OUTSIDE_COMMENT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*"?|\(++|\)|[^"()]++', re.DOTALL)
_IN_COMMENT = re.compile(rb"\\.|\(++|\)|[^()\\]++|\\", re.DOTALL)
_HEAD = re.compile(rb'[^\s;="/]+(?:\s*/\s*[^\s;="]*)?')
_PARAMETER = re.compile(
    rb"""(?:;[ \t\r\n]*|[ \t]+(?=[^\s;="]+=))([^;="\s]*)[ \t\r\n]*"""
    rb"""(?:=[ \t\r\n]*(?:"([^"\\]*+(?:\\.[^"\\]*+)*)("?)(?:(?=[ \t]+[^\s;="]+=)|([^;]*))|([^;]*)))?""",
    re.DOTALL,
)
"""Name, quoted content, closing quote, what stands behind it, bare value. Behind a quoted value many forget the semicolon."""
_SECTION = re.compile(r"([^*]+)\*(?:(\d{1,4})(\*?))?")
_CHARSET = re.compile(rb"[\w.:+-]*'[\w-]*'")
_TOKEN = re.compile(rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
_BOUNDARY_NAME = re.compile(rb"boundary[ \t]*=", re.IGNORECASE)

_WORD = rb"[A-Za-z0-9!#$&+\-.^_{|}~]+"
_ORDINARY = re.compile(
    rb"(%b(?:/%b)?)" % (_WORD, _WORD)
    + 5 * (rb"(?:[ \t]*+;[ \t]*+([A-Za-z0-9-]+)=(?:(%b)" % _WORD + rb'|"((?![\' ])[^"\\;%\x00-\x1f\x7f-\xff]*)"))?')
    + rb"[ \t]*+;?"
)
"""A value, at most five parameters, nothing that two readers could split, unquote, decode or trim in two ways."""
_CACHED_OCTETS = 128
_CACHED_VALUES = 512
"""The same few types stand in most parts. Only ordinary values are kept, of which none takes more than some 2 kB."""
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_READINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Parameterised:
    """A value with parameters.

    value: what stands before the first semicolon, in lower case, without comments. parameters: names in lower case to the
    preferred reading as text. readings: the same names to every reading there is, the preferred one first; a name that only
    some readers find at all stands here and not among the parameters.
    received: names and unquoted values as they came, for those who pass them on (IMAP). boundary: octets, None when absent.
    boundaries: every boundary that some reader takes, the preferred one first; one that only others find makes `boundary`
    no less None. They may be empty or end in blanks.
    problems: TOO_MANY_PARAMETERS, MALFORMED_PARAMETER, DUPLICATE_PARAMETER (the same name with different values),
    SPLIT_WORD (a comment inside a word), AMBIGUOUS_BOUNDARY (not all readers take the same one, or any).
    """

    value: str
    parameters: Mapping[str, str]
    readings: Mapping[str, tuple[str, ...]]
    received: tuple[tuple[bytes, bytes], ...]
    boundary: bytes | None
    boundaries: tuple[bytes, ...]
    problems: frozenset[str]


def strip_comments(value: bytes, instead: bytes = b"") -> bytes:
    """The value without comments, quoted strings kept; an unclosed comment takes the rest. Any depth, one pass.

    instead: what stands where a comment was.
    """
    return instead.join(_around_comments(value)[0]) if b"(" in value else value


def _around_comments(value: bytes) -> tuple[list[bytes], bool]:
    """What stands before, between and behind comments, and whether each comment was closed."""
    around: list[bytes] = []
    kept: list[bytes] = []
    depth, position = 0, 0
    while found := (_IN_COMMENT if depth else _OUTSIDE_COMMENT).match(value, position):
        piece, position = found.group(), found.end()
        if piece.startswith(b"("):
            if depth == 0:
                around.append(b"".join(kept))
                kept.clear()
            depth += len(piece)
        elif depth == 0:
            kept.append(piece)
        elif piece == b")":
            depth -= 1
    return [*around, b"".join(kept)], depth == 0


def parse_parameterised(value: bytes) -> Parameterised:
    """Read an unfolded field value of the form `value; name=value ...`. Never raises."""
    if len(value) > budgets.PARAMETERISED_OCTETS:
        return _careful(value)
    found = _cached(value) if len(value) <= _CACHED_OCTETS else _ordinary(value)
    return found or _careful(value)


def _ordinary(value: bytes) -> Parameterised | None:
    """What an ordinary value says; None for any other one."""
    found = _ORDINARY.fullmatch(value)
    if found is None or b"=?" in value:
        return None
    head, *groups = found.groups()
    if groups[0] is None:
        return Parameterised(head.decode("ascii").lower(), _NOTHING, _NO_READINGS, (), None, (), frozenset())
    received = tuple(
        [
            (name.lower(), token or quoted or b"")
            for name, token, quoted in zip(groups[::3], groups[1::3], groups[2::3], strict=True)
            if name is not None
        ]
    )
    parameters = {name.decode("ascii"): text.decode("ascii") for name, text in received}
    boundary = dict(received)[b"boundary"] if "boundary" in parameters else None
    if (
        len(parameters) < len(received)
        or (boundary is not None and (not boundary or boundary.endswith(b" ")))
        or len(_BOUNDARY_NAME.findall(value)) != (boundary is not None)
    ):
        return None
    readings = {name: (text,) for name, text in parameters.items()}
    return Parameterised(
        head.decode("ascii").lower(),
        MappingProxyType(parameters),
        MappingProxyType(readings),
        received,
        boundary,
        () if boundary is None else (boundary,),
        frozenset(),
    )


_cached = lru_cache(maxsize=_CACHED_VALUES)(_ordinary)


def _careful(value: bytes) -> Parameterised:
    problems: set[str] = set()
    text = value[: budgets.PARAMETERISED_OCTETS]
    if len(text) < len(value):
        problems.add("TOO_MANY_PARAMETERS")
        # What others read there is most likely the first or the last of a name.
        value = text + value[max(len(text), len(value) - len(text)) :]
    around, is_closed = _around_comments(text)
    if not is_closed:
        problems.add("MALFORMED_PARAMETER")
    text, spaced = b"".join(around), b" ".join(around)
    # RFC 5322 section 3.2.2: a comment stands between words, so it ends one. An unfolded value has no line feed of its own.
    head, received = _split(b"\n".join(around).strip(), problems)
    if len(around) > 1 and _split(text.strip(), set()) != (head, received):
        problems.add("SPLIT_WORD")
    readings = _preferred(received, problems)
    parameters = {name: found[0].text for name, found in readings.items()}
    for name in DECIDING:
        if others := other_readings((text, spaced, value), name, readings.get(name, ())):
            readings[name] = [*readings.get(name, ()), *others]
        if len(readings.get(name, ())) >= budgets.PARAMETER_READINGS:
            problems.add("TOO_MANY_PARAMETERS")
    boundaries = tuple(dict.fromkeys(reading.octets for reading in readings.get("boundary", ())))
    boundary = boundaries[0] if "boundary" in parameters else None
    # Many readers take an empty one for none, do not know RFC 2231 there, or stop at what is malformed.
    is_doubtful = b"" in boundaries or "MALFORMED_PARAMETER" in problems or any(n.startswith(b"boundary*") for n, _ in received)
    if boundaries and (boundary is None or len(boundaries) > 1 or is_doubtful):
        problems.add("AMBIGUOUS_BOUNDARY")
    return Parameterised(
        head.decode("latin-1").lower(),
        MappingProxyType(parameters),
        MappingProxyType({name: tuple(dict.fromkeys(r.text for r in found)) for name, found in readings.items()}),
        tuple(received),
        boundary,
        boundaries,
        frozenset(problems),
    )


def _split(value: bytes, problems: set[str]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """What stands before the parameters, without blanks; the parameters, names in lower case, values unquoted."""
    received: list[tuple[bytes, bytes]] = []
    start = _HEAD.match(value)
    head = start.group() if start else b""
    tail = value[len(head) :].lstrip()
    if tail and not tail.startswith(b";"):
        problems.add("MALFORMED_PARAMETER")  # most readers do as if a semicolon stood here
        tail = b";" + tail
    for found in _PARAMETER.finditer(tail):
        name, content, closing, behind, bare = found.groups()
        if not name and content is None and not bare:
            continue  # a stray semicolon says nothing
        if len(received) == budgets.PARAMETERS:
            problems.add("TOO_MANY_PARAMETERS")
            break
        is_bare = content is None
        rest = ((bare if is_bare else behind) or b"").strip().partition(b"\n")[0].rstrip()
        if not (_TOKEN.fullmatch(name) and found.group().startswith(b";") and closing != b"" and is_bare == bool(rest)):
            problems.add("MALFORMED_PARAMETER")
        if content is None and bare is None:
            continue  # RFC 2045 section 5.1: a name alone is no parameter
        text = rest if is_bare else unquoted(content) + rest
        received.append((name.lower(), text))
    return b"".join(head.split()), received


def _preferred(received: Sequence[tuple[bytes, bytes]], problems: set[str]) -> dict[str, list[Reading]]:
    """The readings of each name that keep to RFC 2231, the one first that clients prefer."""
    simple: dict[str, list[Reading]] = {}
    extended: dict[str, list[Reading]] = {}
    sections: dict[str, dict[int, Section]] = {}
    for raw_name, text in received:
        name = raw_name.decode("latin-1")
        section = _SECTION.fullmatch(name)
        if section is None:
            simple.setdefault(name, []).append(plain(text))
        elif section.group(2) is None:
            if not _CHARSET.match(text):
                problems.add("MALFORMED_PARAMETER")
            extended.setdefault(section.group(1), []).append(joined([Section(0, True, text)]))
        else:
            known = sections.setdefault(section.group(1), {})
            number = int(section.group(2))
            if number in known:
                problems.add("DUPLICATE_PARAMETER")
            elif len(known) < budgets.SECTIONS:
                known[number] = Section(number, section.group(3) == "*", text)
            else:
                problems.add("TOO_MANY_PARAMETERS")
    for name, parts in sections.items():
        # A section is missing, where some readers stop, or the charset is, or stands in another one than the first.
        if max(parts) >= len(parts) or not all(map(_charset_is_in_place, parts.values())):
            problems.add("MALFORMED_PARAMETER")
        extended.setdefault(name, []).append(joined([parts[number] for number in sorted(parts)]))
    if any(len({reading.octets for reading in found}) > 1 for found in simple.values()):
        problems.add("DUPLICATE_PARAMETER")
    readings = {name: [*extended.get(name, []), *simple.get(name, [])] for name in (simple | extended)}
    if "boundary" in simple:
        # Few readers take an extended boundary when there is a plain one; of file names they prefer the extended one.
        readings["boundary"] = [*simple["boundary"], *extended.get("boundary", [])]
    return readings


def _charset_is_in_place(section: Section) -> bool:
    """RFC 2231 section 4.1: in the first section, when it is encoded, and in no other one."""
    return not section.is_encoded or (section.number == 0) == bool(_CHARSET.match(section.octets))
