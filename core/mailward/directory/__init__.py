"""Who has a mailbox here: domains, accounts, aliases and the credentials to log in with."""

from mailward.directory.directory import Account, Credential, Directory, DirectoryError

__all__ = ["Account", "Credential", "Directory", "DirectoryError"]
