"""SMTP replies (RFC 5321 section 4.2) with enhanced status codes (RFC 3463), and the named replies we use."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply.

    code: three digits. enhanced: "5.7.1", or None where RFC 2034 wants none (greeting, EHLO, 3xx).
    lines: printable ASCII, without code and line end. closes: the server ends the connection after it.
    """

    code: int
    enhanced: str | None
    lines: tuple[str, ...]
    closes: bool = False

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    def __str__(self) -> str:
        """One line for people and logs: "554 5.7.1 text"."""
        head = str(self.code) if self.enhanced is None else f"{self.code} {self.enhanced}"
        return f"{head} {' '.join(self.lines)}"

    def to_octets(self) -> bytes:
        """The reply as sent, every line at most 512 octets (RFC 5321 section 4.5.3.1.5), anything unprintable as '?'."""
        prefix = "" if self.enhanced is None else self.enhanced + " "
        out = []
        last = len(self.lines) - 1
        for number, line in enumerate(self.lines):
            text = prefix + line
            if not (text.isascii() and text.isprintable()):
                text = "".join(c if " " <= c <= "~" else "?" for c in text)
            out.append(f"{self.code}{' ' if number == last else '-'}{text[:506]}\r\n")
        return "".join(out).encode("ascii")


def reply(code: int, enhanced: str | None, text: str, *, closes: bool = False) -> Reply:
    """A reply of one line."""
    return Reply(code, enhanced, (text,), closes)


LOCAL_ERROR = reply(451, "4.3.0", "Temporary local problem, please try again later")
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients")
INSUFFICIENT_STORAGE = reply(452, "4.3.1", "Insufficient system storage, please try again later")
MESSAGE_TOO_BIG = reply(552, "5.3.4", "Message is larger than this server accepts")
NO_SUCH_USER = reply(550, "5.1.1", "No such mailbox here")
RELAY_DENIED = reply(554, "5.7.1", "Relaying is not permitted here")
REJECTED = reply(554, "5.7.1", "Message rejected by policy")
SHUTTING_DOWN = reply(421, "4.3.2", "Service is shutting down, please try again later", closes=True)
TOO_MANY_CONNECTIONS = reply(421, "4.7.0", "Too many connections from your address", closes=True)
NO_ROOM = reply(421, "4.3.2", "Too many connections, please try again later", closes=True)
TIMED_OUT = reply(421, "4.4.2", "Timed out waiting for input", closes=True)
