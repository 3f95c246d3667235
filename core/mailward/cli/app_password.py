"""`mailward account app-password`: passwords for one program each, for accounts with and without a second factor."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, cast, get_args

import typer

from mailward.api.logins import LoginProtocol
from mailward.auth.credentials import AppPasswordWish, add_app_password
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of, duration_of, opened_credentials
from mailward.cli.output import NO_INPUT, USAGE, fail, moment, show, table
from mailward.directory import Account, AppPassword, CredentialStore, DirectoryError

MAX_NAME_LENGTH = 64
_SCOPES: tuple[LoginProtocol, ...] = get_args(LoginProtocol)

app = typer.Typer(help="Passwords for one program each.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The program or device, for example 'phone'.")]


@contextmanager
def _opened(config: ConfigOption, address: str) -> Iterator[tuple[CredentialStore, Account]]:
    settings = config_of(config)
    account = account_of(settings, address)
    with opened_credentials(settings) as store:
        yield store, account


@app.command("add")
def add_command(
    address: AddressArgument,
    name: NameArgument,
    scope: Annotated[str, typer.Option(help="The protocols it is good for.")] = ",".join(_SCOPES),
    expires: Annotated[str | None, typer.Option(help="For how long it is good: 90d, 12h; for ever unless given.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an app password and show it, this once. It stands for password and second factor, for mail only.

    Examples:

      mailward account app-password add alice@example.org phone

      mailward account app-password add alice@example.org scanner --scope smtp --expires 90d
    """
    now = datetime.now(UTC)
    ends = None if expires is None else now + duration_of(expires)
    if ends == now:
        fail("--expires takes more than nothing", USAGE)
    wish = AppPasswordWish(_name(name), _scopes(scope), now, ends)
    with _opened(config, address) as (store, account):
        try:
            made = add_app_password(store, account.id, wish)
        except DirectoryError as error:
            fail(str(error), USAGE)
    data = {"address": str(account.address), "name": wish.name, "password": made, **_shown(wish)}
    show(f"{made}\n\nThis is the only time it is shown. Type it into the program as it stands.", data, as_json=as_json)


@app.command("list")
def list_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print an account's app passwords. Of each: name, protocols, when made, last used and good until.

    Example: mailward account app-password list alice@example.org
    """
    with _opened(config, address) as (store, account):
        found = store.of(account.id).app_passwords
    rows = [
        (made.name, ",".join(made.scopes), _when(made.created_at), _when(made.last_used_at), _when(made.expires_at))
        for made in found
    ]
    head = ("name", "scope", "made", "last used", "expires")
    show(table([head, *rows]) if rows else "no app passwords", [data_of(made) for made in found], as_json=as_json)


@app.command("revoke")
def revoke_command(
    address: AddressArgument, name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Take an app password back. It is refused from now on, and a running server ends the sessions opened with it.

    Example: mailward account app-password revoke alice@example.org phone
    """
    with _opened(config, address) as (store, account):
        try:
            store.revoke_app_password(account.id, name)
        except DirectoryError as error:
            fail(str(error), NO_INPUT)
    show(f"app password '{name}' revoked", {"address": str(account.address), "name": name}, as_json=as_json)


def _name(text: str) -> str:
    if not 0 < len(text) <= MAX_NAME_LENGTH or not text.isprintable():
        fail(f"a name has 1 to {MAX_NAME_LENGTH} printable characters", USAGE)
    return text


def _scopes(text: str) -> tuple[LoginProtocol, ...]:
    words = {word.strip() for word in text.split(",")}
    if not words or not words <= set(_SCOPES):
        fail(f"--scope takes some of {','.join(_SCOPES)}", USAGE)
    return cast(tuple[LoginProtocol, ...], tuple(scope for scope in _SCOPES if scope in words))


def data_of(made: AppPassword) -> dict[str, object]:
    """For `--json`."""
    return {"name": made.name, **_shown(made), "last_used_at": _iso(made.last_used_at)}


def _shown(made: AppPassword | AppPasswordWish) -> dict[str, object]:
    return {"scopes": list(made.scopes), "created_at": _iso(made.created_at), "expires_at": _iso(made.expires_at)}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _when(at: datetime | None) -> str:
    return "never" if at is None else moment(at)
