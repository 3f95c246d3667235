"""A whole server that takes mail for other domains and relays it to ports of this machine."""

import re

from support.server import Server

QUIET = "version: 1\nextends: mailward/inbound\nplugins:\n  antivirus: {engine: test-file}\n  spam: {mode: off}\n"


def relay_to(made: Server, routes: dict[str, int], *outbound: str) -> None:
    """Take mail for these domains from anybody and send it to these ports."""
    lines = "".join(f'  {domain}: "smtp:[127.0.0.1]:{port}"\n' for domain, port in routes.items())
    extra = f"outbound: {{{', '.join(outbound)}}}\n" if outbound else ""
    text = re.sub(r"^routes: .*\n", "", made.config.read_text(), flags=re.MULTILINE)
    made.config.write_text(f"{text}relay_domains: [{', '.join(routes)}]\nroutes:\n{lines}{extra}")
