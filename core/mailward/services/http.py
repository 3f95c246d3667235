"""How is something fetched from the web that a stranger named? Carefully: see `mailward.api.Http`.

The name is looked up here and the connection goes to the very address that was checked, so that a second answer of DNS cannot
lead into a network of our own (SSRF, DNS rebinding).
"""

import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from mailward.api.services import DnsTemporaryError, HttpAnswer, HttpFailed, Resolver
from mailward.formats.network import Network, is_public
from mailward.model.dns import RecordType

_KINDS: Sequence[RecordType] = ("AAAA", "A")


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
        self._resolver = resolver
        self._allowed = allowed
        self._tls = tls
        self._port = port

    async def get(self, url: str, *, limit_octets: int, limit_s: float) -> HttpAnswer:
        if not url.startswith("https://"):
            raise HttpFailed("only https is fetched")
        self._check(urlsplit(url).hostname or "")
        from mailward.services.fetching import fetch  # aiohttp loads for 0.1 s: most commands and processes never fetch

        return await fetch(
            url, self._addresses, tls=self._tls or _system_tls(), port=self._port, limit_octets=limit_octets, limit_s=limit_s
        )

    def _check(self, host: str) -> None:
        """Nobody resolves an address that stands in the place of a name. Raises HttpFailed when it may not be reached."""
        looks_like_one = ":" in host or host.rpartition(".")[2].isdigit()  # no top-level domain is all digits
        if looks_like_one and not is_public(host, self._allowed):
            raise HttpFailed(f"its address {host} is not public")

    async def _addresses(self, host: str) -> Sequence[str]:
        """By our own DNS, those that may be reached. Raises OSError when there is none."""
        found: list[str] = []
        refused = failure = ""
        for kind in _KINDS:
            try:
                addresses = (await self._resolver.resolve(host, kind)).records
            except DnsTemporaryError as error:
                failure = str(error)
                continue
            for address in addresses:
                if is_public(address, self._allowed):
                    found.append(address)
                else:
                    refused = address
        if not found:
            raise OSError(f"its address {refused} is not public" if refused else failure or f"{host} has no address")
        return found


def _system_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
