"""What may a mailbox be called? One rule for all who name one (RFC 9051 section 5.1): text of levels with "/" between them.

A name becomes a path where mail is written to folders, so no level is empty, "." or ".." (T-IMAP-13).
"""

import unicodedata

INBOX = "INBOX"
"""Each account's own, which is always there; written in any case (RFC 9051 section 5.1)."""
SEPARATOR = "/"
MAX_LEVELS = 20
SPECIAL_USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
"""What a mailbox may be for (RFC 6154 section 2)."""
COMMON_NAMES = {
    "\\Archive": ("archive", "archives"),
    "\\Drafts": ("drafts", "draft"),
    "\\Junk": ("junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail", "bulk"),
    "\\Sent": ("sent", "sent items", "sent messages", "sent mail", "sent-mail"),
    "\\Trash": ("trash", "deleted items", "deleted messages", "deleted", "bin"),
}
"""What servers and programs call mailboxes that are for something, in small letters: where nothing says what one is for."""

_MAX_CHARACTERS = 500
_MAX_OCTETS = 1000
_MAX_LEVEL_OCTETS = 255
_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")
_WILDCARDS = "%*"


def problem_of_name(name: str) -> str:
    """Why no mailbox can have this name, for people; "" where one can."""
    levels = name.split(SEPARATOR)
    if not all(levels):
        return "A mailbox name has no empty levels"
    if any(level in (".", "..") for level in levels):
        return "No level of a mailbox name is '.' or '..'"
    if not all(map(_is_text, name)):
        return "A mailbox name has no control characters and none of % *"
    octets = [len(level.encode()) for level in levels]
    if (
        len(levels) > MAX_LEVELS
        or len(name) > _MAX_CHARACTERS
        or sum(octets) + len(levels) - 1 > _MAX_OCTETS
        or max(octets) > _MAX_LEVEL_OCTETS
    ):
        return "The mailbox name is too long or has too many levels"
    return ""


def fitting(name: str) -> str:
    """The name, with "_" for what a mailbox name cannot have and less of what is too long: of mail that comes from elsewhere."""
    levels = [level for level in unicodedata.normalize("NFC", name).split(SEPARATOR) if level] or ["_"]
    levels = [*levels[: MAX_LEVELS - 1], "_".join(levels[MAX_LEVELS - 1 :])] if len(levels) > MAX_LEVELS else levels
    most = min(_MAX_LEVEL_OCTETS, _MAX_OCTETS // len(levels) - 1, _MAX_CHARACTERS // len(levels) - 1)
    return SEPARATOR.join(_fitting_level(level, most) for level in levels)


def _fitting_level(level: str, most: int) -> str:
    level = "".join(c if _is_text(c) else "_" for c in level)
    level = level.encode()[:most].decode("utf-8", "ignore")
    return level.replace(".", "_") if level in (".", "..") else level


def _is_text(character: str) -> bool:
    return unicodedata.category(character) not in _NO_TEXT and character not in _WILDCARDS
