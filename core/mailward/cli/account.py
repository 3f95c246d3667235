"""`mailward account`: who has a mailbox here."""

from contextlib import suppress
from typing import Annotated

import typer

from mailward.app.domains import serve_domain
from mailward.app.quickstart import password_file_of
from mailward.auth.credentials import set_password
from mailward.cli import (
    account_address,
    account_import,
    account_mailboxes,
    account_show,
    app_password,
    capabilities,
    quota,
    share,
)
from mailward.cli.noting import note_change
from mailward.cli.options import (
    AddressArgument,
    ConfigOption,
    JsonOption,
    MakePassword,
    PasswordFile,
    PasswordStdin,
    YesOption,
    account_of,
    ask_new_password,
    config_of,
    new_password_from,
    opened_credentials,
    opened_directory,
    parsed_address,
    whoever,
)
from mailward.cli.output import SOFTWARE, USAGE, confirm, fail, show, table
from mailward.cli.plugin_group import AccountGroup
from mailward.directory import Directory, DirectoryError
from mailward.model.address import Address
from mailward.net.authd import unlock
from mailward.net.local import PeerAway
from mailward.services.signing_keys import SigningKeys

_HELP = """Who has a mailbox here.

Examples:

  mailward account add alice@example.org

  mailward account show alice@example.org
"""
app = typer.Typer(cls=AccountGroup, help=_HELP, no_args_is_help=True)
app.add_typer(app_password.app, name="app-password")
app.add_typer(account_address.app, name="address")
app.command("import")(account_import.import_command)
app.command("show")(account_show.show_command)
app.command("quota")(quota.account_command)
app.command("mailboxes")(account_mailboxes.mailboxes_command)
app.command("share")(share.share_command)
app.command("capabilities")(capabilities.account_command)


