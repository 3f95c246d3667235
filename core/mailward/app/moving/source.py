"""What mail is moved in from: anything with folders, whose messages can first be listed and then be fetched, some at a time."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailward.model.errors import MailwardError
from mailward.store.deliveries import IMPORTED


class SourceError(MailwardError):
    """The source cannot be read at all, or not any more; the text says why and what to do."""


class FolderError(SourceError):
    """One folder cannot be read, and the others can."""


@dataclass(frozen=True, slots=True)
class Folder:
    """place: what the source calls it. name: what it is called here, "/" between its levels.

    special_use: as IMAP has it, "" for nothing special. It and `subscribed` are None where the source does not say.
    """

    place: str
    name: str
    special_use: str | None = None
    subscribed: bool | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """One message that can be fetched. key: its delivery key here, the same each time. uid: 0 where it has none."""

    key: str
    place: str
    uid: int
    size_octets: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder now, in the order of UIDs, those without one last. uidvalidity: 0 where the source has no numbers.

    expunged: how many more its files hold that were deleted there, and are left out.
    """

    uidvalidity: int
    uidnext: int
    refs: tuple[Ref, ...]
    expunged: int = 0


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. octets: with CRLF line ends; None when it could not be read, and then `problem` says why.

    pop3_uidl: what POP3 clients know it by there, of which only INBOX's are of use.
    """

    ref: Ref
    octets: bytes | None
    flags: tuple[str, ...] = ()
    internal_date: datetime | None = None
    pop3_uidl: str | None = None
    problem: str = ""


class Source(Protocol):
    """Blocks; used by one thread. Every method raises SourceError."""

    def folders(self) -> list[Folder]: ...

    def listing(self, folder: Folder) -> Listing:
        """Raises FolderError."""
        ...

    def fetch(self, folder: Folder, refs: Sequence[Ref]) -> list[Letter]:
        """In the same order."""
        ...

    def close(self) -> None: ...


def key_of(*parts: str | int) -> str:
    """The delivery key of what these words name at its source."""
    named = chr(0).join(map(str, parts)).encode("utf-8", "surrogateescape")
    return f"{IMPORTED}{hashlib.blake2b(named, digest_size=16).hexdigest()}"


def with_crlf(octets: bytes) -> bytes:
    """As SMTP carries it, whatever line ends a file has."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
