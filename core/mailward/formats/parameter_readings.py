"""What else could a reader take a parameter for? (T-MIME-01 to T-MIME-07, T-MIME-23)

Readers differ about quotes, comments, backslashes, blanks, sections, encoded-words and where a damaged value ends. For the few
parameters that decide which parts and files there are, each of their ways is tried at each place where the name stands, and
what comes out is kept once. Bounded: a few places, a few hundred octets each, a fixed number of readings.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

from mailward.formats import budgets
from mailward.formats.charsets import WIDE, codec_of, decode_charset
from mailward.formats.words import decode_words, percent_decoded, printable

DECIDING = ("boundary", "filename", "name")
"""The parameters that decide where parts begin and what files are called."""

_PLACES = {
    # A search for "boundary=" finds it inside another word too; "name" must not be found in "filename".
    name: re.compile(rb"%b%b(?:\*[ \t]*(\d{0,4})[ \t]*(\*?))?[ \t]*=" % (before, name.encode()), re.IGNORECASE)
    for name, before in (("boundary", b""), ("filename", rb"(?<![\w-])"), ("name", rb"(?<![\w-])"))
}
_MAX_PLACES = 8
"""So many first and so many last ones: readers that do not take the first take the last."""
_MAX_OCTETS = 1000
"""Behind each place; the preferred reading has no such limit."""

_QUOTED = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*)("?)', re.DOTALL)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_BEFORE_SEMICOLON = re.compile(rb"[^;\\]*+(?:\\.[^;\\]*+)*", re.DOTALL)
_END = re.compile(rb";[ \t]*(?:[^\s;=\"()]+[ \t]*=|;|\Z)")
"""A semicolon with a parameter behind it, or nothing; at any other one some readers go on."""
_STOP = re.compile(rb'[\s"(),/:;<=>?@\[\\\]\x00]')
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_WIDE_WORD = re.compile(rb"=\?utf-?16(?:le|be)?(?=[?*])", re.IGNORECASE)
_BLANKS = b" \t\r\n"


class Reading(NamedTuple):
    """One reading of a value: as the octets that it stands for (a boundary), and as text (a file name)."""

    octets: bytes
    text: str


class Section(NamedTuple):
    """One piece of a value (RFC 2231 section 3). is_encoded: its name ends in an asterisk."""

    number: int
    is_encoded: bool
    octets: bytes


def plain(octets: bytes) -> Reading:
    """A value that just stands there.

    Encoded-words have no place in a parameter (RFC 2047 section 5), but senders put them there and clients decode them.
    """
    return Reading(octets, decode_words(octets) if b"=?" in octets else printable(decode_charset(octets, "")))


def joined(sections: Sequence[Section], are_encoded: bool = False) -> Reading:
    """RFC 2231 section 4.1: sections in this order; the charset stands in the first one.

    are_encoded: all of them are, as some readers take it.
    """
    charset, octets = b"", []
    for place, (_, is_encoded, text) in enumerate(sections):
        if not (is_encoded or are_encoded):
            octets.append(text)
            continue
        if place == 0 and text.count(b"'") >= 2:
            charset, _, text = text.split(b"'", 2)
        octets.append(percent_decoded(text))
    whole = b"".join(octets)
    if codec_of(charset.decode("latin-1")) in WIDE and b"\0" in whole:
        # Few say in which order the octets are, and a boundary is ASCII anyway.
        order = b"utf-16be" if whole.startswith(b"\0") else b"utf-16le"
        return Reading(whole.replace(b"\0", b""), printable(decode_charset(whole, order.decode())))
    return Reading(whole, printable(decode_charset(whole, charset.decode("latin-1"))))


def unquoted(content: bytes) -> bytes:
    """The content of a quoted string, its quoted pairs undone (RFC 5322 section 3.2.4)."""
    return _PAIR.sub(rb"\1", content) if b"\\" in content else content


def other_readings(texts: Sequence[bytes], name: str, known: Sequence[Reading]) -> list[Reading]:
    """The readings of this parameter beside the known ones. texts: the field's value, with and without its comments."""
    is_name = name != "boundary"
    seen: set[bytes | str] = {reading.text.strip() if is_name else reading.octets for reading in known}
    others = []
    for reading in _candidates(texts, name):
        if len(seen) >= budgets.PARAMETER_READINGS:
            break
        key = reading.text.strip() if is_name else reading.octets
        if key not in seen and not (is_name and not key):
            seen.add(key)
            others.append(reading)
    return others


