"""What a session of a stream protocol (IMAP, POP3, ManageSieve) needs of its socket."""

from typing import Protocol

from mailward.model.session import TlsFacts


class Connection(Protocol):
    """One client's connection; `net.stream_connection` has the real one."""

    @property
    def listener(self) -> str:
        """The listener's name."""
        ...

    @property
    def tls(self) -> TlsFacts | None:
        """What was negotiated, None in clear."""
        ...

    @property
    def is_secure(self) -> bool:
        """TLS is on."""
        ...

    @property
    def can_start_tls(self) -> bool: ...

    async def send(self, octets: bytes) -> None:
        """Write; waits while the client reads too slowly. Raises ConnectionError."""
        ...

    async def receive(self, *, within_command: bool = False) -> bytes:
        """The next octets; b"" at the end. Raises ConnectionError, and TimeoutError after the time a state allows.

        within_command: of a command that has begun to come. A client that is slow with it is not waited for as one that rests:
        what it has sent is in memory.
        """
        ...

    async def start_tls(self) -> None:
        """The handshake. Raises ConnectionError, also when clear text followed the command."""
        ...

    def start_compression(self) -> None:
        """From now on both directions are compressed (RFC 4978)."""
        ...
