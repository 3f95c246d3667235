"""What may somebody see who watches a connection? Commands and replies: no credentials, no content, nothing that acts.

A line that is no command is not shown either: clients out of step send their password as one.
"""

from collections.abc import Container
from typing import Protocol

from mailward.model.reply import Reply
from mailward.protocol.framing import Line

HIDDEN = "<hidden>"
_MOST_CHARACTERS = 1000
_MECHANISMS = frozenset(
    b"PLAIN LOGIN CRAM-MD5 DIGEST-MD5 EXTERNAL XOAUTH2 OAUTHBEARER GSSAPI NTLM"
    b" SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS".split()
)


class Watcher(Protocol):
    """Is told what happens on one connection, in order; returns at once."""

    def client_says(self, text: str) -> None:
        """A line, as `shown` makes it."""

    def server_says(self, text: str) -> None:
        """A line of a reply."""

    def content_comes(self, octets: int) -> None:
        """So much of a message, once for each piece."""


def shown(line: Line, verbs: Container[bytes], *, in_login: bool) -> str:
    """A line of the client. verbs: of commands, in upper case. in_login: it belongs to an exchange that AUTH began."""
    if line.fault is not None:
        return f"<a line that is {line.fault.value}>"
    if in_login:
        return HIDDEN
    verb, _, argument = line.octets.partition(b" ")
    if verb.upper() not in verbs:
        return f"<{len(line.octets):,} octets that are no command>"
    if verb.upper() == b"AUTH":
        mechanism, _, initial = argument.strip().partition(b" ")
        if mechanism.upper() not in _MECHANISMS:  # a client may leave it out, or what stands between it and the password
            return f"AUTH {HIDDEN}" if argument.strip() else "AUTH"
        return " ".join(("AUTH", _escaped(mechanism), *((HIDDEN,) if initial else ())))
    return _escaped(line.octets)


def reply_lines(answer: Reply) -> list[str]:
    """The lines of a reply as sent."""
    return answer.to_octets().decode("ascii").splitlines()


def _escaped(octets: bytes) -> str:
    text = octets.decode("utf-8", "backslashreplace")
    shown = text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]} <and {len(shown) - _MOST_CHARACTERS:,} more>"
