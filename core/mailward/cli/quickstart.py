"""`mailward quickstart`: the folder of a new installation."""

import asyncio
import os
import pwd
from pathlib import Path
from typing import Annotated

import typer

from mailward.api.dns import DnsRecord
from mailward.app.quickstart import Plan, Result, quickstart
from mailward.app.records import all_records, domain_records
from mailward.cli.options import (
    JsonOption,
    PasswordFile,
    PasswordStdin,
    config_of,
    new_password_from,
    parsed_address,
    parsed_domain,
)
from mailward.cli.output import CONFIGURATION, fail, show, table, warn
from mailward.model.errors import MailwardError

DEFAULT_USER = "mailward"


def quickstart_command(
    folder: Annotated[Path, typer.Argument(help="A new folder; everything is written below it.")],
    domain: Annotated[str, typer.Option(help="The first domain whose mail is taken.")],
    account: Annotated[str, typer.Option(help="The first account, an address in that domain; postmaster and abuse go to it.")],
    hostname: Annotated[str | None, typer.Option(help="The server's own name in DNS; mx.DOMAIN unless given.")] = None,
    port_offset: Annotated[int, typer.Option(min=0, max=60000, help="Added to every standard port, for trying it out.")] = 0,
    address: Annotated[str | None, typer.Option(help="Listen here; 127.0.0.1 with a port offset, else 0.0.0.0.")] = None,
    user: Annotated[str | None, typer.Option(help="The user to serve as, when root runs this; 'mailward' unless given.")] = None,
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    next_steps: Annotated[bool, typer.Option(help="Say what to do next.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Set up a server in a folder: configuration, keys, an account.

    The folder gets policies and a certificate too, and the first domain keys to sign its mail.

    Examples:

      mailward quickstart ./run --domain example.test --account demo@example.test --port-offset 2000

      mailward quickstart /etc/mailward --domain example.org --account alice@example.org
    """
    service_user = user or (DEFAULT_USER if os.geteuid() == 0 else None)
    if service_user is not None:
        try:
            pwd.getpwnam(service_user)
        except KeyError:
            fail(f"there is no user '{service_user}'; make one with: useradd --system {service_user}", CONFIGURATION)
    name = parsed_domain(domain)
    plan = Plan(
        folder=folder,
        domain=name,
        account=parsed_address(account),
        password=new_password_from(password_stdin, password_file),
        port_offset=port_offset,
        address=address or ("127.0.0.1" if port_offset else "0.0.0.0"),  # noqa: S104 - a mail server listens to the world
        hostname=hostname or f"mx.{name}",
        user=service_user,
    )
    result = quickstart(plan)
    rows = [("configuration", str(result.config_file)), ("account", result.account)]
    if result.password_file is not None:
        rows += [("password", result.password), ("", f"also in {result.password_file}")]
    rows += [("ports", ", ".join(f"{name} {port}" for name, port in result.ports.items()))]
    rows += [("virus scanner", str(result.scanner) if result.scanner else "none found: only the EICAR test file is recognised")]
    text = "Mailward is set up.\n\n" + table([("  " + head, value) for head, value in rows])
    if next_steps:
        found = _records(result, name)
        now = table([("  " + r.name, r.type, r.value) for r in found if not _is_later(r)])
        text += f"\n\nPublish these DNS records:\n\n{now}\n\n"
        text += f"The name {plan.hostname} needs an address record, and its address should lead back to that name (PTR)."
        if any(_is_later(record) for record in found):
            text += (
                "\nThe records by which others can know that mail must come encrypted are for later, once the certificate is "
                f"the final one:\n\n  mailward domain dns {name}"
            )
        text += f"\n\nThen start it:\n\n  mailward serve -c {result.config_file}"
    data = {
        "config": str(result.config_file),
        "account": result.account,
        "password": result.password if result.password_file else None,
        "password_file": str(result.password_file) if result.password_file else None,
        "ports": result.ports,
        "virus_scanner": str(result.scanner) if result.scanner else None,
    }
    show(text, data, as_json=as_json)


def _is_later(record: DnsRecord) -> bool:
    """What is published before its certificate, or the file that it announces, is in place makes others keep back their mail."""
    return record.type == "TLSA" or record.name.startswith("_mta-sts.")


def _records(result: Result, domain: str) -> tuple[DnsRecord, ...]:
    """What to publish. The plugins are asked as the service user, like by every other command, so this comes last."""
    config = config_of(result.config_file, quiet=True)
    try:
        found = asyncio.run(all_records(config, domain))
    except (MailwardError, OSError) as error:  # the installation is complete; its plugins can be asked again
        warn(f"more records later, by mailward domain dns {domain}: {error}")
        return domain_records(domain, config.hostname)
    for problem in found.problems:
        warn(problem)
    return found.records
