"""What the hooks are given that hear what people make of their mail: filters learn from it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MessageMoved:
    """One message that a person moved or copied into Junk or out of it. account: whose mail it is.

    source, target: names of mailboxes. octets: the stored message, trace fields included. *_is_junk, *_is_trash: of that
    mailbox's special use (RFC 6154), whatever its name; of source and target one is Junk.
    """

    account: str
    source: str
    target: str
    octets: bytes
    source_is_junk: bool
    target_is_junk: bool
    target_is_trash: bool


@dataclass(frozen=True, slots=True)
class MessageClassified:
    """One message of which a person has said what it is. account: whose mail it was, "" for none in particular.

    by: how it was said. A "keyword" may be a mail program's own guess, for IMAP does not tell that from a person's click.
    """

    account: str
    octets: bytes
    kind: Literal["ham", "spam"]
    by: Literal["release", "train", "keyword"]
