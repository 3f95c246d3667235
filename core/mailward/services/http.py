"""How is something fetched from the web that a stranger named? Carefully: see `mailward.api.Http`.

The name is looked up here and the connection goes to the very address that was checked, so that a second answer of DNS cannot
lead into a network of our own (SSRF, DNS rebinding).
"""

import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from mailward import __version__
from mailward.api.services import DnsTemporaryError, HttpAnswer, HttpFailed, RecordType, Resolver
from mailward.formats.network import Network, is_public

_KINDS: Sequence[tuple[RecordType, socket.AddressFamily]] = (("AAAA", socket.AF_INET6), ("A", socket.AF_INET))


class PublicHttp:
    """Implements `mailward.api.Http`. allowed: networks that are not public and yet may be reached.

    tls: by which authorities servers are proven, None for those of the system. port: None for that of the URL.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        allowed: Sequence[Network] = (),
        tls: ssl.SSLContext | None = None,
        port: int | None = None,
    ) -> None:
        self._names = _PublicNames(resolver, allowed, port)
        self._tls = tls

    async def get(self, url: str, *, limit_octets: int, limit_s: float) -> HttpAnswer:
        if not url.startswith("https://"):
            raise HttpFailed("only https is fetched")
        self._names.check(urlsplit(url).hostname or "")
        connector = aiohttp.TCPConnector(resolver=self._names, ssl=self._tls or _system_tls(), force_close=True)
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


def _system_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _PublicNames(AbstractResolver):
    """Names by our own DNS, and of their addresses those that may be reached."""

    def __init__(self, resolver: Resolver, allowed: Sequence[Network], port: int | None) -> None:
        self._resolver = resolver
        self._allowed = allowed
        self._port = port

    def check(self, host: str) -> None:
        """Nobody resolves an address that stands in the place of a name. Raises HttpFailed when it may not be reached."""
        looks_like_one = ":" in host or host.rpartition(".")[2].isdigit()  # no top-level domain is all digits
        if looks_like_one and not is_public(host, self._allowed):
            raise HttpFailed(f"its address {host} is not public")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found: list[ResolveResult] = []
        refused = failure = ""
        for kind, of_kind in _KINDS:
            if family not in (socket.AF_UNSPEC, of_kind):
                continue
            try:
                addresses = (await self._resolver.resolve(host, kind)).records
            except DnsTemporaryError as error:
                failure = str(error)
                continue
            for address in addresses:
                if not is_public(address, self._allowed):
                    refused = address
                    continue
                found.append(
                    ResolveResult(
                        hostname=host,
                        host=address,
                        port=self._port or port,
                        family=of_kind,
                        proto=0,
                        flags=socket.AI_NUMERICHOST,
                    )
                )
        if not found:
            raise OSError(f"its address {refused} is not public" if refused else failure or f"{host} has no address")
        return found

    async def close(self) -> None:
        """Nothing is held."""
