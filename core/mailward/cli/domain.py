"""`mailward domain`: the domains served here, the keys that sign their mail, and what they publish."""

import asyncio
from typing import Annotated

import typer

from mailward.app.domains import give_roles, serve_domain
from mailward.app.records import compared
from mailward.cli import domain_key, quota
from mailward.cli.domain_records import found_records, records_data, served, zone_lines
from mailward.cli.options import ConfigOption, JsonOption, YesOption, account_of, config_of, opened_directory, parsed_domain
from mailward.cli.output import USAGE, confirm, fail, show, table
from mailward.directory import DirectoryError
from mailward.model.address import Address
from mailward.services.resolver import DnsResolver
from mailward.services.signing_keys import SigningKeys

app = typer.Typer(help="The domains served here.", no_args_is_help=True)
app.add_typer(domain_key.app, name="key")
app.command("quota")(quota.domain_command)
DomainArgument = Annotated[str, typer.Argument(help="One of the domains served here.")]


@app.command("add")
def add_command(
    domain: Annotated[str, typer.Argument(help="A domain whose mail is to be taken, for example example.com.")],
    postmaster: Annotated[
        str | None, typer.Option(help="The account that gets its postmaster and abuse; else the server's postmaster does.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve a domain. Its mail is taken, keys to sign it are made, and the DNS records to publish are printed.

    A running server heeds it at once. Accounts are added with mailward account add.

    Examples:

      mailward domain add example.com

      mailward domain add example.com --postmaster carol@example.org
    """
    name = parsed_domain(domain)
    settings = config_of(config)
    account = None if postmaster is None else account_of(settings, postmaster)
    with opened_directory(settings) as directory:
        selectors = serve_domain(directory, SigningKeys(settings.dkim_keys), name)
        if account is not None:
            try:
                give_roles(directory, name, account.id)
            except DirectoryError as error:
                fail(f"{error}; take it away first: mailward account address remove", USAGE)
        reader = directory.account(Address("postmaster", name))
    records = found_records(settings, name).records
    whose = f"postmaster@{name} goes to {reader.address}" if reader else "nobody reads its postmaster until there is an account"
    text = f"; {name} is served here; {whose}; publish these records:\n{zone_lines(records)}"
    data = {
        "domain": name,
        "postmaster": str(reader.address) if reader else None,
        "selectors": selectors,
        "records": records_data(records),
    }
    show(text, data, as_json=as_json)


@app.command("remove")
def remove_command(
    domain: DomainArgument, yes: YesOption = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Serve a domain no longer, once it has no accounts. Mail to it is refused, or sent on as to any other.

    Aliases in it go; the keys that sign its mail stay as a folder that the answer names.

    Example: mailward domain remove example.com --yes
    """
    settings = config_of(config)
    name = served(settings, domain)
    confirm(f"Serve {name} no longer?", yes=yes)
    with opened_directory(settings) as directory:
        gone = [str(one.address) for one in directory.further_addresses() if one.address.domain == name]
        gone += [one.name for one in directory.aliases() if one.address.domain == name]
        try:
            directory.remove_domain(name)
        except DirectoryError as error:
            fail(str(error), USAGE)
    keys = settings.dkim_keys / name
    lines = [f"{name} is served no longer; take its records out of DNS"]
    if gone:
        lines.append(f"what leads from it to accounts and elsewhere too: {', '.join(gone)}")
    if keys.exists():
        lines.append(f"its keys stay in {keys}; delete that folder when no mail of it waits any more")
    show("\n".join(lines), {"domain": name, "addresses": gone, "keys": str(keys) if keys.exists() else None}, as_json=as_json)


@app.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the domains served here. With each stand the selectors of the keys that sign its mail.

    Example: mailward domain list
    """
    settings = config_of(config)
    with opened_directory(settings) as directory:
        domains = directory.domains()
    keys = SigningKeys(settings.dkim_keys)
    found = [(domain, keys.selectors(domain)) for domain in domains]
    rows = [(domain, ", ".join(selectors) or "no key of its own") for domain, selectors in found]
    data = [{"domain": domain, "selectors": selectors} for domain, selectors in found]
    show(table(rows) if rows else "no domains", data, as_json=as_json)


@app.command("dns")
def dns_command(
    domain: DomainArgument,
    check: Annotated[bool, typer.Option("--check", help="Look into DNS and say which are missing or different.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the DNS records to publish for a domain. They are lines of a zone file; with --check only what DNS lacks.

    With --check it exits 1 while something is to be done.

    Examples:

      mailward domain dns example.org

      mailward domain dns example.org --check
    """
    settings = config_of(config)
    records = found_records(settings, served(settings, domain)).records
    if not check:
        show(zone_lines(records), records_data(records), as_json=as_json)
        return
    found = asyncio.run(compared(records, DnsResolver(settings.dns_servers)))
    open_ = [one for one in found if one.state != "published"]
    unknown = sum(one.state == "not looked at" for one in open_)
    lines = [f"{len(found) - len(open_)} of {len(found)} records are in DNS as they should be"]
    if unknown:
        lines[0] += f", {unknown} could not be looked at"
    lines += [f"\n; {one}\n{zone_lines([one.record])}" for one in open_]
    data = [{**fields, "state": one.state} for one, fields in zip(found, records_data(one.record for one in found), strict=True)]
    show("\n".join(lines), data, as_json=as_json)
    if open_:
        raise typer.Exit(1)
