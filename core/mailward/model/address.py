"""A mailbox as SMTP names it, and the two kinds of path (RFC 5321 sections 4.1.2 and 4.5.5; RFC 6531).

Values only: octets and text become addresses in `formats.address`, which owns the grammar and the A-label rules.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox.

    local_part: unquoted, case kept (RFC 5321 section 2.4).
    domain: A-labels in lower case, or an address literal with its brackets ("[192.0.2.1]", "[IPv6:2001:db8::1]").
    """

    local_part: str
    domain: str

    def __str__(self) -> str:
        """The mailbox in the form used on the wire, the local-part quoted where the grammar asks for it."""
        return f"{quote_local_part(self.local_part)}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """False when the mailbox can only travel with SMTPUTF8 (RFC 6531)."""
        return self.local_part.isascii() and self.domain.isascii()


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


def quote_local_part(local_part: str) -> str:
    """The local-part as a Dot-string where it is one, else as a Quoted-string (RFC 5321 section 4.1.2)."""
    if _DOT_STRING.fullmatch(local_part):
        return local_part
    return '"' + local_part.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class ReversePath:
    """Where delivery reports go; `address` is None for the null reverse-path `<>` (RFC 5321 section 4.5.5)."""

    address: Address | None

    def __str__(self) -> str:
        """The mailbox, or the empty string for the null reverse-path."""
        return "" if self.address is None else str(self.address)

    @property
    def is_null(self) -> bool:
        return self.address is None


NULL_REVERSE_PATH = ReversePath(None)


@dataclass(frozen=True, slots=True)
class ForwardPath:
    """One recipient, source route dropped (RFC 5321 section 3.6.1)."""

    address: Address

    def __str__(self) -> str:
        return str(self.address)
