"""Who has a mailbox here: domains, accounts, aliases; and, apart from them, the credentials to log in with."""

from mailward.directory.credentials import AppPassword, Credential, CredentialStore, password_id
from mailward.directory.directory import ROLES, Account, Alias, Directory, DirectoryError

__all__ = [
    "ROLES",
    "Account",
    "Alias",
    "AppPassword",
    "Credential",
    "CredentialStore",
    "Directory",
    "DirectoryError",
    "password_id",
]
