"""What may somebody send who has logged in, and in whose name? (RFC 6409 sections 6.1 and 6.2)

In the name of the addresses that mean the account, its sub-addresses and aliases among them, and of no others: neither in the
envelope nor in From, Sender and their Resent fields (T-RELAY-11, T-RELAY-12). The null reverse-path is everybody's, as with
Postfix and Mox: mail programs send read receipts and vacation replies from it (RFC 8098 section 3, RFC 3834 section 3.3), and
nobody is named by it. What readers could understand in several ways does not leave with our name on it (T-HDR-02, T-HDR-03).
"""

import re
from collections.abc import Collection

from mailward.formats import budgets
from mailward.formats.anomalies import SINGLETONS
from mailward.formats.header import FieldView
from mailward.formats.mailboxes import Mailbox
from mailward.formats.message import MessageView
from mailward.intake.ports import Directory
from mailward.intake.refusing import HEADER_TOO_BIG, MAX_AUTHOR_OCTETS, CoreRefusal
from mailward.model import replies
from mailward.model.address import Address, ReversePath
from mailward.model.identity import Identity

NOT_YOUR_REVERSE_PATH = CoreRefusal("reverse-path", replies.NOT_YOUR_REVERSE_PATH)

ONCE = (*SINGLETONS, "Content-Type", "Content-Transfer-Encoding", "Content-Disposition")
"""RFC 5322 section 3.6 and RFC 2045: readers, and our signature, would take different ones of several."""

ROOM_OCTETS = 32 * 1024
ROOM_FIELDS = 100
"""Of the budget of one reading, left for what is added on the way out: it has to be read whole to be signed (T-DKIM-16)."""

_RESENT = ("Resent-From", "Resent-Sender")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_SHOWN = re.compile(r"[^!-~]")
_MOST_SHOWN = 60


class SubmissionRights:
    """Who may speak for an address, and how. Every call may raise StorageError."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def may_send_from(self, identity: Identity, reverse_path: ReversePath) -> bool:
        return reverse_path.address is None or self._owns(identity, reverse_path.address)

    def groups_of(self, identity: Identity, given: Collection[str]) -> tuple[str, ...]:
        """The groups that an account is in now. given: those that whoever checked its login knows of."""
        return tuple(sorted({*given, *self._directory.groups_of((identity.account,))}))

    def refusal(self, identity: Identity, message: MessageView) -> CoreRefusal | None:
        """Why the message cannot go out in this account's name, None when it can."""
        if len(message.header_octets) > budgets.HEADER_OCTETS - ROOM_OCTETS or len(message.fields) > budgets.FIELDS - ROOM_FIELDS:
            return HEADER_TOO_BIG
        return self._author_refusal(identity, message) or header_refusal(message)

    def _author_refusal(self, identity: Identity, message: MessageView) -> CoreRefusal | None:
        if sum(len(field.raw) for name in ("From", "Sender", *_RESENT) for field in message.all(name)) > MAX_AUTHOR_OCTETS:
            return AUTHORS_TOO_LONG
        if len(message.all("From")) != 1:
            return unreadable("From")
        for name in ("From", "Sender", *_RESENT):
            fields = message.all(name)
            addresses = [_only_address(field) for field in fields]
            if None in addresses or (len(fields) > 1 and name not in _RESENT):
                return unreadable(name)
            if not all(self._owns(identity, address) for address in addresses if address is not None):
                return not_yours(name)
        return None

    def _owns(self, identity: Identity, address: Address) -> bool:
        return self._directory.resolve(address) == identity.account


def unreadable(name: str) -> CoreRefusal:
    """Readers could find different authors in it."""
    needs = "The message needs one From field with" if name == "From" else f"The {name} field must hold"
    return CoreRefusal("author", replies.UNREADABLE_AUTHOR.filled(needs=needs))


def not_yours(name: str) -> CoreRefusal:
    return CoreRefusal("author", replies.NOT_YOUR_AUTHOR.filled(field=name))


AUTHORS_TOO_LONG = CoreRefusal("author", replies.AUTHORS_TOO_LONG.filled(octets=MAX_AUTHOR_OCTETS))


def header_refusal(message: MessageView) -> CoreRefusal | None:
    """Which field others could read in another way than the filters and our signature, None when there is none."""
    for field in message.fields:
        line = field.name or field.raw.partition(b"\n")[0].strip().decode("latin-1")
        shown = _NOT_SHOWN.sub("?", line[:_MOST_SHOWN]) or "?"
        if field.is_malformed:
            return CoreRefusal("field", replies.MALFORMED_FIELD.filled(line=shown))
        if _CONTROL.search(field.raw):
            return CoreRefusal("field", replies.CONTROL_IN_FIELD.filled(field=shown))
    for name in ONCE:
        if len(message.all(name)) > 1:
            return CoreRefusal("field", replies.FIELD_TWICE.filled(field=name))
    return None


def _only_address(field: FieldView) -> Address | None:
    """The one address of this field; None when another reader could find another one, or a group."""
    if field.is_malformed:
        return None
    found = field.addresses
    if found.is_malformed or found.is_cut or found.is_ambiguous or len(found.entries) != 1:
        return None
    entry = found.entries[0]
    return entry.address if isinstance(entry, Mailbox) else None
