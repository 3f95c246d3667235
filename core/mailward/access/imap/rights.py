"""The rights of RFC 4314: how clients write them, and which of them a flag needs."""

from collections.abc import Collection

from mailward.protocol.imap.arguments import BadSyntax
from mailward.store.base import SYSTEM_FLAGS
from mailward.store.ops import ANY_KEYWORD, RIGHTS, Mode

Rights = frozenset[str]

EVERY: Rights = frozenset(RIGHTS)
"""What the owner of a mailbox has, always."""
WRITING: Rights = frozenset("ieswt")
"""With none of them a mailbox is read-only (section 5.2)."""
KNOWING: Rights = frozenset("lrikxa")
"""With any of them somebody may know which ones he has (section 4)."""
OBSOLETE = {"c": "kx", "d": "te"}
"""What RFC 2086 called so (section 2.1.1)."""
_NEEDED = {"\\seen": "s", "\\deleted": "t"}


def read_rights(text: str) -> str:
    """The rights of RFC 4314 that these letters are. Raises BadSyntax."""
    unknown = [letter for letter in text if letter not in RIGHTS and letter not in OBSOLETE]
    if unknown:
        raise BadSyntax(f"There is no right {ascii(unknown[0])[1:-1]}; there are {RIGHTS}")
    return "".join(OBSOLETE.get(letter, letter) for letter in text)


def read_change(text: str) -> tuple[Mode, str]:
    """What SETACL is to do: "+lr", "-lr" or "lr". Raises BadSyntax."""
    signs: dict[str, Mode] = {"+": "add", "-": "remove"}
    mode = signs.get(text[:1])
    return ("replace", read_rights(text)) if mode is None else (mode, read_rights(text[1:]))


def shown(rights: Collection[str]) -> str:
    """As clients are told them, with the obsolete letters that older ones look for."""
    old = [letter for letter, members in OBSOLETE.items() if any(member in rights for member in members)]
    return "".join([*(letter for letter in RIGHTS if letter in rights), *old])


def needed_for(flag: str) -> str:
    """The right to set or clear a flag."""
    return _NEEDED.get(flag.lower(), "w")


def settable(flags: tuple[str, ...], rights: Rights) -> tuple[str, ...]:
    """Those of the flags that may be set and cleared."""
    if rights is EVERY:
        return flags
    return tuple(flag for flag in flags if needed_for(flag) in rights)


def untouchable(rights: Rights) -> tuple[str, ...]:
    """The flags that stay as they are whatever is stored."""
    return tuple(flag for flag in (*SYSTEM_FLAGS, ANY_KEYWORD) if needed_for(flag) not in rights)
