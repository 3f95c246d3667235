"""Which of an account's folders does the detail of a subaddress mean (RFC 5233)? Whoever sends mail has chosen it."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailward.api import Folder

INBOX = "INBOX"

NEVER = (
    "Archive", "Archives", "Deleted Items", "Deleted Messages", "Drafts", "Junk", "Junk E-mail", "Junk Email", "Notes", "Outbox",
    "Sent", "Sent Items", "Sent Mail", "Sent Messages", "Spam", "Templates", "Trash",
)  # fmt: skip
"""What mail programs call their own folders, as far as they do not mark them by a special use (RFC 6154)."""

_NEW = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""What a stranger may call a new folder: short, of one level, and nothing that looks like another name."""


@dataclass(frozen=True, slots=True)
class Found:
    """The folder that is meant."""

    name: str


@dataclass(frozen=True, slots=True)
class NoFolder:
    """None. why: in plain words. new_name: what one that is made for it may be called, "" for nothing."""

    why: str
    new_name: str = ""


def find(detail: str, folders: Sequence[Folder], never: Iterable[str] = ()) -> Found | NoFolder:
    """The folder of just this name, else the only one that is called so but for case, levels and spaces.

    Senders change the case of addresses as they like; and a "/" or a space is not easily written in one.
    """
    detail = unicodedata.normalize("NFC", detail)
    wanted = _key(detail)
    kept_back = {_key(name) for name in (*NEVER, *never)} | {_key(one.name) for one in folders if one.special_use}
    if wanted in ("", _key(INBOX)) or not kept_back.isdisjoint(_levels_and_above(wanted)):
        return NoFolder("no address may choose that folder")
    meant = [one.name for one in folders if _key(one.name) == wanted]
    if detail in meant:
        return Found(detail)
    if len(meant) == 1:
        return Found(meant[0])
    if meant:
        return NoFolder(f"that may be {' or '.join(sorted(meant)[:3])}")
    new_name = detail.lower()
    return NoFolder("there is no such folder", new_name if _NEW.fullmatch(new_name) else "")


def _key(name: str) -> str:
    """The same for all names that one address can mean. Below INBOX is as at the top: some mail programs make folders there."""
    key = name.casefold().replace(" ", "_").replace(".", "/")
    return key.removeprefix("inbox/")


def _levels_and_above(key: str) -> list[str]:
    """It, the keys above it, and each of its levels: some servers have their Spam and Trash below "[Gmail]"."""
    levels = key.split("/")
    return [*levels, *("/".join(levels[:number]) for number in range(1, len(levels) + 1))]
