"""How does an https URL become octets, by aiohttp? From addresses that the caller names, and within its limits."""

import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from mailward import __version__
from mailward.api.services import HttpAnswer, HttpFailed

Addresses = Callable[[str], Awaitable[Sequence[str]]]
"""Where a host may be reached, in the order to try. Raises OSError when nowhere."""


async def fetch(
    url: str, addresses: Addresses, *, tls: ssl.SSLContext, port: int | None, limit_octets: int, limit_s: float
) -> HttpAnswer:
    """One GET, no redirect followed. port: None for that of the URL. Raises HttpFailed."""
    connector = aiohttp.TCPConnector(resolver=_Names(addresses, port), ssl=tls, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=limit_s),
                auto_decompress=False,
                headers={"User-Agent": f"mailward/{__version__}", "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            octets = await _read(response.content, limit_octets)
            return HttpAnswer(response.status, response.content_type if "Content-Type" in response.headers else "", octets)
    except aiohttp.ClientConnectorCertificateError as error:
        raise HttpFailed(f"its certificate is not good: {error.certificate_error}", is_certificate=True) from None
    except TimeoutError:
        raise HttpFailed(f"it takes longer than {limit_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        raise HttpFailed(str(cause) or type(cause).__name__) from None


async def _read(content: aiohttp.StreamReader, limit_octets: int) -> bytes:
    octets = bytearray()
    async for chunk in content.iter_any():
        octets += chunk
        if len(octets) > limit_octets:
            raise HttpFailed(f"it has more than {limit_octets} octets")
    return bytes(octets)


class _Names(AbstractResolver):
    """aiohttp's way of asking for addresses."""

    def __init__(self, addresses: Addresses, port: int | None) -> None:
        self._addresses = addresses
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in await self._addresses(host)]
        return [
            ResolveResult(hostname=host, host=address, port=self._port or port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is held."""
