"""Who has a mailbox here: domains, accounts, aliases, lists, groups; and, apart from them, the credentials to log in with."""

from mailward.directory.aliases import Alias, Way
from mailward.directory.credentials import AppPassword, Credential, CredentialStore, password_id
from mailward.directory.directory import ROLES, Account, Directory, FurtherAddress, Names
from mailward.directory.errors import DirectoryError

__all__ = [
    "ROLES",
    "Account",
    "Alias",
    "AppPassword",
    "Credential",
    "CredentialStore",
    "Directory",
    "DirectoryError",
    "FurtherAddress",
    "Names",
    "Way",
    "password_id",
]
