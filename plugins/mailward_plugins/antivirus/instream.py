"""How are octets given to clamd, and what did it answer? (clamd(8), command INSTREAM)

One connection a scan, on plain sockets: when clamd has had enough it answers and closes while we still send, and the answer
can then still be read, which a stream transport would have thrown away.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import clamd

from mailward_plugins.antivirus.settings import AntivirusSettings

_REPLY_LIMIT_OCTETS = 4096
_TOO_BIG = "INSTREAM size limit exceeded. ERROR"


@dataclass(frozen=True, slots=True)
class ScanReply:
    """name: of what was found, "" for nothing. is_complete: False when clamd took only a part of the octets."""

    name: str = ""
    is_complete: bool = True


async def scan(pieces: AsyncIterator[bytes], settings: AntivirusSettings) -> ScanReply:
    """Have a stream scanned that comes in pieces, none of them empty.

    Raises clamd.ClamdError when there is no clear answer, for whatever reason, and what taking the pieces raises.
    """
    try:
        connection = await _connect(settings)
    except (OSError, ValueError) as error:
        raise clamd.ConnectionError(f"clamd at {settings.socket} cannot be reached: {error or type(error).__name__}") from None
    with connection:
        try:
            await _send(connection, pieces, settings.idle_limit)
            return parse_reply(await _receive(connection, settings.reply_limit))
        except OSError as error:  # TimeoutError is one, too
            raise clamd.ConnectionError(f"clamd at {settings.socket}: {error or type(error).__name__}") from None


def parse_reply(reply: bytes) -> ScanReply:
    """The answer to INSTREAM, its NUL included. Raises clamd.ResponseError unless it is exactly one of the known answers."""
    text = reply.removesuffix(b"\0").decode("utf-8", errors="replace")
    if text == _TOO_BIG:
        return ScanReply(is_complete=False)
    found = clamd.scan_response.match(text)
    if found is None or not reply.endswith(b"\0") or "\0" in text or found["path"] != "stream":
        raise clamd.ResponseError(f"clamd answered {text[:200]!r}")
    if found["status"] == "OK" and found["virus"] is None:
        return ScanReply()
    if found["status"] == "FOUND" and found["virus"]:
        return ScanReply("".join(c if "!" <= c <= "~" else "?" for c in found["virus"][:100]))
    raise clamd.ResponseError(f"clamd answered {text[:200]!r}")


async def _connect(settings: AntivirusSettings) -> socket.socket:
    loop = asyncio.get_running_loop()
    address: str | tuple[str, int] = settings.socket
    family = socket.AF_UNIX
    if not settings.socket.startswith("/"):
        host, _, port = settings.socket.rpartition(":")
        ip = ipaddress.ip_address(host.strip("[]"))
        family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
        address = (str(ip), int(port))
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(settings.connect_limit.total_seconds()):
            await loop.sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _send(connection: socket.socket, pieces: AsyncIterator[bytes], idle_limit: timedelta) -> None:
    """The command and the data in pieces; ends early when clamd stops listening, as it says why in its answer."""
    loop = asyncio.get_running_loop()
    head = b"zINSTREAM\0"
    try:
        async for piece in pieces:
            async with asyncio.timeout(idle_limit.total_seconds()):
                await loop.sock_sendall(connection, head + len(piece).to_bytes(4, "big"))
                await loop.sock_sendall(connection, piece)
            head = b""
        async with asyncio.timeout(idle_limit.total_seconds()):
            await loop.sock_sendall(connection, head + bytes(4))
    except (BrokenPipeError, ConnectionResetError):
        return


async def _receive(connection: socket.socket, reply_limit: timedelta) -> bytes:
    """What clamd sends until it closes, at most a few kilobytes of it."""
    loop = asyncio.get_running_loop()
    reply = b""
    async with asyncio.timeout(reply_limit.total_seconds()):
        while len(reply) < _REPLY_LIMIT_OCTETS:
            piece = await loop.sock_recv(connection, _REPLY_LIMIT_OCTETS)
            reply += piece
            if not piece or b"\0" in piece:
                break
    return reply
