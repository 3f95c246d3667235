"""What text do these octets stand for? The charsets that are read.

A charset is a name chosen by a stranger, so it is looked up in a list of our own and never by `codecs.lookup`:
no utf-7, no codec that is no charset (zip, idna, unicode_escape). Linear in the input; never raises.
"""

_SAME_NAME = (
    *(
        "koi8-r",
        "koi8-u",
        "gbk",
        "gb18030",
        "big5",
        "big5hkscs",
        "euc-jp",
        "shift_jis",
        "iso-2022-jp",
        "iso-2022-jp-1",
        "iso-2022-jp-2",
    ),
    *(
        "euc-kr",
        "iso-2022-kr",
        "johab",
        "cp437",
        "cp850",
        "cp852",
        "cp866",
        "cp932",
        "cp949",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "tis-620",
    ),
)
_CODECS = {
    **{name: name for name in _SAME_NAME},
    **{f"iso-8859-{n}": f"iso-8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"windows-{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    **{f"cp{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    # What is labelled latin-1, latin-5 or Thai is windows text in practice (WHATWG Encoding standard).
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "iso8859-1", "iso_8859-1", "l1"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "cp1254"),
    "iso-8859-11": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "macintosh": "mac-roman",
    "x-mac-roman": "mac-roman",
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "8bit", "default"), "utf-8"),
    **dict.fromkeys(("gb2312", "euc-cn", "x-gbk", "cp936"), "gb18030"),
    **dict.fromkeys(("ks_c_5601-1987", "ks_c_5601", "ksc5601", "korean"), "cp949"),
    **dict.fromkeys(("shift-jis", "sjis", "x-sjis", "windows-31j", "ms_kanji"), "cp932"),
    **dict.fromkeys(("big5-hkscs", "big-5"), "big5hkscs"),
    "x-euc-jp": "euc-jp",
}
WIDE = frozenset({"utf-16", "utf-16le", "utf-16be"})
"""Codecs in which the octets of ASCII text do not stand for themselves; RFC 2047 section 2 has no place for them."""


def codec_of(charset: str) -> str | None:
    """The codec that reads a charset of this name, compared without case; None when it is not in the list."""
    return _CODECS.get(charset.strip().lower())


def decode_charset(octets: bytes, charset: str) -> str:
    """Text of octets in a named charset; what is not in the list or not valid is read as UTF-8, then as windows-1252."""
    codec = codec_of(charset)
    if codec is not None and codec != "utf-8":
        return octets.decode(codec, "replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        # Labelled UTF-8 and broken: keep what is sound. Not labelled: western text is the likeliest.
        return (
            octets.decode("utf-8", "replace")
            if codec and charset.lower().startswith("utf")
            else octets.decode("cp1252", "replace")
        )
