"""In which charsets could readers take this text? What it is declared as, and what else it may pass for (T-MIME-26).

Some clients believe the Content-Type, some a byte order mark or the HTML itself, and some guess. Where all charsets agree on
ASCII it is only letters that suffer; where they do not, one reader sees a tag or an address that another does not.
"""

import re
from collections.abc import Iterator

from mailward.formats.charsets import (
    OVERLONG,
    UTF_8,
    UTF_16,
    WESTERN,
    WIDE,
    byte_order,
    codec_of,
    decode_charset,
    has_overlong,
    refused_family,
)

META_OCTETS = 4096
"""HTML says what charset it has near its beginning; browsers look at 1,024 octets."""

_META = re.compile(
    rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?([A-Za-z0-9._:-]{2,40})"
    rb"|<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._:-]{2,40})",
    re.IGNORECASE,
)
_JAPANESE = re.compile(rb"\x1b(?:\$[@B]|\([IJ])")
_KOREAN = b"\x1b$)C"

_MEANING = {
    "utf-7-imap": re.compile(rb"&[A-Za-z0-9+,]{2}"),
    "utf-7": re.compile(rb"[+&][A-Za-z0-9+/,]{2}"),
    "hz": re.compile(rb"~[{}~\n]"),
    "iso-2022-cn": re.compile(rb"\x1b"),
    "unicode-escape": re.compile(rb"\\[uUxN0-7]"),
    "utf-32": re.compile(rb"\S"),
    "ebcdic": re.compile(rb"\S"),
}
"""The octets that mean something else than ASCII in each of the families that are refused."""

_ESCAPING = frozenset({*(f"iso-2022-jp{suffix}" for suffix in ("", "-1", "-2", "-3", "-2004", "-ext")), "iso-2022-kr"})
_NOT_ASCII = re.compile(r"[^\0\x21-\x7e]+")


def charset_readings(octets: bytes, declared: str, is_html: bool) -> tuple[str, ...]:
    """The charsets in which the octets may be read, likeliest first: declared, byte order mark, HTML meta, guessed.

    Names that `decode_charset` knows, each charset once, at least one. What is declared and not known is left out, and so is
    us-ascii for octets that are not. Names of utf-7 and its like are never among them.
    """
    found = [_declared(octets, declared), _marked(octets), _in_html(octets) if is_html else None]
    known = [codec for codec in found if codec]
    readings = tuple(dict.fromkeys((*known, *_guessed(octets, known))))
    return (*readings, OVERLONG) if UTF_8 in readings and not octets.isascii() and has_overlong(octets) else readings


def is_ambiguous(octets: bytes, declared: str, is_html: bool, readings: tuple[str, ...]) -> bool:
    """Whether readers who take the octets for different charsets see different ASCII: other words, other markup."""
    if _is_refused(declared, octets) or (is_html and _is_refused(charset_in_markup(octets), octets)):
        return True
    # The others have ASCII in common: at most a letter is lost beside a misread one, never a bracket or a quote.
    if len(readings) < 2 or not {*WIDE, *_ESCAPING, OVERLONG}.intersection(readings):
        return False
    return len({_NOT_ASCII.sub("", decode_charset(octets, reading)) for reading in readings}) > 1


def _declared(octets: bytes, name: str) -> str | None:
    codec = codec_of(name)
    if codec == UTF_16:
        return byte_order(octets)
    if codec == UTF_8 and "utf" not in name.lower() and not octets.isascii():
        return None
    return codec


def _marked(octets: bytes) -> str | None:
    if octets.startswith(b"\xef\xbb\xbf"):
        return UTF_8
    return byte_order(octets) if octets.startswith((b"\xff\xfe", b"\xfe\xff")) else None


def charset_in_markup(octets: bytes) -> str:
    """The name that HTML or XML gives to its own charset; "" when there is none."""
    found = _META.search(octets[:META_OCTETS])
    return (found.group(1) or found.group(2)).decode("ascii") if found else ""


def _in_html(octets: bytes) -> str | None:
    codec = _declared(octets, charset_in_markup(octets))
    return UTF_8 if codec in WIDE else codec  # it was read as ASCII


def _guessed(octets: bytes, known: list[str]) -> Iterator[str]:
    """What the octets look like, if that is not among the known."""
    start = octets[:1024]
    if start.count(0) * 4 > len(start):
        yield byte_order(octets)
        if not known and octets.isascii():
            yield UTF_8
        return
    if not _ESCAPING.isdisjoint(known) and octets.isascii():
        return
    if b"\x1b" in octets:
        if _JAPANESE.search(octets):
            yield "iso-2022-jp"
        if _KOREAN in octets:
            yield "iso-2022-kr"
    if octets.isascii():
        if WIDE.issuperset(known):
            yield UTF_8
        return
    try:
        octets.decode(UTF_8)
    except UnicodeDecodeError:
        if not known or UTF_8 in known or WIDE.issuperset(known):
            yield WESTERN
    else:
        yield UTF_8


def _is_refused(name: str, octets: bytes) -> bool:
    family = refused_family(name)
    return family is not None and _MEANING[family].search(octets) is not None
