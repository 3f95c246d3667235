"""`mailward account capabilities`: what IMAP does not offer to one user, whose mail program stumbles over it."""

from collections.abc import Iterable
from typing import Annotated

import typer

from mailward.access.imap.capabilities import SWITCHABLE
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of, opened_directory
from mailward.cli.output import USAGE, fail, show

_BY_NAME = {capability.upper(): capability for capability in SWITCHABLE}


def account_command(
    address: AddressArgument,
    off: Annotated[list[str] | None, typer.Option(help="Offer this to the user no longer; several times for several.")] = None,
    on: Annotated[list[str] | None, typer.Option(help="Offer this again.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print which IMAP capabilities a user lacks, or set that. It counts from the next login on.

    For a mail program that stumbles over one; what a listener offers to nobody is said by `capabilities_off` in mailward.yaml.

    Examples:

      mailward account capabilities alice@example.org

      mailward account capabilities alice@example.org --off QRESYNC --off COMPRESS=DEFLATE
    """
    settings = config_of(config)
    without, again = _read(off or ()), _read(on or ())
    account = account_of(settings, address)
    with opened_directory(settings) as directory:
        if without or again:
            directory.set_capabilities_off(account.id, (directory.capabilities_off(account.id) | without) - again)
        found = sorted(directory.capabilities_off(account.id))
    text = f"{account.address} is offered all but {', '.join(found)}" if found else f"{account.address} is offered everything"
    show(text, {"address": str(account.address), "capabilities_off": found}, as_json=as_json)


def _read(names: Iterable[str]) -> frozenset[str]:
    unknown = [name for name in names if name.upper() not in _BY_NAME]
    if unknown:
        fail(f"{unknown[0]} cannot be switched off; these can: {', '.join(sorted(SWITCHABLE))}", USAGE)
    return frozenset(_BY_NAME[name.upper()] for name in names)
