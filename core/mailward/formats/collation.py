"""When is one text another's equal, or before it? i;unicode-casemap (RFC 5051), as I18NLEVEL=1 wants it (RFC 5255 section 4)."""

import unicodedata


class _Casemap(dict[int, str]):
    """What a character becomes, worked out when it is met first."""

    def __missing__(self, code: int) -> str:
        # Only mappings to one character count (RFC 5051 section 2: the field of UnicodeData), so a sharp s stays one.
        title = chr(code).title()
        made = unicodedata.normalize("NFKD", title if len(title) == 1 else chr(code))
        self[code] = made
        return made


_MAP = _Casemap()
_AT_ONCE = 100_000
"""Characters: some ten milliseconds."""


def casemap(text: str) -> str:
    """What to compare by code points instead of the text: no case, characters of compatibility and accents taken apart."""
    if text.isascii():
        return text.upper()
    # In pieces, since other threads wait for each call.
    return "".join(text[start : start + _AT_ONCE].translate(_MAP) for start in range(0, len(text), _AT_ONCE))
