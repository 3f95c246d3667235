"""IMAP sessions of several accounts that a directory knows, and so can share mailboxes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from mailward.access.imap.identifiers import Identifiers
from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore
from mailward.store.flags import names_of
from mailward.store.ops import Append, CreateMailbox, SetRights
from mailward.store.refusals import NoSuchMailbox
from support.imap import PASSWORD, Client, Office
from support.plain_book import PlainAuthenticator
from support.storecheck import RECEIVED_AT

DOMAIN = "example.test"
MAIL = b"From: a@example.net\r\nSubject: shared\r\n\r\nhello\r\n"
BOX = '"Other Users/alice@example.test/Work"'


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


@asynccontextmanager
async def sessions(town: Town, *names: str) -> AsyncIterator[list[Client]]:
    """Of these accounts."""
    clients = [await town.log_in(name) for name in names]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


def work(town: Town, rights: str = "", *, to: str = "bob", mailbox: str = "Work") -> None:
    """Alice's mailbox Work with two messages, made when it is not there; somebody has these rights and no others there."""
    store = town.store("alice")
    try:
        made = store.mailbox(mailbox)
    except NoSuchMailbox:
        store.apply([CreateMailbox(mailbox)])
        made = store.mailbox(mailbox)
        flags = (("\\Seen", "\\Deleted", "\\Flagged"), ())
        store.apply([Append(made.id, MAIL, RECEIVED_AT, some) for some in flags])
    store.apply([SetRights(made.id, f"account:{town.ids[to]}", "replace", rights)])


def flags_of(town: Town, name: str, mailbox: str) -> list[frozenset[str]]:
    store = town.store(name)
    view = store.view(store.mailbox(mailbox).id)
    return [frozenset(names_of(value, view.keywords)) for value in view.flags]
