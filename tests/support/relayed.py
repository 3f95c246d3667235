"""A whole server that takes mail for other domains and relays it to ports of this machine."""

import contextlib
import re
from collections.abc import Callable, Iterator

from support.dns_server import DnsServer
from support.server import Server, server

QUIET = "version: 1\nextends: mailward/inbound\nplugins:\n  antivirus: {engine: test-file}\n  spam: {mode: off}\n"


def relay_to(made: Server, routes: dict[str, int], *outbound: str, protocol: str = "smtp") -> None:
    """Take mail for these domains from anybody and send it to these ports."""
    lines = "".join(f'  {domain}: "{protocol}:[127.0.0.1]:{port}"\n' for domain, port in routes.items())
    extra = f"outbound: {{{', '.join(outbound)}}}\n" if outbound else ""
    text = re.sub(r"^routes: .*\n", "", made.config.read_text(), flags=re.MULTILINE)
    made.config.write_text(f"{text}relay_domains: [{', '.join(routes)}]\nroutes:\n{lines}{extra}")


@contextlib.contextmanager
def two_servers(dns_server: DnsServer, prepare: Callable[[Server], None] = lambda _: None) -> Iterator[tuple[Server, Server]]:
    """one.test and two.test, each with a route to the other and what it publishes in DNS.

    prepare: called with each before both start, two first, so that what one sends at once arrives.
    """
    with (
        server(policy=QUIET, start=False, domain="one.test") as one,
        server(policy=QUIET, start=False, domain="two.test") as two,
    ):
        for here, there in ((one, two), (two, one)):
            text = re.sub(r"servers: \[.*\]", 'servers: ["{}:{}"]'.format(*dns_server.address), here.config.read_text())
            here.config.write_text(text)
            here.configure("routes: {}", f'routes: {{{there.domain}: "smtp:[127.0.0.1]:{there.port("mx")}"}}')
            records = [f"{r['name']} {r['type']} {r['value']}" for r in here.json("domain", "dns", here.domain)]
            dns_server.publish(here.domain, "\n".join([*records, f"mx.{here.domain}. A 127.0.0.1"]) + "\n")
            prepare(here)
        for here in (two, one):
            here.start()
        yield one, two
