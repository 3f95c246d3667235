"""Is this the EICAR test file? All that can be said where no scanner is set up; the file every scanner agrees to report."""

from collections.abc import AsyncIterator

from mailward_plugins.antivirus.instream import ScanReply

_EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""In two pieces, so that no scanner takes this file for it."""

NAME = "Eicar-Test-File"


async def look_for_test_file(pieces: AsyncIterator[bytes]) -> ScanReply:
    """As a scanner would answer that knows this one file."""
    kept = b""
    async for piece in pieces:
        if _EICAR in kept + piece:
            return ScanReply(NAME)
        kept = (kept + piece)[-len(_EICAR) :]
    return ScanReply()
