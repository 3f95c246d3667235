"""The changes to a message that may be recorded in its queue item and applied when it is delivered or relayed.

Fields and parts are named as they stand in the message that the author of the edit was given; edits of others do not move them.
"""

from dataclasses import dataclass
from typing import Literal

PartEncoding = Literal["quoted-printable", "base64"]
"""How a new part is written: text in quoted-printable, where line ends become CRLF, or any octets in base64."""


@dataclass(frozen=True, slots=True)
class AddHeader:
    """Insert one header field above all others. value: no CR, LF or NUL; folded by the core."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RemoveHeader:
    """Delete the fields of this name (compared without case), or only one. nth: its place in `message.all(name)`, from 0."""

    name: str
    nth: int | None = None


@dataclass(frozen=True, slots=True)
class ReplaceHeader:
    """Write one field anew where it stands. nth: its place in `message.all(name)`, from 0; one that is not there stays away."""

    name: str
    value: str
    nth: int = 0


@dataclass(frozen=True, slots=True)
class PrefixSubject:
    """Put text before the Subject; a message without one gets a Subject of the text alone."""

    prefix: str


@dataclass(frozen=True, slots=True)
class ReplacePart:
    """Give one part another content; a multipart goes with all that is in it. Its header keeps what does not tell of the content.

    number: the part's `number`, "" for the message itself; no part inside an encoded message. content_type: with its
    parameters, no multipart and no message. encoding: quoted-printable for text, whose line ends become CRLF; base64 for any
    octets. disposition: the new Content-Disposition, None to keep the part's own with its file name. Of two edits of one part
    the last holds.
    """

    number: str
    content_type: str
    content: bytes
    encoding: PartEncoding = "quoted-printable"
    disposition: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveFieldAt:
    """Delete the header field at this index of the received message, counted from 0 at the top (core only)."""

    index: int


Edit = AddHeader | RemoveHeader | ReplaceHeader | PrefixSubject | ReplacePart
"""What a plugin may propose."""

RecordedEdit = Edit | RemoveFieldAt
"""What a queue item may hold."""
