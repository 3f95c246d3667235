"""What do Content-Type and Content-Disposition say? (RFC 2045 section 5.1, RFC 2183, RFC 2231)

A tolerant, linear reading with a budget. Where a value says two things, the first plain reading is taken and a problem is
named, because another reader may take the other one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailward.formats.charsets import decode_charset
from mailward.formats.words import decode_extended, decode_words, percent_decoded, printable

MAX_PARAMETERS = 64
MAX_SECTIONS = 32

_OUTSIDE_COMMENT = re.compile(rb'"(?:[^"\\]|\\.)*"?|[()]|[^"()]++', re.DOTALL)
_IN_COMMENT = re.compile(rb"\\.|[()]|[^()\\]++|\\", re.DOTALL)
_HEAD = re.compile(rb'[^\s;="/]+(?:\s*/\s*[^\s;="]*)?')
_PARAMETER = re.compile(rb';[ \t\r\n]*([^;="\s]*)[ \t\r\n]*(?:=[ \t\r\n]*("(?:[^"\\]|\\.)*"?)?([^;]*))?', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)\*(?:(\d{1,4})(\*?))?")
_TOKEN = re.compile(rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")


@dataclass(frozen=True, slots=True)
class Parameterised:
    """A value with parameters.

    value: what stands before the first semicolon, in lower case, without comments. parameters: names in lower case to the
    preferred reading as text. readings: the same names to every reading there is, the preferred one first.
    received: names and unquoted values as they came, for those who pass them on (IMAP). boundary: octets, None when absent.
    problems: TOO_MANY_PARAMETERS, MALFORMED_PARAMETER, DUPLICATE_PARAMETER (the same name with different values).
    """

    value: str
    parameters: Mapping[str, str]
    readings: Mapping[str, tuple[str, ...]]
    received: tuple[tuple[bytes, bytes], ...]
    boundary: bytes | None
    problems: frozenset[str]


def strip_comments(value: bytes, instead: bytes = b"") -> bytes:
    """The value without comments, quoted strings kept; an unclosed comment takes the rest. Any depth, one pass.

    instead: what stands where a comment was.
    """
    if b"(" not in value:
        return value
    kept, depth, position = [], 0, 0
    while position < len(value):
        found = (_IN_COMMENT if depth else _OUTSIDE_COMMENT).match(value, position)
        if found is None:
            break
        piece, position = found.group(), found.end()
        if piece == b"(":
            depth += 1
            kept.append(b"" if depth > 1 else instead)
        elif piece == b")" and depth:
            depth -= 1
        elif not depth:
            kept.append(piece)
    return b"".join(kept)


def parse_parameterised(value: bytes) -> Parameterised:
    """Read an unfolded field value of the form `value; name=value ...`. Never raises."""
    value = strip_comments(value).strip()
    problems: set[str] = set()
    received: list[tuple[bytes, bytes]] = []
    start = _HEAD.match(value)
    head = start.group() if start else b""
    tail = value[len(head) :].lstrip()
    if tail and not tail.startswith(b";"):
        problems.add("MALFORMED_PARAMETER")  # most readers do as if a semicolon stood here
        tail = b";" + tail
    for found in _PARAMETER.finditer(tail):
        name, quoted, rest = found.groups()
        if not name and quoted is None and not rest:
            continue  # a stray semicolon says nothing
        if len(received) == MAX_PARAMETERS:
            problems.add("TOO_MANY_PARAMETERS")
            break
        rest = (rest or b"").strip()
        is_closed = quoted is None or (len(quoted) > 1 and quoted.endswith(b'"'))
        if not _TOKEN.fullmatch(name) or not is_closed or bool(quoted) == bool(rest):
            problems.add("MALFORMED_PARAMETER")
        text = _QUOTED_PAIR.sub(rb"\1", quoted[1 : -1 if is_closed else None]) + rest if quoted is not None else rest
        received.append((name.lower(), text))
    return _read(head.decode("latin-1").lower(), received, problems)


def _read(value: str, received: list[tuple[bytes, bytes]], problems: set[str]) -> Parameterised:
    plain: dict[str, list[bytes]] = {}
    extended: dict[str, list[str]] = {}
    sections: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for raw_name, text in received:
        name = raw_name.decode("latin-1")
        section = _SECTION.fullmatch(name)
        if section is None:
            plain.setdefault(name, []).append(text)
        elif section.group(2) is None:
            extended.setdefault(section.group(1), []).append(decode_extended(text))
        else:
            known = sections.setdefault(section.group(1), {})
            if int(section.group(2)) in known:
                problems.add("DUPLICATE_PARAMETER")
            elif len(known) < MAX_SECTIONS:
                known[int(section.group(2))] = (text, section.group(3) == "*")
            else:
                problems.add("TOO_MANY_PARAMETERS")
    for name, parts in sections.items():
        extended.setdefault(name, []).append(_joined(parts))
    readings: dict[str, tuple[str, ...]] = {}
    for name in [*plain, *extended]:
        readings[name] = tuple(dict.fromkeys([*extended.get(name, []), *map(_plain_text, plain.get(name, []))]))
        if len(set(plain.get(name, []))) > 1 or (name == "boundary" and len(readings[name]) > 1):
            problems.add("DUPLICATE_PARAMETER")
    boundary = plain["boundary"][0] if "boundary" in plain else None
    if boundary is None and "boundary" in extended:
        boundary = extended["boundary"][0].encode()
    parameters = {name: texts[0] for name, texts in readings.items()}
    return Parameterised(value, parameters, readings, tuple(received), boundary, frozenset(problems))


def _joined(parts: dict[int, tuple[bytes, bool]]) -> str:
    """RFC 2231 section 3: sections in their numbers' order; the charset stands in the first one."""
    ordered = [parts[number] for number in sorted(parts)]
    charset, rest = b"", ordered[0][0]
    if ordered[0][1] and rest.count(b"'") >= 2:
        charset, _, rest = rest.split(b"'", 2)
    octets = [rest, *(text for text, _ in ordered[1:])]
    decoded = (percent_decoded(text) if is_encoded else text for text, (_, is_encoded) in zip(octets, ordered, strict=True))
    return printable(decode_charset(b"".join(decoded), charset.decode("latin-1")))


def _plain_text(octets: bytes) -> str:
    """Encoded-words have no place in a parameter (RFC 2047 section 5), but senders put them there and clients decode them."""
    return decode_words(octets) if b"=?" in octets else printable(decode_charset(octets, ""))
