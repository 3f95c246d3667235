"""`mailward domain key`: the keys that sign a domain's mail, and how they are changed without anybody noticing."""

import asyncio
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.app.records import Records, compared
from mailward.cli.domain_records import found_records, records_data, selector_of, served, zone_lines
from mailward.cli.options import ConfigOption, JsonOption, config_of
from mailward.cli.output import NO_INPUT, SOFTWARE, fail, moment, show, table, warn
from mailward.services.resolver import DnsResolver
from mailward.services.signing_keys import SigningKeyError, SigningKeys

app = typer.Typer(help="The keys that sign a domain's mail.", no_args_is_help=True)
DomainArgument = Annotated[str, typer.Argument(help="One of the domains served here.")]


@app.command("list")
def list_command(domain: DomainArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the keys of a domain, and what each does. It shows what is to be done next, too.

    Example: mailward domain key list example.org
    """
    settings = config_of(config)
    name = served(settings, domain)
    keys, found = _keys(settings), _found(settings, name)
    show(lambda: _listed(keys, name), _data(keys, name, found), as_json=as_json)
    _complain(name, found)


@app.command("rotate")
def rotate_command(domain: DomainArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make new keys beside those that sign. The records to add to DNS are printed. They sign once you activate them.

    For a domain that has no keys it makes the first ones, which sign at once.

    Example: mailward domain key rotate example.org
    """
    settings = config_of(config)
    name = served(settings, domain)
    keys = _keys(settings)
    if not keys.selectors(name):
        made = keys.ensure(name)
        head = f"these keys sign: {_names(made)}; add their records to DNS"
    else:
        waited = keys.waiting(name)
        made = keys.rotate(name)
        wait = "wait still, so no new ones were made" if waited else "wait"
        head = f"these keys {wait}: {_names(made)}; add their records to DNS, then: mailward domain key activate {name}"
    _shown(settings, keys, name, head, as_json=as_json, only=made)


@app.command("activate")
def activate_command(
    domain: DomainArgument,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Do not look into DNS first.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the waiting keys sign, once DNS shows their records. Those that signed before sign no longer.

    The records of the former keys stay in DNS for a week, for mail that is on its way.

    Example: mailward domain key activate example.org
    """
    settings = config_of(config)
    name = served(settings, domain)
    keys = _keys(settings)
    if not unchecked:
        _require_published(settings, name, keys.waiting(name))
    try:
        head = f"these keys sign now: {_names(keys.activate(name))}"
    except SigningKeyError as error:
        fail(str(error), NO_INPUT)
    retires_at = keys.retires_at(name)
    if retires_at is not None:
        head += f"; leave the other records where they are until {moment(retires_at)}, then: mailward domain key retire {name}"
    _shown(settings, keys, name, head, as_json=as_json)


@app.command("retire")
def retire_command(
    domain: DomainArgument,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the week to be over: after a theft.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the keys that signed before. It can be done a week after others took their place. The records to take out of DNS
    are printed.

    Example: mailward domain key retire example.org
    """
    settings = config_of(config)
    name = served(settings, domain)
    keys = _keys(settings)
    try:
        retired = keys.retire(name, early=now)
    except SigningKeyError as error:
        fail(f"{error}; or, after a theft: mailward domain key retire {name} --now", SOFTWARE)
    gone = [f"{selector}._domainkey.{name}." for selector in retired]
    lines = [f"deleted: {_names(retired)}; take these records out of DNS:", *(f"{record}\tIN\tTXT" for record in gone)]
    text = "\n".join(lines) if retired else "no key has signed before, so none is deleted"
    show(text, {"domain": name, "deleted": retired, "records": gone}, as_json=as_json)


def _shown(
    settings: Config, keys: SigningKeys, name: str, head: str, *, as_json: bool, only: tuple[str, ...] | None = None
) -> None:
    """What was done, above the records it is about."""
    found = _found(settings, name)
    records = [r for r in found.records if selector_of(r, name) and (only is None or selector_of(r, name) in only)]
    show(f"; {head}\n{zone_lines(records)}", _data(keys, name, found), as_json=as_json)
    _complain(name, found)


def _listed(keys: SigningKeys, name: str) -> str:
    retires_at = keys.retires_at(name)
    after = f"after {moment(retires_at)}: " if retires_at else ""
    steps = {
        "signs": "",
        "waits": f"once DNS has its record: mailward domain key activate {name}",
        "signed before": f"{after}mailward domain key retire {name}",
    }
    states = {"signs": keys.selectors(name), "waits": keys.waiting(name), "signed before": keys.former(name)}
    rows = [(selector, state, steps[state]) for state, selectors in states.items() for selector in selectors]
    if not keys.selectors(name):
        return f"no keys of its own; make them: mailward domain key rotate {name}"
    return table([("SELECTOR", "DOES", "NEXT"), *rows])


def _data(keys: SigningKeys, name: str, found: Records) -> dict[str, object]:
    retires_at = keys.retires_at(name)
    return {
        "domain": name,
        "sign": keys.selectors(name),
        "wait": keys.waiting(name),
        "former": keys.former(name),
        "retire_at": None if retires_at is None else retires_at.isoformat(),
        "records": records_data([record for record in found.records if selector_of(record, name)]),
    }


def _found(settings: Config, name: str) -> Records:
    found = found_records(settings, name)
    if not any(selector_of(record, name) for record in found.records) and not _has_failed(found):
        warn("the plugin dkim is not enabled in the policy 'outbound', so nothing is signed")
    return found


def _has_failed(found: Records) -> bool:
    return any(problem.startswith("dkim: ") for problem in found.problems)


def _complain(name: str, found: Records) -> None:
    if _has_failed(found):
        fail(f"while a key of {name} cannot be used, its mail is not sent unsigned but waits in the queue", SOFTWARE)


def _require_published(config: Config, domain: str, selectors: tuple[str, ...]) -> None:
    waiting = [record for record in found_records(config, domain).records if selector_of(record, domain) in selectors]
    if len(waiting) < len(selectors):
        fail("the plugin dkim does not say what to publish for the waiting keys; --unchecked goes on without looking", SOFTWARE)
    missing = [str(one) for one in asyncio.run(compared(waiting, DnsResolver(config.dns_servers))) if one.state != "published"]
    if missing:
        fail("\n  ".join(["not yet, since others could not check the signatures:", *missing]), SOFTWARE)


def _keys(config: Config) -> SigningKeys:
    return SigningKeys(config.dkim_keys)


def _names(selectors: tuple[str, ...]) -> str:
    return ", ".join(selectors) or "none"
