"""`mailward account address`: further addresses of an account, and whose postmaster and abuse of each domain are."""

from typing import Annotated

import typer

from mailward.cli.options import (
    AddressArgument,
    ConfigOption,
    JsonOption,
    account_of,
    config_of,
    opened_directory,
    parsed_address,
)
from mailward.cli.output import NO_INPUT, USAGE, fail, show, table
from mailward.directory import ROLES, DirectoryError, FurtherAddress
from mailward.model.address import Address

app = typer.Typer(help="Further addresses of an account.", no_args_is_help=True)
FurtherArgument = Annotated[str, typer.Argument(help="The further address, for example sales@example.org.")]


@app.command("add")
def add_command(
    further: FurtherArgument, address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Let a further address mean an account. Its mail comes there, and its user may send by it and log in with it.

    What leads to several, to other servers, or lends nobody its name, is an alias: mailward alias add.

    Example: mailward account address add sales@example.org alice@example.org
    """
    given = parsed_address(further)
    settings = config_of(config)
    account = account_of(settings, address)
    with opened_directory(settings) as directory:
        try:
            directory.add_address(given, account.id)
        except DirectoryError as error:
            fail(str(error), USAGE)
    show(f"{given} goes to {account.address}", {"further": str(given), "address": str(account.address)}, as_json=as_json)


@app.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every further address. Beside them stands who has postmaster and abuse of the domains that gave them to nobody.

    Example: mailward account address list
    """
    with opened_directory(config_of(config)) as directory:
        given = directory.further_addresses()
        others = [one.address for some in (given, directory.accounts(), directory.aliases()) for one in some]
        taken = {str(address).lower() for address in others}
        roles = [Address(role, domain) for domain in directory.domains() for role in ROLES]
        found = [(role, directory.account(role)) for role in roles if str(role) not in taken]
    implied = [FurtherAddress(role, account) for role, account in found if account is not None]
    rows = [(str(one.address), str(one.account.address), "") for one in given]
    rows += [(str(one.address), str(one.account.address), "until it is given to somebody") for one in implied]
    data = [
        {"further": str(one.address), "address": str(one.account.address), "given": is_given}
        for some, is_given in ((given, True), (implied, False))
        for one in some
    ]
    show(table(rows) if rows else "no further addresses", data, as_json=as_json)


@app.command("remove")
def remove_command(further: FurtherArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take a further address away again. A running server heeds it at once.

    Example: mailward account address remove sales@example.org
    """
    given = parsed_address(further)
    with opened_directory(config_of(config)) as directory:
        try:
            directory.remove_address(given)
        except DirectoryError as error:
            fail(str(error), NO_INPUT)
        heir = directory.account(given)
    text = f"{given} removed" + (f"; it goes to {heir.address} now" if heir else "")
    show(text, {"further": str(given)}, as_json=as_json)
