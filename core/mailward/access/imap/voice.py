"""How a session speaks to its client: what it writes, in which letters, and what the client has enabled."""

from mailward.access.connection import Connection
from mailward.access.imap.desk import Desk
from mailward.formats.imap import string, utf8_string
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.names import decode_name, encode_name


class Voice:
    """tag: of the command under way. enabled: what the client has switched on: ENABLE's words, and CONDSTORE also where another
    command implies it."""

    def __init__(self, desk: Desk, connection: Connection, capabilities_off: frozenset[str]) -> None:
        """capabilities_off: what is not offered to this client, of `SWITCHABLE`."""
        self.desk = desk
        self.connection = connection
        self.tag = b""
        self.enabled: set[str] = set()
        self._off = capabilities_off
        self._output: list[bytes] = []

    def offers(self, capability: str) -> bool:
        """Whether it is not switched off."""
        return capability not in self._off

    def write(self, octets: bytes) -> None:
        """Queue octets; they leave with the next `flush`."""
        self._output.append(octets)

    def untagged(self, text: str | bytes) -> None:
        self.write(b"* " + (text.encode("ascii") if isinstance(text, str) else text) + b"\r\n")

    async def flush(self) -> None:
        if self._output:
            octets = b"".join(self._output)
            self._output.clear()
            await self.connection.send(octets)

    @property
    def speaks_utf8(self) -> bool:
        """Whether mailbox names and strings are UTF-8 in both directions (RFC 9755 section 3); 7-bit to all others."""
        return self.is_rev2 or "UTF8=ACCEPT" in self.enabled

    @property
    def is_rev2(self) -> bool:
        """Whether the client has enabled IMAP4rev2: nothing is recent to it, and SEARCH answers by ESEARCH."""
        return "IMAP4rev2" in self.enabled

    def read_name(self, arguments: Arguments) -> str:
        """The mailbox that the next argument names. Raises BadSyntax and NameRefused."""
        return self.name_of(arguments.astring())

    def name_of(self, octets: bytes) -> str:
        """The mailbox that these octets of the client name. Raises NameRefused."""
        return decode_name(octets, utf8=self.speaks_utf8)

    def tell_name(self, name: str, attributes: str, written: bytes) -> None:
        """A mailbox as LIST tells it, with how the client wrote its name where that is different (RFC 9051 section 6.3.9.7)."""
        old = b"" if written == name.encode("utf-8") else b' ("OLDNAME" (%b))' % utf8_string(written)
        self.untagged(b'LIST (%b) "/" %b%b' % (attributes.encode("ascii"), self.name_octets(name), old))

    def name_octets(self, name: str) -> bytes:
        """A mailbox name as a string for the client."""
        return utf8_string(name.encode("utf-8")) if self.speaks_utf8 else string(encode_name(name))
