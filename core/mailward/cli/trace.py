"""`mailward trace`: what clients say and what they are told, while it happens."""

import ipaddress
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from mailward.app.config import SMTP_PROTOCOLS
from mailward.cli.options import ConfigOption, JsonOption, config_of, duration_of
from mailward.cli.output import NO_INPUT, USAGE, fail, show_entry, tell
from mailward.formats.network import Network
from mailward.net.local import PeerAway, Refusal
from mailward.net.tracing import Entry, trace


def trace_command(
    ip: Annotated[str | None, typer.Option(help="Connections of this address; this or --network is needed.")] = None,
    network: Annotated[str | None, typer.Option(help="Connections of this network, as 192.0.2.0/24.")] = None,
    listener: Annotated[str, typer.Option(help="Only those to this SMTP or LMTP listener, by its name in mailward.yaml.")] = "",
    lasting: Annotated[str, typer.Option("--for", help="End after 30s, 10m, 1h ...")] = "10m",
    connections: Annotated[int, typer.Option(min=0, help="End after so many connections; 0 for any number.")] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print SMTP connections as they happen.

    C: is what the client says, S: what it is told, *: what else is known. Content is counted and not shown, and neither is
    what belongs to a login. Connections that are open already are not seen. Ctrl-C ends it. With --json each entry is a
    line.

    Examples:

      mailward trace --ip 192.0.2.1

      mailward trace --network 2001:db8::/32 --listener mx --for 1h

      mailward trace --ip 192.0.2.1 --connections 1 --json
    """
    settings = config_of(config)
    traced = [one.name for one in settings.listeners if one.protocol in SMTP_PROTOCOLS]
    if listener and listener not in traced:
        is_other = listener in {one.name for one in settings.listeners}
        what = f"the listener '{listener}' does not speak SMTP or LMTP" if is_other else f"no listener is called '{listener}'"
        fail(f"{what}; those that can be watched: {', '.join(traced)}", USAGE)
    watched = _network(ip, network)
    seconds = duration_of(lasting).total_seconds()
    try:
        entries = trace(settings.smtp_sockets, watched, listener, seconds)
        tell(f"watching {watched}{f' on {listener}' if listener else ''} for {lasting}; Ctrl-C ends it")
        for entry in _until(entries, connections):
            if isinstance(entry, int):
                tell(f"{entry:,} entries were missed here: too much came at once")
            else:
                show_entry(_line(entry), asdict(entry), as_json=as_json)
    except KeyboardInterrupt:
        return
    except PeerAway as error:
        fail(f"no server answers: {error}; start it: mailward serve -c {settings.path}", NO_INPUT)
    except Refusal as error:
        fail(str(error), NO_INPUT)


def _until(entries: Iterator[Entry | int], connections: int) -> Iterator[Entry | int]:
    """All of them, or those up to the end of so many connections."""
    ended = 0
    for entry in entries:
        yield entry
        if isinstance(entry, Entry) and entry.who == "*" and entry.text in ("closed", "the client is gone"):
            ended += 1
            if ended == connections:
                return


def _line(entry: Entry) -> str:
    return f"{entry.at[11:-1]} {entry.session} {entry.peer} {entry.listener} {entry.who}: {entry.text}"


def _network(ip: str | None, network: str | None) -> Network:
    if (ip is None) == (network is None):
        fail("say whose connections: --ip 192.0.2.1, or --network 192.0.2.0/24; everybody's: --network ::/0 or 0.0.0.0/0", USAGE)
    try:
        return ipaddress.ip_network(network or str(ipaddress.ip_address(ip or "")))
    except ValueError as error:
        fail(f"{error}", USAGE)
