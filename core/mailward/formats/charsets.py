"""What text do these octets stand for? The charsets that are read.

A charset is a name chosen by a stranger, so it is looked up in a list of our own and never by `codecs.lookup`:
no utf-7, no codec that is no charset (zip, idna, unicode_escape). Linear in the input; never raises.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

UTF_8 = "utf-8"
UTF_16 = "utf-16"
WESTERN = "cp1252"
"""What unnamed octets that are no UTF-8 most likely are."""
OVERLONG = "utf-8-overlong"
"""UTF-8 as decoders read it that do not refuse overlong forms: C0 BC is "<" (RFC 3629 section 3). No part can name it."""

WIDE = frozenset({UTF_16, "utf-16le", "utf-16be"})
"""Codecs in which the octets of ASCII text do not stand for themselves; RFC 2047 section 2 has no place for them."""

REFUSED = {
    "utf-7-imap": re.compile(r"^(?=.*imap).*utf7"),
    "utf-7": re.compile(r"utf7|^u7$"),
    "hz": re.compile(r"^(?:x|cs)?hz"),
    "iso-2022-cn": re.compile(r"iso2022cn"),
    "unicode-escape": re.compile(r"unicodeescape|^stringescape$"),
    "utf-32": re.compile(r"utf32|ucs4|^u32$|^scsu$"),
    "ebcdic": re.compile(r"^(?:cs)?(?:cp|ibm|ccsid|ebcdic)[a-z0-9]{1,20}$|^[0-9]{3,5}$"),
}
"""Families of charsets that are not read because they serve to hide ASCII, with what their names look like as keys."""

_NOT_IN_KEY = re.compile(r"[^a-z0-9]+")
_OVERLONG_FORM = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}")


def _families() -> Iterable[tuple[str, Iterable[str]]]:
    """Each codec with the names that it goes by in mail (IANA character sets, WHATWG Encoding standard)."""
    yield UTF_8, ("utf8", "utf_8", "unicode-1-1-utf-8", "x-utf8", "cs-utf-8", "unknown-8bit", "8bit", "default")
    yield (
        UTF_8,
        ("us-ascii", "ascii", "us", "iso646-us", "ansi_x3.4-1968", "ansi_x3.4-1986", "iso-ir-6", "646", "csascii"),
    )
    yield UTF_16, ("utf16", "utf_16")
    yield "utf-16le", ("ucs-2", "iso-10646-ucs-2", "unicode", "csunicode", "unicodefeff")
    yield "utf-16be", ("unicodefffe",)
    # What is named latin-1, latin-5 or Thai is windows text in practice (WHATWG Encoding standard).
    yield WESTERN, ("latin1", "latin-1", "l1", "iso-ir-100", "csisolatin1", "cp819", "ibm819", "ansi", "x-ansi")
    for number in (*range(1250, 1259), 874):
        names = (f"windows-{number}", f"cp-{number}", f"x-cp{number}", f"windows{number}", f"win-{number}", f"x-windows-{number}")
        yield f"cp{number}", names
    as_windows = {1: WESTERN, 9: "cp1254", 11: "cp874"}
    for number in (*range(1, 12), *range(13, 17)):
        yield as_windows.get(number, f"iso-8859-{number}"), (f"iso-8859-{number}", f"8859-{number}")
    yield "iso-8859-2", ("latin2", "l2", "csisolatin2", "iso-ir-101")
    yield "iso-8859-3", ("latin3", "l3", "csisolatin3", "iso-ir-109")
    yield "iso-8859-4", ("latin4", "l4", "csisolatin4", "iso-ir-110")
    yield "iso-8859-5", ("cyrillic", "csisolatincyrillic", "iso-ir-144")
    yield "iso-8859-6", ("arabic", "csisolatinarabic", "iso-8859-6-i", "iso-8859-6-e")
    yield "iso-8859-7", ("greek", "greek8", "csisolatingreek", "elot_928")
    yield "iso-8859-8", ("hebrew", "csisolatinhebrew", "iso-8859-8-i", "iso-8859-8-e", "logical", "visual")
    yield "cp1254", ("latin5", "l5", "csisolatin5", "iso-ir-148")
    yield "iso-8859-15", ("latin9", "latin-9", "l9", "csisolatin9")
    yield "iso-8859-16", ("latin10",)
    yield "tis-620", ("dos-874",)
    yield "koi8-r", ("koi8", "koi", "koi8_r", "cskoi8r")
    yield "koi8-u", ("koi8-ru",)
    for number in (437, 850, 852, 866):
        yield f"cp{number}", (f"ibm{number}", f"cp-{number}", f"{number}", f"csibm{number}")
    yield "mac-roman", ("macintosh", "x-mac-roman", "mac", "csmacintosh")
    yield "mac-cyrillic", ("x-mac-cyrillic", "x-mac-ukrainian")
    yield "gbk", ("x-gbk", "cp936", "ms936", "windows-936")
    yield "gb18030", ("gb2312", "gb_2312", "gb_2312-80", "csgb2312", "euc-cn", "chinese", "iso-ir-58", "gb-2312")
    yield "big5hkscs", ("x-x-big5",)
    yield "big5", ("cn-big5",)
    yield "cp932", ("shift-jis", "sjis", "windows-31j", "ms_kanji", "ms932")
    yield "euc-jp", ("x-euc-jp", "x-euc", "eucjp", "cseucpkdfmtjapanese")
    for suffix in ("", "-1", "-2", "-3", "-2004", "-ext"):
        yield f"iso-2022-jp{suffix}", ()
    yield "iso-2022-kr", ("csiso2022kr",)
    yield "euc-kr", ("cseuckr", "euckr")
    yield "cp949", ("ks_c_5601-1987", "ks_c_5601", "ks_c_5601-1989", "ksc5601", "ksc_5601", "korean", "windows-949", "uhc")
    yield "johab", ("cp1361",)


def _key(charset: str) -> str:
    """What readers compare of a name: letters and digits (Unicode Technical Standard 22 section 1.4)."""
    return _NOT_IN_KEY.sub("", charset.lower())


_CODECS = {_key(name): codec for codec, names in _families() for name in (codec, *names)}


@lru_cache(maxsize=256)
def codec_of(charset: str) -> str | None:
    """The codec that reads a charset of this name; None when it is not in the list.

    Names are the same that have the same letters and digits, whether "cs" (RFC 2978 section 2.3) or "x-" stands before them or
    not. The name of a codec is itself such a name.
    """
    key = _key(charset)
    return _CODECS.get(key) or _CODECS.get(key.removeprefix("cs")) or _CODECS.get(key.removeprefix("x"))


@lru_cache(maxsize=256)
def refused_family(charset: str) -> str | None:
    """Which of REFUSED this is, however it is spelt; None for what `codec_of` reads and for what nobody knows."""
    if codec_of(charset) is not None:
        return None
    key = _key(charset)
    return next((family for family, names in REFUSED.items() if names.search(key)), None)


def decode_charset(octets: bytes, charset: str) -> str:
    """Text of octets in a named charset; what is not in the list or not valid is read as UTF-8, then as windows-1252.

    A byte order mark is no part of the text.
    """
    return _decoded(octets, charset).removeprefix("\ufeff")


def _decoded(octets: bytes, charset: str) -> str:
    if charset == OVERLONG:
        return _decode_overlong(octets)
    codec = codec_of(charset)
    if codec == UTF_16:
        codec = byte_order(octets)
    if codec is not None and codec != UTF_8:
        return octets.decode(codec, "replace")
    try:
        return octets.decode(UTF_8)
    except UnicodeDecodeError:
        # Named UTF-8 and broken: keep what is sound. Not named: western text is the likeliest.
        is_named = codec == UTF_8 and "utf" in charset.lower()
        return octets.decode(UTF_8 if is_named else WESTERN, "replace")


def byte_order(octets: bytes) -> str:
    """Which UTF-16 this is: what its byte order mark says, else where its zeros are, else as browsers take it.

    RFC 2781 section 4.3 would have big-endian without a mark; nobody who wrote such text on a common machine keeps to that.
    """
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16le" if octets[:1] == b"\xff" else "utf-16be"
    start = octets[:1024]
    return "utf-16be" if start[0::2].count(0) > start[1::2].count(0) else "utf-16le"


def has_overlong(octets: bytes) -> bool:
    """Whether a decoder that does not refuse overlong forms of UTF-8 would find other characters here."""
    return _OVERLONG_FORM.search(octets) is not None


def _decode_overlong(octets: bytes) -> str:
    return _OVERLONG_FORM.sub(_shortest, octets).decode(UTF_8, "replace")


def _shortest(found: re.Match[bytes]) -> bytes:
    first, *rest = found.group()
    number = first & (0x7F >> len(rest) + 1)
    for octet in rest:
        number = number << 6 | octet & 0x3F
    return chr(number).encode(UTF_8, "replace")
