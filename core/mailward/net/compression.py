"""COMPRESS=DEFLATE (RFC 4978): raw deflate in both directions of one connection, with little memory and never much at once."""

import zlib

_LEVEL = 1
_WINDOW_BITS = -12
_MEMORY_LEVEL = 5
"""4 KiB of window and 32 KiB of state a connection in place of 256: mail repeats itself nearby."""
_THEIR_WINDOW_BITS = -15
_MOST_OCTETS = 64 * 1024


class Deflate:
    """feed and read: from the client; write: to it."""

    def __init__(self) -> None:
        self._writer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
        self._reader = zlib.decompressobj(_THEIR_WINDOW_BITS)
        self._waiting = b""

    def write(self, octets: bytes) -> bytes:
        """Flushed, so that the client can read all of it."""
        return self._writer.compress(octets) + self._writer.flush(zlib.Z_SYNC_FLUSH)

    def feed(self, octets: bytes) -> None:
        """Keep what the client sent."""
        self._waiting += octets

    def read(self) -> bytes:
        """The next octets of what was fed, so few at a time that a bomb meets the limits of commands first (T-IMAP-12).

        b"" when more has to be fed. Raises ConnectionError for what is not deflate, and at the end of the stream.
        """
        try:
            octets = self._reader.decompress(self._waiting, _MOST_OCTETS)
        except zlib.error as error:
            raise ConnectionResetError(f"the compressed stream is damaged: {error}") from None
        self._waiting = self._reader.unconsumed_tail
        if self._reader.eof and not octets:
            raise ConnectionResetError("the compressed stream has ended")
        return octets
