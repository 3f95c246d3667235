"""`mailward account`: who has a mailbox here."""

import typer

from mailward.app.domains import serve_domain
from mailward.auth.credentials import set_password
from mailward.cli import app_password
from mailward.cli.account_plugins import AccountGroup
from mailward.cli.options import (
    AddressArgument,
    ConfigOption,
    JsonOption,
    PasswordFile,
    PasswordStdin,
    account_of,
    ask_password,
    config_of,
    opened_credentials,
    opened_directory,
    parsed_address,
    password_from,
)
from mailward.cli.output import SOFTWARE, USAGE, fail, show, table
from mailward.directory import DirectoryError
from mailward.net.authd import unlock
from mailward.net.local import PeerAway
from mailward.services.signing_keys import SigningKeys

app = typer.Typer(cls=AccountGroup, help="Who has a mailbox here.", no_args_is_help=True)
app.add_typer(app_password.app, name="app-password")


@app.command("add")
def add_command(
    address: AddressArgument,
    config: ConfigOption = None,
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    as_json: JsonOption = False,
) -> None:
    """Make an account. The domain is taken on when it is new, as by mailward domain add.

    Examples:

      mailward account add alice@example.org

      mailward account add bob@example.org --password-stdin <password.txt
    """
    mailbox = parsed_address(address)
    password = password_from(password_stdin, password_file)
    settings = config_of(config)
    password = password or ask_password(twice=True)
    with opened_directory(settings) as directory, opened_credentials(settings) as credentials:
        is_new = not directory.is_local_domain(mailbox.domain)
        if is_new:
            serve_domain(directory, SigningKeys(settings.dkim_keys), mailbox.domain)
        try:
            account = directory.add_account(mailbox)
        except DirectoryError as error:
            fail(str(error), USAGE)
        set_password(credentials, account, password)
    text = f"account {mailbox} made"
    if is_new:
        text += f"\n{mailbox.domain} is new here; publish what this prints: mailward domain dns {mailbox.domain}"
    show(text, {"address": str(mailbox), "id": account}, as_json=as_json)


@app.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every account.

    Example: mailward account list --json
    """
    with opened_directory(config_of(config)) as directory:
        accounts = directory.accounts()
    rows = [(str(account.address), str(account.id)) for account in accounts]
    show(table(rows) if rows else "no accounts", [{"address": a, "id": i} for a, i in rows], as_json=as_json)


@app.command("password")
def password_command(
    address: AddressArgument,
    config: ConfigOption = None,
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    as_json: JsonOption = False,
) -> None:
    """Set an account's password; a running server heeds it at once and ends the sessions opened with the old one.

    Example: mailward account password alice@example.org
    """
    given = password_from(password_stdin, password_file)
    settings = config_of(config)
    account = account_of(settings, address)
    password = given or ask_password(twice=True)
    with opened_credentials(settings) as credentials:
        set_password(credentials, account.id, password)
    show(f"password of {account.address} set", {"address": str(account.address)}, as_json=as_json)


@app.command("unlock")
def unlock_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let somebody log in at once whose failed logins make each further one wait.

    Example: mailward account unlock alice@example.org
    """
    settings = config_of(config)
    account = account_of(settings, address)
    try:
        unlock(settings.auth_socket, account.id)
    except PeerAway as error:
        fail(f"{error}. Failures are counted by the running server and end with it, so nothing is locked", SOFTWARE)
    show(f"{account.address} unlocked", {"address": str(account.address)}, as_json=as_json)
