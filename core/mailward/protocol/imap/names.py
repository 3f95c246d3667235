"""Mailbox names on the wire: modified UTF-7 (RFC 3501 section 5.1.3) and the patterns of LIST."""

import base64
import binascii
import re
import unicodedata

MAX_NAME_CHARACTERS = 500
MAX_LEVELS = 20
SEPARATOR = "/"

_SHIFTED = re.compile(r"&([^-]*)-|&")
_DIRECT = re.compile(r"[ -%'-~]+|&|[^ -~]+")


class NameRefused(ValueError):
    """A name that no mailbox can have; the text is for people."""


def decode_name(octets: bytes) -> str:
    """The name in NFC. INBOX in any case is "INBOX". Raises NameRefused for what is not modified UTF-7 (T-IMAP-13)."""
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        raise NameRefused("mailbox names are modified UTF-7") from None
    name = unicodedata.normalize("NFC", _SHIFTED.sub(_decoded, text))
    return check_name("INBOX" if name.upper() == "INBOX" else name)


def check_name(name: str) -> str:
    """The name itself. Raises NameRefused."""
    levels = name.split(SEPARATOR)
    if not name or len(name) > MAX_NAME_CHARACTERS or len(levels) > MAX_LEVELS:
        raise NameRefused("the name is empty, too long or too deep")
    if any(not level or level in (".", "..") for level in levels):
        raise NameRefused("a level of the name is empty or a dot")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "%*" for c in name):
        raise NameRefused("control characters, % and * cannot be in a name")
    return name


def _decoded(match: re.Match[str]) -> str:
    shifted = match[1]
    if shifted is None:
        raise NameRefused("a shift in modified UTF-7 is not ended")
    if not shifted:
        return "&"
    padded = shifted.replace(",", "/") + "=" * (-len(shifted) % 4)
    try:
        text = base64.b64decode(padded, validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise NameRefused("modified UTF-7 that cannot be read") from None
    if encode_name(text) != f"&{shifted}-".encode("ascii"):  # another spelling of the same name would be a second name
        raise NameRefused("modified UTF-7 that is not in its one form")
    return text


def encode_name(name: str) -> bytes:
    """Modified UTF-7 of a name."""
    out = []
    for part in _DIRECT.findall(name):
        if part == "&":
            out.append("&-")
        elif part.isascii() and part.isprintable():
            out.append(part)
        else:
            out.append("&" + base64.b64encode(part.encode("utf-16-be")).decode("ascii").rstrip("=").replace("/", ",") + "-")
    return "".join(out).encode("ascii")


def matcher(reference: str, pattern: str) -> re.Pattern[str]:
    """What LIST compares names with: "*" is anything, "%" anything within a level.

    Runs of wildcards are one wildcard and the rest is matched literally, so no pattern costs more than its length allows
    (T-IMAP-06): at most ten wildcards are kept apart, further ones count as "*".
    """
    parts = re.split(r"([*%]+)", reference + pattern)
    wild = 0
    out = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            out.append(re.escape(part))
            continue
        wild += 1
        out.append(".*" if "*" in part or wild > 10 else f"[^{SEPARATOR}]*")
        if wild > 10:
            break
    flags = re.IGNORECASE if (reference + pattern).upper() == "INBOX" else 0
    return re.compile("".join(out), re.DOTALL | flags)
