"""For which addresses may somebody speak who has logged in? (RFC 6409 section 6.1)

For those that mean the account, its sub-addresses and aliases among them, and for no others: neither in the envelope nor in From
and Sender (T-RELAY-11, T-RELAY-12). The null reverse-path is everybody's, as with Postfix and Mox: mail
programs send read receipts and vacation replies from it (RFC 8098 section 3, RFC 3834 section 3.3), and nobody is named by it.
"""

from mailward.formats.mailboxes import Mailbox, read_address_list
from mailward.formats.message import MessageView
from mailward.intake.ports import Directory
from mailward.intake.refusing import CoreRefusal
from mailward.model.address import Address, ReversePath
from mailward.model.identity import Identity
from mailward.model.reply import reply

NOT_YOUR_REVERSE_PATH = CoreRefusal(
    "reverse-path", reply(553, "5.7.1", "This reverse-path does not belong to the account that logged in")
)

UNREADABLE_FROM = CoreRefusal("author", reply(550, "5.6.0", "The message needs one From field with exactly one address"))
UNREADABLE_SENDER = CoreRefusal("author", reply(550, "5.6.0", "The Sender field must hold exactly one address"))
NOT_YOUR_FROM = CoreRefusal("author", reply(550, "5.7.1", "The address in From does not belong to the account that logged in"))
NOT_YOUR_SENDER = CoreRefusal(
    "author", reply(550, "5.7.1", "The address in Sender does not belong to the account that logged in")
)


class SubmissionRights:
    """Who may speak for an address. Every call may raise StorageError."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def may_send_from(self, identity: Identity, reverse_path: ReversePath) -> bool:
        return reverse_path.address is None or self._owns(identity, reverse_path.address)

    def refusal(self, identity: Identity, message: MessageView) -> CoreRefusal | None:
        """Why the message cannot go out in this account's name, None when it can."""
        author = _only_mailbox(message, "From")
        if author is None:
            return UNREADABLE_FROM
        if not self._owns(identity, author):
            return NOT_YOUR_FROM
        if not message.all("Sender"):
            return None
        sender = _only_mailbox(message, "Sender")
        if sender is None:
            return UNREADABLE_SENDER
        return None if self._owns(identity, sender) else NOT_YOUR_SENDER

    def _owns(self, identity: Identity, address: Address) -> bool:
        return self._directory.resolve(address) == identity.account


def _only_mailbox(message: MessageView, name: str) -> Address | None:
    """The one address of the one field of this name; None when another reader could find another one, or a group."""
    fields = message.all(name)
    if len(fields) != 1 or fields[0].is_malformed:
        return None
    found = read_address_list(fields[0].value)
    if found.is_malformed or found.is_cut or len(found.entries) != 1:
        return None
    entry = found.entries[0]
    return entry.address if isinstance(entry, Mailbox) else None
