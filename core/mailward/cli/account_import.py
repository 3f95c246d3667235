"""`mailward account import`: accounts of another server, whose users keep their passwords."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mailward.auth.foreign_hashes import bare_hash
from mailward.cli.changes import number_of
from mailward.cli.options import ConfigOption, JsonOption, config_of, opened_credentials, opened_directory
from mailward.cli.output import NO_INPUT, NOT_ALL, fail, show
from mailward.directory import CredentialStore, Directory, DirectoryError
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.text import one_line

_LONGEST_OCTETS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Line:
    """number: from 1. user, password: its first two fields."""

    number: int
    user: str
    password: str


def import_command(
    file: Annotated[Path, typer.Argument(help="A passwd-file as Dovecot reads it: user:{SCHEME}hash, more fields are left out.")],
    domain: Annotated[str | None, typer.Option(help="The domain of users who stand there without one.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make accounts with the password hashes of another server.

    Taken are ARGON2ID, ARGON2I, BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT, MD5-CRYPT and CRYPT. The first login by which a password
    comes in clear (PLAIN or LOGIN, under TLS) replaces the hash by one of ours; until then there is no login by SCRAM. Accounts
    that are there already stay as they are. What is not made is listed, and the exit code is 2 then.

    Example: mailward account import /etc/dovecot/users --domain example.org
    """
    lines = list(_lines(file))  # before `config_of` gives up the rights to read it
    settings = config_of(config)
    made: list[str] = []
    there: list[str] = []
    problems: list[str] = []
    with opened_directory(settings) as directory, opened_credentials(settings) as credentials:
        for line in lines:
            user = line.user if "@" in line.user or domain is None else f"{line.user}@{domain}"
            try:
                (made if _make(directory, credentials, user, line.password) else there).append(user)
            except (AddressSyntaxError, DirectoryError, ValueError) as error:
                problems.append(f"{file}:{line.number}: {user}: {error}")
    text = [f"{number_of('account', len(made))} made, {len(there):,} there already, {len(problems):,} not made"]
    text += [f"  {one_line(problem)}" for problem in problems]
    show("\n".join(text), {"made": made, "there": there, "problems": problems}, as_json=as_json)
    if problems:
        raise typer.Exit(NOT_ALL)


def _lines(file: Path) -> Iterator[_Line]:
    try:
        if file.stat().st_size > _LONGEST_OCTETS:
            fail(f"{file} is no passwd-file: it is larger than {_LONGEST_OCTETS} octets", NO_INPUT)
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", NO_INPUT)
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            user, _, rest = line.partition(":")
            yield _Line(number, user, rest.partition(":")[0])


def _make(directory: Directory, credentials: CredentialStore, user: str, password: str) -> bool:
    """False where the account is there. Raises AddressSyntaxError, DirectoryError, ValueError."""
    address = parse_mailbox(user)
    hash_ = bare_hash(password)
    if not directory.is_local_domain(address.domain):
        raise DirectoryError(f"the domain is not served here; when it is yours: mailward domain add {address.domain}")
    found = directory.account(address)
    if found is not None and (found.address != address or credentials.of(found.id).password_hash is not None):
        return False
    account = directory.add_account(address) if found is None else found.id  # of an import that was interrupted
    credentials.set_password(account, hash_, None)
    return True
