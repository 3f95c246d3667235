"""Who has a mailbox here: domains, accounts, aliases, lists, groups; and, apart from them, the credentials to log in with."""

from mailward.directory.aliases import Alias, Way
from mailward.directory.credentials import AppPassword, Credential, CredentialStore, password_id
from mailward.directory.directory import ROLES, Account, Directory, FurtherAddress, Names
from mailward.directory.errors import DirectoryError
from mailward.directory.quotas import NO_LIMIT, Quotas

__all__ = [
    "NO_LIMIT",
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
    "Quotas",
    "Way",
    "password_id",
]