def _candidates(texts: Sequence[bytes], name: str) -> Iterator[Reading]:
    literal = texts[-1]
    undone = literal.replace(b"\\", b"")
    if len(_PLACES[name].findall(undone)) > len(_PLACES[name].findall(literal)):
        texts = [*texts, undone]  # the name itself holds a backslash
    places: list[Iterator[Reading]] = []
    for text in dict.fromkeys(texts):
        sections = []
        for found in _first_and_last(_PLACES[name], text):
            rest = text[found.end() : found.end() + _MAX_OCTETS]
            if found.group(1):
                sections.append(Section(int(found.group(1)), found.group(2) == b"*", next(_values(rest))))
            elif found.group(1) is None:
                places.append(chain.from_iterable(map(_plain_readings, _values(rest))))
            else:
                places.append(joined([Section(0, True, value)], True) for value in _values(rest))
        places.append(_section_readings(sections))
        if any(b" " in section.octets for section in sections):  # none may stand in a bare one, so some take it for the end
            places.append(_section_readings([s._replace(octets=s.octets.partition(b" ")[0]) for s in sections]))
    # In turns, so that the readings of one place do not use up the budget of all.
    return (reading for turn in zip_longest(*places) for reading in turn if reading is not None)


def _first_and_last(pattern: re.Pattern[bytes], text: bytes) -> list[re.Match[bytes]]:
    found = list(pattern.finditer(text))
    return found if len(found) <= 2 * _MAX_PLACES else found[:_MAX_PLACES] + found[-_MAX_PLACES:]


def _plain_readings(value: bytes) -> Iterator[Reading]:
    yield plain(value)
    if b"=?" in value:
        # Wide characters of an encoded-word are ASCII and NULs, whatever their order; an underscore is not a blank to all.
        narrow = _WIDE_WORD.sub(b"=?utf-8", value)
        for words in (narrow, narrow.replace(b"_", b"=5F")):
            text = decode_words(words)
            yield Reading(text.encode(), text)
    if _PERCENT.search(value):
        yield plain(percent_decoded(value))
    if b"\0" in value:
        yield plain(value.partition(b"\0")[0])
        yield plain(value.replace(b"\0", b""))


def _section_readings(sections: list[Section]) -> Iterator[Reading]:
    """By their numbers, as they stand, the first or the last of the same number, with and without those behind a gap."""
    if not sections:
        return
    first = {section.number: section for section in reversed(sections)}
    last = {section.number: section for section in sections}
    orders = [[by[number] for number in sorted(by)] for by in (first, last)]
    unbroken = [[section for place, section in enumerate(order) if section.number == order[0].number + place] for order in orders]
    if [section.number for section in sections] != list(range(len(sections))):
        # Some keep only what comes in its turn, some only one.
        unbroken.append([section for place, section in enumerate(sections) if section.number == place])
        unbroken.extend([section] for section in sections)
    for order in dict.fromkeys(map(tuple, filter(None, (*orders, *unbroken, sections)))):  # each costs a whole value
        yield joined(order)
        yield joined(order, are_encoded=True)


def _values(rest: bytes) -> Iterator[bytes]:
    """Every value that some reader takes from what follows an equals sign, the best reading first."""
    rest = rest.lstrip(_BLANKS)
    return _quoted_values(rest) if rest.startswith(b'"') else _bare_values(rest)


def _bare_values(rest: bytes) -> Iterator[bytes]:
    end = _END.search(rest)
    escaped = _BEFORE_SEMICOLON.match(rest)
    wholes = (rest.partition(b";")[0], escaped.group() if escaped else b"", rest[: end.start()] if end else rest)
    for whole in dict.fromkeys(wholes):
        text = whole.strip(_BLANKS)
        yield text
        yield from filter(None, _forms(whole, text))


def _forms(whole: bytes, text: bytes) -> Iterator[bytes]:
    """What becomes of a bare value when blanks, backslashes, quotes or other specials in it mean something."""
    yield whole
    if b"\\" in text:
        yield from (unquoted(text), text.partition(b"\\")[0])
    if b'"' in text:
        before, _, inside = text.partition(b'"')
        yield from (text.replace(b'"', b""), unquoted(text).replace(b'"', b""), before, inside.partition(b'"')[0])
    if text.startswith(b"'"):
        yield from (text[1:].partition(b"'")[0], text.strip(b"'"))
    if stop := _STOP.search(text):
        yield text[: stop.start()]


def _quoted_values(rest: bytes) -> Iterator[bytes]:
    found = _QUOTED.match(rest)
    content, closing = found.groups() if found else (rest, b"")
    inside = unquoted(content)
    behind = rest[len(content) + 2 :].partition(b";")[0].strip(_BLANKS) if closing else b""
    yield inside + behind
    yield inside
    yield from filter(None, _quoted_forms(rest, content, inside, behind, bool(closing)))


def _quoted_forms(rest: bytes, content: bytes, inside: bytes, behind: bytes, is_closed: bool) -> Iterator[bytes]:
    yield content.strip(_BLANKS)
    if b"\\" in content:
        yield from (content, content.partition(b'"')[0], content.partition(b"\\")[0])
    if content.startswith(b"'"):
        yield content.strip(b"'")
    if behind:
        literal = rest[: len(content) + 2] + behind
        yield from (behind.strip(b'"'), literal.replace(b'"', b""), inside + b'"' + behind, literal)
    if not is_closed or b";" in content:
        short = rest.partition(b";")[0].strip(_BLANKS)
        yield from (short[1:], short)
    if not is_closed:
        yield from _forms(rest, rest.strip(_BLANKS))
