"""What does a policy know of a recipient for whom no session asks? What the directory says at this moment."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache

from mailward.app.config import Config
from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.address import Address, ForwardPath
from mailward.policy import RecipientFacts


def recipients_of(config: Config, paths: Sequence[ForwardPath]) -> list[RecipientFacts]:
    """Their facts, in this order. Where there is no directory, none is made. Raises StorageError."""
    if not config.directory_file.exists():
        return [RecipientFacts.of(path) for path in paths]
    with closing(Directory(config.directory_file)) as directory:
        return [_facts(directory, path) for path in paths]


def address_of(name: str) -> Address:
    """A forward-path as a record names it."""
    try:
        return parse_mailbox(name)
    except AddressSyntaxError:
        return Address(name, "")  # the bare postmaster


def recipients_in(directory: Directory) -> Callable[[str], RecipientFacts]:
    """The facts of recipients by how records name them, as the directory is today."""

    @lru_cache(maxsize=10_000)
    def facts(name: str) -> RecipientFacts:
        return _facts(directory, ForwardPath(address_of(name)))

    return facts


def _facts(directory: Directory, path: ForwardPath) -> RecipientFacts:
    """As at RCPT: of an address elsewhere nothing is known but itself."""
    address = path.address
    if address.domain and not directory.is_local_domain(address.domain):
        return RecipientFacts.of(path, is_local=False)
    names = directory.names_of(directory.accounts_behind(address))
    return RecipientFacts.of(path, tag=directory.detail(address), mailboxes=names.addresses, groups=names.groups)
