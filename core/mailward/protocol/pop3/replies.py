"""What a POP3 server says: single lines, multi-line responses, and stored messages in their form (RFC 1939 section 3)."""

from collections.abc import Iterable

from mailward.protocol.pop3.content import END, MessageContent
from mailward.protocol.sasl import encode


class Replies:
    """Octets that wait to be sent, in order."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._content: MessageContent | None = None

    def __len__(self) -> int:
        return len(self._out)

    def taken(self) -> bytes:
        """What has gathered; it is forgotten here."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def ok(self, text: str = "") -> None:
        self._out += (f"+OK {text}" if text else "+OK").encode("ascii") + b"\r\n"

    def err(self, text: str, code: str = "") -> None:
        """code: a response code (RFC 2449 section 8, RFC 3206, RFC 6856 section 5), without brackets."""
        self._out += (f"-ERR [{code}] {text}" if code else f"-ERR {text}").encode("ascii") + b"\r\n"

    def challenge(self, octets: bytes) -> None:
        self._out += b"+ " + encode(octets) + b"\r\n"

    def lines(self, text: str, lines: Iterable[str]) -> None:
        """A multi-line response that is there at once."""
        self.ok(text)
        self._out += "".join(f"{line}\r\n" for line in lines).encode("ascii") + END

    def begin_message(self, text: str, body_lines: int | None) -> None:
        """A multi-line response that is a stored message."""
        self._content = MessageContent(body_lines)
        self.ok(text)

    def more(self, octets: bytes) -> bool:
        """Octets of a multi-line response, cut anywhere. False when nothing further is wanted."""
        if self._content is None:
            self._out += octets
            return True
        self._out += self._content.feed(octets)
        return not self._content.is_full

    def end(self) -> None:
        """The end of a multi-line response."""
        self._out += END if self._content is None else self._content.end()
        self._content = None
