"""The unique-ids (RFC 1939 section 7) that a server made of what else its messages are known by: UIDs, UIDVALIDITY, file names.

A server that is moved from tells its unique-ids to POP3 clients alone. Most servers make them of IMAP's numbers, each in its own
way, so they can be made again, and clients that leave mail on the server know it where it has moved to.
"""

import re

from mailward.model.errors import MailwardError

_VARIABLE = re.compile(r"%(?:(?:0(?P<width>[1-9][0-9]?))?(?P<hex>X)?(?P<number>[uv])|f)")
_UNIQUE_ID = re.compile(r"[!-~]{1,70}")


class UidlFormatError(MailwardError):
    """A format that cannot be used, and why."""


class UidlFormat:
    """Written as Dovecot's setting pop3_uidl_format: %u the UID, %v UIDVALIDITY, %f the name of a Maildir's file.

    Numbers are decimal, with X hexadecimal in small letters; 08 before it: eight digits at least.
    """

    def __init__(self, text: str) -> None:
        """Raises UidlFormatError."""
        variables = [*_VARIABLE.finditer(text)]
        if "%" in _VARIABLE.sub("", text):
            raise UidlFormatError(f"'{text}': a % stands before u, v or f; for example %08Xu%08Xv, %v-%u")
        self.has_files = any(found["number"] is None for found in variables)
        self._has_numbers = any(found["number"] for found in variables)
        if not self.has_files and "u" not in (found["number"] for found in variables):
            raise UidlFormatError(f"'{text}' has neither %u nor %f: all messages would have the same unique-id")
        self._text = text

    def of(self, uid: int, uidvalidity: int, file: str = "") -> str | None:
        """A message's unique-id; None where it has no number, or no POP3 client could have been told what is made of it."""
        if self._has_numbers and not uid > 0 < uidvalidity:
            return None

        def written(variable: re.Match[str]) -> str:
            if variable["number"] is None:
                return file
            number = uid if variable["number"] == "u" else uidvalidity
            return f"{number:{'x' if variable['hex'] else 'd'}}".zfill(int(variable["width"] or 0))

        made = _VARIABLE.sub(written, self._text)
        return made if _UNIQUE_ID.fullmatch(made) else None


DOVECOT = UidlFormat("%08Xu%08Xv")
"""As it has it where its admin has set nothing."""
CYRUS = UidlFormat("%v.%u")
"""Likewise."""
