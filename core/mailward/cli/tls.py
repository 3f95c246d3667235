"""`mailward tls`: how well mail is protected on its way."""

import asyncio
from typing import Annotated, Any

import typer

from mailward.app.tls_check import DomainCheck, HostCheck, Tried, check_domain
from mailward.cli.options import ConfigOption, JsonOption, config_of, parsed_domain
from mailward.cli.output import NO_INPUT, SOFTWARE, fail, show
from mailward.cli.plugin_group import ServerGroup
from mailward.model.tls import PolicyType, TlsLevel, TlsRequirement

app = typer.Typer(cls=ServerGroup, help="How well mail is protected on its way.", no_args_is_help=True)


@app.callback()
def _group() -> None: ...


@app.command("check")
def check_command(
    domain: Annotated[str, typer.Argument(help="The domain that mail would go to, for example example.net.")],
    connect: Annotated[bool, typer.Option("--connect", help="Try each host: as far as EHLO over TLS, no mail is sent.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how mail for a domain would be protected now, and why. That is told for each of its hosts.

    Exits 1 when no host would get mail, 66 when the domain takes none. Of a domain that is served
    here it says just that. Nothing that is fetched for it is kept.

    Examples:

      mailward tls check example.net

      mailward tls check example.net --connect
    """
    settings = config_of(config)
    found = asyncio.run(check_domain(settings, parsed_domain(domain), connect=connect))
    show(_text(found), _data(found), as_json=as_json)
    if found.problem:
        fail(f"mail waits, since a plugin failed: {found.problem}", SOFTWARE)
    if found.no_route is not None:
        raise typer.Exit(NO_INPUT if found.no_route.permanent else 1)
    if not found.is_own and not any(host.gets_mail for host in found.hosts):
        raise typer.Exit(1)


def _text(found: DomainCheck) -> str:
    if found.is_own:
        return f"{found.domain} is served here: mail for it does not leave this server"
    lines = [f"note: {note}" for note in found.notes]
    if found.no_route is not None:
        lines.append(f"{found.domain}: no host: {found.no_route.reply}")
    for host in found.hosts:
        lines += _host_lines(host)
    return "\n".join(lines)


def _host_lines(check: HostCheck) -> list[str]:
    floor, tested = check.protection.floor, check.protection.tested
    port = f" port {check.host.port}" if check.host.port else ""  # a unix socket has none
    lines = [f"{check.host.name}{port}  [{', '.join(check.addresses)}]", f"  mail goes  {means(floor)}"]
    if tested is not None:
        lines.append(f"  and first  {means(tested)}; what fails is only reported")
    lines += [f"  {'because' if one in (floor, tested) else 'beside':<9}  {one.why}" for one in check.requirements]
    for one in (floor, tested):
        if one is not None:
            lines += [f"  published  {text}" for text in one.policy.strings]
    lines += [f"  tried      {_tried(one)}" for one in check.tried]
    return lines


def means(requirement: TlsRequirement) -> str:
    """A requirement in words."""
    if requirement.is_barred:
        return "not at all now"
    match requirement.level, requirement.policy.type:
        case TlsLevel.VERIFIED, PolicyType.TLSA:
            return "over TLS, verified by DANE"
        case TlsLevel.VERIFIED, PolicyType.STS:
            return "over TLS, verified by MTA-STS"
        case TlsLevel.VERIFIED, _:
            return "over TLS, verified by its certificate"
        case TlsLevel.REQUIRED, _:
            return "over TLS, whoever it is"
    return "over TLS if it is offered, else in clear"


def _tried(one: Tried) -> str:
    way = one.tls.version if one.tls is not None else "in clear" if one.is_used else "refused"
    return f"{one.address}: {way}{f' ({one.problem})' if one.problem else ''}"


def _data(found: DomainCheck) -> dict[str, Any]:
    return {
        "domain": found.domain,
        "served_here": found.is_own,
        "notes": found.notes,
        "no_route": None if found.no_route is None else str(found.no_route.reply),
        "problem": found.problem,
        "hosts": [
            {
                "host": one.host.name,
                "port": one.host.port,
                "addresses": one.addresses,
                "routed": one.host.is_routed,
                "certain": one.host.is_certain,
                "gets_mail": one.gets_mail,
                "used": _requirement(one.protection.floor),
                "tested": None if one.protection.tested is None else _requirement(one.protection.tested),
                "requirements": [_requirement(requirement) for requirement in one.requirements],
                "tried": [
                    {
                        "address": tried.address,
                        "tls": None if tried.tls is None else tried.tls.version,
                        "result": None if tried.result is None else tried.result.value,
                        "problem": tried.problem,
                        "used": tried.is_used,
                    }
                    for tried in one.tried
                ],
            }
            for one in found.hosts
        ],
    }


def _requirement(one: TlsRequirement) -> dict[str, Any]:
    return {
        "level": one.level.value,
        "why": one.why,
        "policy": one.policy.type.value,
        "published": one.policy.strings,
        "problem": None if one.problem is None else one.problem.value,
        "testing": one.testing,
    }
