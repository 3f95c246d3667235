"""`mailward domain`: the domains served here, the keys that sign their mail, and what they publish."""

import asyncio
from collections.abc import Iterable
from typing import Annotated

import typer

from mailward.api.dns import DnsRecord
from mailward.app.config import Config
from mailward.app.domains import give_roles, serve_domain
from mailward.app.records import Records, all_records, unpublished
from mailward.cli.options import ConfigOption, JsonOption, YesOption, account_of, config_of, opened_directory, parsed_domain
from mailward.cli.output import NO_INPUT, SOFTWARE, USAGE, confirm, fail, show, table, warn
from mailward.directory import DirectoryError
from mailward.model.address import Address
from mailward.services.resolver import DnsResolver
from mailward.services.signing_keys import SigningKeyError, SigningKeys

app = typer.Typer(help="The domains served here.", no_args_is_help=True)
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
    """Serve a domain: its mail is taken, keys to sign it are made, and the DNS records to publish are printed.

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
    records = _records(settings, name)
    whose = f"postmaster@{name} goes to {reader.address}" if reader else "nobody reads its postmaster until there is an account"
    text = f"; {name} is served here; {whose}; publish these records:\n{zone_lines(records)}"
    data = {
        "domain": name,
        "postmaster": str(reader.address) if reader else None,
        "selectors": selectors,
        "records": _data(records),
    }
    show(text, data, as_json=as_json)


@app.command("remove")
def remove_command(
    domain: DomainArgument, yes: YesOption = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Serve a domain no longer, once it has no accounts: mail to it is refused, or sent on as to any other.

    Aliases in it go; the keys that sign its mail stay as a folder that the answer names.

    Example: mailward domain remove example.com --yes
    """
    settings = config_of(config)
    name = _served(settings, domain)
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
    """Print the domains served here, each with the selectors of the keys that sign its mail.

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
def dns_command(domain: DomainArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the DNS records to publish for a domain, as lines of a zone file.

    Example: mailward domain dns example.org
    """
    settings = config_of(config)
    records = _records(settings, _served(settings, domain))
    show(zone_lines(records), _data(records), as_json=as_json)


@app.command("dkim")
def dkim_command(
    domain: DomainArgument,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make new keys beside the old ones; they wait.")] = False,
    activate: Annotated[bool, typer.Option("--activate", help="Let the waiting keys sign, once DNS has their records.")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="With --activate: do not look into DNS first.")] = False,
    retire: Annotated[bool, typer.Option("--retire", help="Delete the keys that signed before.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a domain's DKIM records and what each key does; make keys for a domain that has none.

    New keys in three steps: --rotate, publish the records, --activate; a week later --retire.

    Examples:

      mailward domain dkim example.org

      mailward domain dkim example.org --rotate

      mailward domain dkim example.org --activate
    """
    if rotate + activate + retire > 1 or (unchecked and not activate):
        fail("one of --rotate, --activate and --retire; --unchecked only with --activate", USAGE)
    settings = config_of(config)
    name = _served(settings, domain)
    keys = SigningKeys(settings.dkim_keys)
    if rotate:
        waited = keys.waiting(name)
        head = f"these keys wait: {_names(keys.rotate(name))}"
        if waited:
            head += "; they did before, so no new ones were made: publish their records, then --activate"
    elif activate:
        if not unchecked:
            _require_published(settings, name, keys.waiting(name))
        try:
            head = f"these keys sign now: {_names(keys.activate(name))}"
        except SigningKeyError as error:
            fail(str(error), NO_INPUT)
    elif retire:
        retired = keys.retire(name)
        head = f"deleted: {_names(retired)}; take their records out of DNS" if retired else "no older keys, so none is deleted"
    else:
        head = f"these keys sign: {_names(keys.ensure(name))}"
    found = _found(settings, name)
    records = [record for record in found.records if _selector(record, name)]
    has_failed = any(problem.startswith("dkim: ") for problem in found.problems)
    if not records and not has_failed:
        warn("the plugin dkim is not enabled in the policy 'outbound', so nothing is signed")
    data = {"domain": name, "sign": keys.selectors(name), "wait": keys.waiting(name), "records": _data(records)}
    show(f"; {head}\n{zone_lines(records)}", data, as_json=as_json)
    if has_failed:
        fail(f"while a key of {name} cannot be used, its mail is not sent unsigned but waits in the queue", SOFTWARE)


def zone_lines(records: Iterable[DnsRecord]) -> str:
    """The records as lines of a zone file, each with its reason above it."""
    return "\n".join(f"; {record.why}\n{record.name}\tIN\t{record.type}\t{record.value}" for record in records)


def _data(records: Iterable[DnsRecord]) -> list[dict[str, str]]:
    return [{"name": r.name, "type": r.type, "value": r.value, "why": r.why} for r in records]


def _names(selectors: tuple[str, ...]) -> str:
    return ", ".join(selectors) or "none"


def _records(config: Config, domain: str) -> tuple[DnsRecord, ...]:
    return _found(config, domain).records


def _found(config: Config, domain: str) -> Records:
    """What a plugin failed at is told on standard error."""
    found = asyncio.run(all_records(config, domain))
    for problem in found.problems:
        warn(problem)
    return found


def _require_published(config: Config, domain: str, selectors: tuple[str, ...]) -> None:
    waiting = [record for record in _records(config, domain) if _selector(record, domain) in selectors]
    if len(waiting) < len(selectors):
        fail("the plugin dkim does not say what to publish for the waiting keys; --unchecked goes on without looking", SOFTWARE)
    missing = asyncio.run(unpublished(waiting, DnsResolver(config.dns_servers)))
    if missing:
        fail("\n  ".join(["not yet, since others could not check the signatures:", *missing]), SOFTWARE)


def _selector(record: DnsRecord, domain: str) -> str:
    """The selector whose key this record publishes (RFC 6376 section 3.6.2.1), "" for other records."""
    suffix = f"._domainkey.{domain}."
    return record.name.removesuffix(suffix) if record.name.endswith(suffix) else ""


def _served(config: Config, domain: str) -> str:
    name = parsed_domain(domain)
    with opened_directory(config) as directory:
        known = directory.domains()
    if name not in known:
        fail(f"'{name}' is not served here; served are: {', '.join(known) or 'none'}", NO_INPUT)
    return name
