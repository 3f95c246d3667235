"""`mailward group`: accounts that policies speak of by one name."""

from collections.abc import Sequence
from typing import Annotated

import typer

from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    YesOption,
    account_of,
    config_of,
    opened_directory,
    parsed_address,
)
from mailward.cli.output import NO_INPUT, USAGE, confirm, fail, show, table
from mailward.directory import Account, Directory, DirectoryError
from mailward.formats.nearest import nearest

app = typer.Typer(help='Groups of accounts: "group:NAME" in a policy.', no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The group, for example finance.")]
MembersArgument = Annotated[list[str], typer.Argument(help="An address of each account, for example alice@example.org.")]


@app.command("add")
def add_command(name: NameArgument, addresses: MembersArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put accounts into a group; it begins with its first member. Counts at once.

    Mail for any address of an account, and for aliases that lead to it, then belongs to the group.

    Example: mailward group add finance alice@example.org bob@example.org
    """
    settings = config_of(config)
    wanted = [account_of(settings, address) for address in addresses]
    with opened_directory(settings) as directory:
        try:
            directory.add_to_group(name, [account.id for account in wanted])
        except DirectoryError as error:
            fail(str(error), USAGE)
        members = directory.groups()[name]
    show(f"{name}: {_people(members)}", _data(name, members), as_json=as_json)


@app.command("list")
def list_command(
    of: Annotated[
        str | None, typer.Option("--of", metavar="ADDRESS", help="Only the groups that mail for it belongs to.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print every group and who is in it.

    Examples:

      mailward group list

      mailward group list --of sales@example.org
    """
    asked = None if of is None else parsed_address(of)
    with opened_directory(config_of(config)) as directory:
        if asked is not None and not directory.expand(asked):
            fail(f"{asked} is nobody's address here", NO_INPUT)
        wanted = None if asked is None else directory.groups_behind(asked)
        found = {name: members for name, members in directory.groups().items() if wanted is None or name in wanted}
    rows = [(name, _people(members)) for name, members in found.items()]
    show(table(rows) if rows else "no groups", [_data(name, members) for name, members in found.items()], as_json=as_json)


@app.command("show")
def show_command(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print who is in a group, each on a line.

    Example: mailward group show finance
    """
    with opened_directory(config_of(config)) as directory:
        members = _members(directory, name)
    show("\n".join(str(account.address) for account in members), _data(name, members), as_json=as_json)


@app.command("remove")
def remove_command(
    name: NameArgument,
    addresses: Annotated[list[str] | None, typer.Argument(help="An address of each account.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody who is in it.")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take accounts out of a group, which ends with its last member. Counts at once.

    Examples:

      mailward group remove finance bob@example.org

      mailward group remove finance --all --yes
    """
    if bool(addresses) == everybody:
        fail("name the accounts, or everybody by --all", USAGE)
    settings = config_of(config)
    with opened_directory(settings) as directory:
        members = _members(directory, name)
        leaving = members if everybody else [account_of(settings, address) for address in addresses or ()]
        strangers = [str(account.address) for account in leaving if account not in members]
        if strangers:
            fail(f"{', '.join(strangers)} is not in the group {name}; nothing was changed", NO_INPUT)
        if everybody:
            confirm(f"Remove the group {name} of {len(members)}?", yes=yes)
        directory.remove_from_group(name, [account.id for account in leaving])
        left = directory.groups().get(name, ())
    show(f"{name}: {_people(left) if left else 'nobody is left, so there is no such group'}", _data(name, left), as_json=as_json)


def _members(directory: Directory, name: str) -> Sequence[Account]:
    groups = directory.groups()
    if name not in groups:
        fail(f"there is no group '{name}'. {nearest(name, groups) or 'mailward group list shows them'}", NO_INPUT)
    return groups[name]


def _people(members: Sequence[Account]) -> str:
    return ", ".join(str(account.address) for account in members)


def _data(name: str, members: Sequence[Account]) -> dict[str, object]:
    return {"group": name, "members": [str(account.address) for account in members]}
