"""Options that several commands share."""

import getpass
import os
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.config import Config, Listener
from mailward.app.config_file import find_config, load_config
from mailward.app.users import drop_privileges, may_in, own_name, service_user
from mailward.auth.passwords import MAX_PASSWORD_OCTETS, MIN_PASSWORD_LENGTH, make_password
from mailward.cli.output import NO_INPUT, USAGE, fail, tell
from mailward.decisions import DecisionStore
from mailward.directory import Account, CredentialStore, Directory
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.duration import parse_duration
from mailward.formats.nearest import nearest
from mailward.formats.network import normal_ip
from mailward.model.address import Address

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", help="mailward.yaml; else $MAILWARD_CONFIG, ./mailward.yaml, ./run/mailward.yaml, /etc/mailward/."
    ),
]
AddressArgument = Annotated[str, typer.Argument(help="An address of the account, for example alice@example.org.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
SinceOption = Annotated[str | None, typer.Option(help="Only the last 30m, 2h, 7d ...")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="Read the password from the first line of a file.")]
MakePassword = Annotated[bool, typer.Option("--make-password", help="Make up a password and print it.")]

_LONGEST = timedelta(days=36_500)
"""Longer than anything is kept, and no date is out of reach by it."""


def whoever() -> str:
    """Who types this, also behind sudo. To be asked before `config_of`, where root becomes the server's user."""
    return os.environ.get("SUDO_USER") or own_name()


def config_of(path: Path | None, *, quiet: bool = False) -> Config:
    """The configuration named or found; its path is told on standard error first, unless `quiet`.

    Root becomes the configuration's user here, so read what only root can read before.
    """
    found = find_config(path)
    if not quiet:
        tell(f"configuration: {found}")
    config = load_config(found)
    user = service_user(config)
    if user is not None:
        drop_privileges(user)
    return config


def made_for_server(folder: Path, config: Path | None) -> None:
    """Make a folder to write into, the server's user its owner where root makes it, or see that this user can write into it.

    To be asked before `config_of`. Ends the command where the user, whom root becomes there, could not.
    """
    user = service_user(load_config(find_config(config)))
    name = user.name if user is not None else own_name()
    missing = []
    for level in reversed([folder.absolute(), *folder.absolute().parents]):
        if not level.is_dir():
            missing.append(level)
        elif not may_in(user, level, os.X_OK):
            fail(
                f"user {name} cannot reach {folder}, since {level} is closed to it: "
                f"name a folder that it can reach, for example /srv/{folder.name}",
                NO_INPUT,
            )
    if not missing and not may_in(user, folder, os.W_OK | os.X_OK):
        mend = f"chown {name} {folder}, or name a folder in it that does not exist yet" if user else "name one of its own"
        fail(f"user {name} cannot write in {folder}: {mend}", NO_INPUT)
    try:
        for level in missing:
            level.mkdir(mode=0o700)
        if user is not None:
            for level in reversed(missing):  # what is below belongs to nobody else before what is above does
                descriptor = os.open(level, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                os.fchown(descriptor, user.uid, user.gid)
                os.close(descriptor)
    except OSError as error:
        fail(f"cannot make {folder}: {error.strerror}", NO_INPUT)


def cannot_write(error: OSError, whole: Path, again: str = "the same command goes on") -> str:
    """Why a command that can be run again could not write, and what to do first. whole: what it was to write into. again: how."""
    if isinstance(error, PermissionError):
        name = own_name()
        return f"user {name} cannot write {error.filename}: chown -R {name} {whole}; then {again}"
    return f"cannot write {error.filename}: {error.strerror}; {again}"


def duration_of(text: str) -> timedelta:
    """What was written as 30m, 2h or 7d."""
    try:
        return min(parse_duration(text), _LONGEST)
    except ValueError:
        fail(f"'{text}' is no duration; write 30m, 2h or 7d", USAGE)


def parsed_address(text: str) -> Address:
    """A mail address of the command line."""
    try:
        return parse_mailbox(text)
    except AddressSyntaxError as error:
        fail(f"'{text}' is no mail address: {error}", USAGE)


def parsed_ip(flag: str, text: str) -> str:
    """An IP address of the command line, as facts have it. flag: the option it was given by."""
    try:
        return normal_ip(text)
    except ValueError as error:
        fail(f"{flag}: {error}", USAGE)


def listener_of(config: Config, name: str) -> Listener:
    """The listener of this name. Ends the command where there is none."""
    found = {one.name: one for one in config.listeners}
    if name not in found:
        hint = nearest(name, found) or f"It has {', '.join(found) or 'none'}."
        fail(f"--listener: mailward.yaml has no listener '{name}'. {hint}", USAGE)
    return found[name]


def parsed_domain(text: str) -> str:
    """A domain of the command line, as A-labels in lower case."""
    try:
        name = normalise_domain(text)
    except AddressSyntaxError as error:
        fail(f"'{text}' is no domain: {error}", USAGE)
    if name.startswith("["):
        fail(f"'{text}' is an address and no domain", USAGE)
    return name


def opened_directory(config: Config) -> closing[Directory]:
    """For a `with` block."""
    return closing(Directory(config.directory_file))


def opened_credentials(config: Config) -> closing[CredentialStore]:
    """For a `with` block."""
    return closing(CredentialStore(config.directory_file))


def opened_decisions(config: Config) -> closing[DecisionStore]:
    """For a `with` block."""
    return closing(DecisionStore(config.decisions_file))


def account_of(config: Config, text: str) -> Account:
    """The account whose mailbox this address means: its own, an alias, or either with a "+tag"."""
    address = parsed_address(text)
    with opened_directory(config) as directory:
        found = directory.account(address)
    if found is None:
        fail(f"{address} is nobody's mailbox here; mailward account list shows them", NO_INPUT)
    return found


def first_account(config: Config) -> str:
    """Whom a command means that names nobody."""
    with opened_directory(config) as directory:
        accounts = directory.accounts()
    if not accounts:
        fail("there is no account; make one with: mailward account add ADDRESS", NO_INPUT)
    return str(accounts[0].address)


def password_from(stdin: bool, file: Path | None) -> str | None:
    """The password given by option, None when neither option was used. Never from the command line itself."""
    if stdin and file is not None:
        fail("--password-stdin and --password-file exclude each other", USAGE)
    if stdin:
        return _first_line(sys.stdin.readline())
    if file is not None:
        try:
            return _first_line(file.read_text(encoding="utf-8").split("\n", 1)[0])
        except OSError as error:
            fail(f"cannot read {file}: {error.strerror}", NO_INPUT)
    return None


def ask_password() -> str:
    """Ask at the terminal, without echo."""
    if not sys.stdin.isatty():
        fail("no terminal to ask for the password; use --password-stdin or --password-file FILE", USAGE)
    return _first_line(getpass.getpass("Password: "))


def new_password_from(stdin: bool, file: Path | None, make: bool = False) -> str | None:
    """The password to be set that was given by option, or a made-up one; None when no option says where it comes from."""
    if make and (stdin or file is not None):
        fail("--make-password excludes --password-stdin and --password-file", USAGE)
    given = make_password() if make else password_from(stdin, file)
    return None if given is None else _not_short(given)


def ask_new_password() -> str:
    """Ask twice at the terminal for the password to be set."""
    if not sys.stdin.isatty():
        fail("no terminal to ask for the password; use --make-password, --password-stdin or --password-file FILE", USAGE)
    password = _not_short(ask_password())
    if getpass.getpass("Again: ") != password:
        fail("the two passwords differ", USAGE)
    return password


def _not_short(password: str) -> str:
    if len(password) < MIN_PASSWORD_LENGTH:
        fail(f"a password of {len(password)} characters is soon guessed; take {MIN_PASSWORD_LENGTH} at least", USAGE)
    return password


def _first_line(text: str) -> str:
    password = text.rstrip("\r\n")
    if not 0 < len(password.encode()) <= MAX_PASSWORD_OCTETS:
        fail(f"a password has 1 to {MAX_PASSWORD_OCTETS} octets", USAGE)
    return password
