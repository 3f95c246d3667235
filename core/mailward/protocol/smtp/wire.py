"""What may an SMTP client write? Commands of one line and mail data of whole lines; nothing that could be read as more.

RFC 5321 sections 2.3.8 and 4.5.2; T-NET-08, T-SMTP-09.
"""

from typing import NewType

from mailward.model.errors import LocalError

NO_MAIL_DATA = b".\r\n"
"""For a server that wants mail data though no recipient was accepted (RFC 2920 section 3.1)."""

SoundOctets = NewType("SoundOctets", bytes)
"""Content that may be written: each CR and each LF is half of a CRLF, and there is no NUL. Only `sound` makes it."""

_FORBIDDEN = frozenset(b"\r\n\0")


def command(*parts: bytes) -> bytes:
    """One command line. Raises LocalError for an argument that could become a second one."""
    line = b"".join(parts)
    if not _FORBIDDEN.isdisjoint(line):
        raise LocalError("SMTP client: an argument holds CR, LF or NUL")
    return line + b"\r\n"


def sound(octets: bytes) -> SoundOctets | None:
    """The same, None when they are not sound."""
    without_line_ends = octets.replace(b"\r\n", b"")  # a fifth of the time that it takes to count all three
    return None if any(octet in without_line_ends for octet in (b"\r", b"\n", b"\0")) else SoundOctets(octets)


def mail_data(octets: SoundOctets) -> bytes:
    """As mail data: one dot more at the start of each line that begins with one, and the end of data."""
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n.\r\n")


def last_chunk(octets: SoundOctets) -> bytes:
    """As the one chunk of a message, its command before it (RFC 3030 section 2). It ends as mail data would."""
    end = b"" if not octets or octets.endswith(b"\r\n") else b"\r\n"
    return b"".join((b"BDAT %d LAST\r\n" % (len(octets) + len(end)), octets, end))
