"""What a mailbox may be called. Names are UTF-8 in NFC with "/" between levels; modified UTF-7 exists only in IMAP's parser."""

import unicodedata

from mailward.store.base import NotPermitted

INBOX = "INBOX"

_MAX_LEVEL_OCTETS = 255
_MAX_NAME_OCTETS = 1000
_MAX_LEVELS = 32


def normalise_name(name: str) -> str:
    """The name in the form it is kept and compared in.

    One trailing "/" is dropped (RFC 9051 section 6.3.4: the client will make names below it); INBOX in any case becomes
    "INBOX", also as the first level. Raises NotPermitted for a name that cannot exist.
    """
    levels = unicodedata.normalize("NFC", name).removesuffix("/").split("/")
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    name = "/".join(levels)
    if not all(levels):
        raise NotPermitted("A mailbox name has no empty levels")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "%*" for c in name):
        raise NotPermitted("A mailbox name has no control characters and none of % *")
    if (
        len(levels) > _MAX_LEVELS
        or len(name.encode()) > _MAX_NAME_OCTETS
        or any(len(level.encode()) > _MAX_LEVEL_OCTETS for level in levels)
    ):
        raise NotPermitted("The mailbox name is too long")
    return name


def parents(name: str) -> list[str]:
    """The names above this one, from the top."""
    levels = name.split("/")
    return ["/".join(levels[:n]) for n in range(1, len(levels))]
