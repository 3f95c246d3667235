"""`mailward serve` with an authenticator inside the smtp process, for as long as no process checks the logins of submission."""

import sys

from mailward.app import build
from mailward.app.config import Config
from mailward.auth.exchange import Authenticator
from mailward.cli import main
from mailward.directory import Directory
from mailward.model.identity import Identity
from support.logins import KnownLogins
from support.server import PASSWORD


def known_logins(config: Config) -> Authenticator:
    """Every account of the directory, all with the one password of the tests."""
    directory = Directory(config.directory_file)
    identities = {str(one.address): Identity(one.id, str(one.address)) for one in directory.accounts()}
    directory.close()
    return KnownLogins(dict.fromkeys(identities, PASSWORD), identities)


if __name__ == "__main__":
    build.make_authenticator = known_logins
    sys.argv = ["mailward", "serve", *sys.argv[1:]]
    main()