@app.command("add")
def add_command(
    address: AddressArgument,
    new_domain: Annotated[bool, typer.Option("--new-domain", help="Serve the domain too, as by mailward domain add.")] = False,
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    make_password: MakePassword = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an account in a domain that is served here.

    Examples:

      mailward account add alice@example.org

      mailward account add bob@example.org --password-stdin <password.txt

      mailward account add carol@example.com --new-domain --make-password
    """
    mailbox = parsed_address(address)
    given = new_password_from(password_stdin, password_file, make_password)
    settings = config_of(config)
    with opened_directory(settings) as directory, opened_credentials(settings) as credentials:
        is_new = new_domain and not directory.is_local_domain(mailbox.domain)
        try:
            if not is_new:
                _check_free(directory, mailbox)
            password = given or ask_new_password()
            if is_new:
                serve_domain(directory, SigningKeys(settings.dkim_keys), mailbox.domain)
            account = directory.add_account(mailbox)
        except DirectoryError as error:
            fail(str(error), USAGE)
        set_password(credentials, account, password)
    text = f"account {mailbox} made"
    if make_password:
        text += f"\npassword: {password}"
    if is_new:
        text += f"\n{mailbox.domain} is new here; publish what this prints: mailward domain dns {mailbox.domain}"
    show(text, {"address": str(mailbox), "id": account, **({"password": password} if make_password else {})}, as_json=as_json)


def _check_free(directory: Directory, mailbox: Address) -> None:
    """Raises DirectoryError. Of a domain taken on by a typing error nobody here could reach the real one any more."""
    if not directory.is_local_domain(mailbox.domain):
        fail(
            f"the domain {mailbox.domain} is not served here; served are: {', '.join(directory.domains()) or 'none'}\n"
            f"  When it is yours and its mail shall come here: mailward account add {mailbox} --new-domain",
            USAGE,
        )
    directory.check_free(mailbox)


@app.command("remove")
def remove_command(
    address: AddressArgument, yes: YesOption = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Remove an account. Its further addresses, groups and passwords go with it. Its mail stays as a folder that the answer
    names.

    A running server refuses its logins, and mail to it, at once. Mail that waits for it goes back to its sender.

    Example: mailward account remove bob@example.org --yes
    """
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    if str(account.address).lower() != str(parsed_address(address)).lower():
        fail(f"{address} is no account but goes to {account.address}; nothing was removed", USAGE)
    confirm(f"Remove the account {account.address}?", yes=yes)
    with opened_directory(settings) as directory:
        gone = [one.address for one in directory.further_addresses() if one.account == account]
        groups = directory.groups_of([account.id])
        before = _postmasters(directory)
        try:
            directory.remove_account(account.id)
        except DirectoryError as error:
            fail(str(error), USAGE)
        after = _postmasters(directory)
        orphans = [one.name for one in directory.aliases() if one.address.local_part and not directory.expand(one.address)]
    note_change(settings, "account removed", account, by)
    folder = settings.data / "accounts" / account.id
    mail = folder if folder.exists() else None
    lines = [f"account {account.address} removed"]
    if gone:
        lines.append(f"its further addresses too: {', '.join(map(str, gone))}")
    if groups:
        lines.append(f"it is in no group any more: {', '.join(groups)}")
    if orphans:
        lines.append(f"aliases that lead to nobody now: {', '.join(orphans)}")
    lines.append(f"its mail stays in {mail}; delete that folder when nobody needs it" if mail else "it never had any mail")
    lines += [f"postmaster@{domain} now goes to {to or 'nobody'}" for domain, to in after.items() if to != before[domain]]
    data = {
        "address": str(account.address),
        "id": account.id,
        "addresses": [*map(str, gone)],
        "groups": [*groups],
        "orphans": orphans,
        "mail": str(mail) if mail else None,
    }
    show("\n".join(lines), data, as_json=as_json)


def _postmasters(directory: Directory) -> dict[str, str]:
    """domain -> whose its postmaster is, "" for nobody's."""
    found = {domain: directory.account(Address("postmaster", domain)) for domain in directory.domains()}
    return {domain: str(account.address) if account else "" for domain, account in found.items()}


@app.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every account, and which are disabled.

    Example: mailward account list --json
    """
    with opened_directory(config_of(config)) as directory:
        accounts, disabled = directory.accounts(), directory.disabled()
    rows = [(str(one.address), str(one.id), "disabled" if one.id in disabled else "") for one in accounts]
    data = [{"address": address, "id": id, "disabled": bool(word)} for address, id, word in rows]
    show(table(rows) if rows else "no accounts", data, as_json=as_json)


@app.command("disable")
def disable_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let nobody log in to an account, by whichever password. Sessions that are open end within seconds.

    Mail still comes for it, its scripts run, and all of it stays as it is. Who tries hears what a wrong password gets; the
    server's log says why.

    Example: mailward account disable bob@example.org
    """
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    with opened_directory(settings) as directory:
        directory.set_disabled(account.id, True)
    note_change(settings, "account disabled", account, by)
    text = f"nobody can log in to {account.address}; to undo that: mailward account enable {account.address}"
    show(text, {"address": str(account.address), "disabled": True}, as_json=as_json)


@app.command("enable")
def enable_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let an account's user log in again. The passwords are those of before, and logins that failed meanwhile are forgotten.

    Example: mailward account enable bob@example.org
    """
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    with opened_directory(settings) as directory:
        directory.set_disabled(account.id, False)
    note_change(settings, "account enabled", account, by)
    with suppress(PeerAway):  # they are counted by the running server alone
        unlock(settings.auth_socket, account.id)
    show(f"{account.address} can log in", {"address": str(account.address), "disabled": False}, as_json=as_json)


@app.command("password")
def password_command(
    address: AddressArgument,
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    make_password: MakePassword = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set an account's password. A running server heeds it at once and ends the sessions opened with the old one.
    The file with the old one that quickstart made up is deleted.

    Example: mailward account password alice@example.org
    """
    given = new_password_from(password_stdin, password_file, make_password)
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    password = given or ask_new_password()
    with opened_credentials(settings) as credentials:
        set_password(credentials, account.id, password)
    note_change(settings, "password set", account, by)
    made_up = password_file_of(settings.folder, str(account.address))
    if made_up.exists() and made_up.read_text(encoding="utf-8").strip() != password:
        made_up.unlink()
    text = f"password of {account.address} set" + (f"\npassword: {password}" if make_password else "")
    show(text, {"address": str(account.address), **({"password": password} if make_password else {})}, as_json=as_json)


@app.command("unlock")
def unlock_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let somebody log in at once after many failed logins. Each of those makes further ones wait.

    Example: mailward account unlock alice@example.org
    """
    settings = config_of(config)
    account = account_of(settings, address)
    try:
        unlock(settings.auth_socket, account.id)
    except PeerAway as error:
        fail(f"{error}. Failures are counted by the running server and end with it, so nothing is locked", SOFTWARE)
    show(f"{account.address} unlocked", {"address": str(account.address)}, as_json=as_json)
