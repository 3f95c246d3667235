"""`mailward domain`: the domains served here."""

from typing import Annotated

import typer

from mailward.app.records import domain_records
from mailward.cli.options import ConfigOption, JsonOption, config_of
from mailward.cli.output import NO_INPUT, fail, show
from mailward.directory import Directory
from mailward.formats.address import normalise_domain

app = typer.Typer(help="The domains served here.", no_args_is_help=True)


@app.command("dns")
def dns_command(
    domain: Annotated[str, typer.Argument(help="One of the domains served here.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the DNS records to publish for a domain, as lines of a zone file.

    Example: mailward domain dns example.org
    """
    settings = config_of(config)
    name = normalise_domain(domain)
    directory = Directory(settings.directory_file)
    known = directory.domains()
    directory.close()
    if name not in known:
        fail(f"'{name}' is not served here; served are: {', '.join(known) or 'none'}", NO_INPUT)
    records = domain_records(name, settings.hostname)
    text = "\n".join(f"; {record.why}\n{record.name}\tIN\t{record.type}\t{record.value}" for record in records)
    show(text, [{"name": r.name, "type": r.type, "value": r.value, "why": r.why} for r in records], as_json=as_json)
