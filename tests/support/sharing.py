"""IMAP sessions of several accounts that a directory knows, and so can share mailboxes."""

from dataclasses import replace
from pathlib import Path

from mailward.access.imap.identifiers import Identifiers
from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore
from support.imap import PASSWORD, Client, Office
from support.plain_book import PlainAuthenticator

DOMAIN = "example.test"


class Town:
    """alice, bob and carol @example.test. bob is in the group staff, and has the further address robert."""

    def __init__(self, folder: Path, *, anyone: bool = False) -> None:
        self.directory = Directory(folder / "directory.sqlite")
        self.directory.add_domain(DOMAIN)
        self.ids = {name: self.directory.add_account(parse_mailbox(f"{name}@{DOMAIN}")) for name in ("alice", "bob", "carol")}
        self.directory.add_to_group("staff", [self.ids["bob"]])
        self.directory.add_address(parse_mailbox(f"robert@{DOMAIN}"), self.ids["bob"])
        self.office = Office(folder / "accounts")
        self.office.authenticator = PlainAuthenticator(self._password_of)
        self.office.use(self.office.store)
        self.office.desk = replace(self.office.desk, identifiers=Identifiers(self.directory, anyone=anyone))

    def _password_of(self, login: str) -> tuple[AccountId, str] | None:
        account = self.directory.resolve(parse_mailbox(login))
        return None if account is None else (account, PASSWORD)

    def store(self, name: str) -> AccountStore:
        return self.office.store.open(self.ids[name])

    async def log_in(self, name: str) -> Client:
        return await Client(self.office).login(name)
