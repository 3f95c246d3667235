"""`mailward alias`: addresses that lead to others, here and on other servers; lists and catch-alls among them."""

from typing import Annotated

import typer

from mailward.cli.options import ConfigOption, JsonOption, config_of, opened_directory, parsed_address, parsed_domain
from mailward.cli.output import NO_INPUT, USAGE, fail, show, table
from mailward.directory import Alias, Directory, DirectoryError, Way
from mailward.directory.aliases import shown
from mailward.model.address import Address

app = typer.Typer(help="Addresses that lead to others, on this server or elsewhere.", no_args_is_help=True)
AliasArgument = Annotated[
    str, typer.Argument(help="The address, for example sales@example.org; @example.org for all that is nobody's there.")
]
TargetsArgument = Annotated[
    list[str], typer.Argument(help="Where it leads: addresses here or on other servers; @example.org to keep the local-part.")
]
ListOption = Annotated[
    str | None, typer.Option("--list", metavar="OWNER", help="Make it a list: this account gets the reports, not who posted.")
]
MembersOption = Annotated[bool, typer.Option("--members-only", help="With --list: only its members and its owner may post.")]


@app.command("add")
def add_command(
    address: AliasArgument,
    targets: TargetsArgument,
    owner: ListOption = None,
    members_only: MembersOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an address lead to one or several others. What is an alias already leads there from now on. Counts at once.

    Unlike a further address of an account (mailward account address), it lends nobody its name: users send by their own.

    Examples:

      mailward alias add sales@example.org alice@example.org bob@example.org

      mailward alias add ann@example.org ann@example.net

      mailward alias add @example.org alice@example.org

      mailward alias add @example.com @example.org

      mailward alias add team@example.org alice@example.org bob@example.org --list alice@example.org --members-only
    """
    if members_only and owner is None:
        fail("--members-only goes with --list OWNER", USAGE)
    alias = Alias(
        _address_or_domain(address),
        tuple(map(_address_or_domain, targets)),
        None if owner is None else parsed_address(owner),
        members_only,
    )
    with opened_directory(config_of(config)) as directory:
        try:
            directory.add_alias(alias)
        except DirectoryError as error:
            fail(str(error), USAGE)
    show(_line(alias), _data(alias), as_json=as_json)


@app.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every alias and where it leads.

    Example: mailward alias list
    """
    with opened_directory(config_of(config)) as directory:
        found = directory.aliases()
    rows = [(alias.name, ", ".join(map(shown, alias.targets)), _kind(alias)) for alias in found]
    show(table(rows) if rows else "no aliases", [_data(alias) for alias in found], as_json=as_json)


@app.command("show")
def show_command(
    address: Annotated[str, typer.Argument(help="Any address.")], config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Say where mail for an address ends, and by which aliases.

    Example: mailward alias show sales@example.org
    """
    asked = parsed_address(address)
    with opened_directory(config_of(config)) as directory:
        ways = directory.expand(asked)
        lines = [_way_line(way, directory) for way in ways]
        data = [
            {
                "address": str(way.address),
                "account": None if way.account is None else _account(way, directory),
                "through": [alias.name for alias in way.through],
                "reverse_path": None if way.owner is None else str(way.owner),
            }
            for way in ways
        ]
    if not ways:
        fail(f"{asked} is nobody's address here; mail for it is refused", NO_INPUT)
    show("\n".join(lines), data, as_json=as_json)


@app.command("remove")
def remove_command(address: AliasArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take an alias away. Mail that was taken before still goes where it led.

    Example: mailward alias remove sales@example.org
    """
    alias = _address_or_domain(address)
    with opened_directory(config_of(config)) as directory:
        try:
            directory.remove_alias(alias)
        except DirectoryError as error:
            fail(str(error), NO_INPUT)
    show(f"alias {shown(alias)} removed", {"alias": shown(alias)}, as_json=as_json)


def _address_or_domain(text: str) -> Address:
    return Address("", parsed_domain(text[1:])) if text.startswith("@") else parsed_address(text)


def _line(alias: Alias) -> str:
    kind = _kind(alias)
    return f"{alias.name} leads to {', '.join(map(shown, alias.targets))}" + (f" ({kind})" if kind else "")


def _kind(alias: Alias) -> str:
    if alias.owner is None:
        return ""
    return f"list of {alias.owner}" + (", only members may post" if alias.members_only else "")


def _data(alias: Alias) -> dict[str, object]:
    return {
        "alias": alias.name,
        "targets": [shown(target) for target in alias.targets],
        "owner": None if alias.owner is None else str(alias.owner),
        "members_only": alias.members_only,
    }


def _way_line(way: Way, directory: Directory) -> str:
    end = f"the mailbox of {_account(way, directory)}" if way.account is not None else f"{way.address}, on another server"
    through = f" by {' -> '.join(alias.name for alias in way.through)}" if way.through else ""
    return f"{end}{through}" + (f", reports to {way.owner}" if way.owner else "")


def _account(way: Way, directory: Directory) -> str:
    return next(str(account.address) for account in directory.accounts() if account.id == way.account)
