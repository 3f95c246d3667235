"""Rights in a mailbox are given and taken away: by SETACL, DELETEACL or `mailward account share`."""

from mailward.access.imap.neighbours import ACCOUNT, Neighbours
from mailward.model.ids import AccountId, MailboxId
from mailward.store.base import AccountStore
from mailward.store.ops import Mode, SetRights
from mailward.store.refusals import NotPermitted


class Nobody(NotPermitted):
    """An identifier names nobody to whom rights could be given."""


def gives(mode: Mode, rights: str) -> bool:
    """Whether somebody may have more by it."""
    return mode != "remove" and bool(rights)


def change(
    neighbours: Neighbours, owner: AccountId, store: AccountStore, mailbox: MailboxId, identifier: str, mode: Mode, rights: str
) -> None:
    """Do it; what was granted to accounts that have been removed goes with it. Blocks. Raises StoreRefusal and StorageError.

    Rights can be taken from all that are told of as having them, whether or not they are anybody now: what is granted to a group
    without members, or to `anyone` where that is off, may count again.
    """
    granted = store.grants().get(mailbox, {})
    names = {grantee: neighbours.name(grantee) for grantee in granted}
    grantee = neighbours.grantee(identifier)
    if grantee == f"{ACCOUNT}{owner}":
        raise NotPermitted("The owner of a mailbox has all rights, always")
    if not gives(mode, rights):
        grantee = next((one for one, name in names.items() if identifier == name or one == grantee), None)
        if grantee is None:  # whoever that is, if anybody
            raise NotPermitted("The mailbox is shared with nobody of that name")
    elif grantee is None:
        raise Nobody("That names nobody with whom mailboxes are shared here: write the own address of an account, or group:NAME")
    gone = [SetRights(mailbox, one, "replace", "") for one, name in names.items() if name is None]
    store.apply([*gone, SetRights(mailbox, grantee, mode, rights)])
