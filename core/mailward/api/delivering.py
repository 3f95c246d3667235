"""What the hook before a copy is stored is given, and what it answers."""

from dataclasses import dataclass

from mailward.model.ids import AccountId, QueueId


@dataclass(frozen=True, slots=True)
class Folder:
    """One mailbox of an account. name: UTF-8, "/" between levels. special_use: "\\\\Junk" and so on (RFC 6154), "" for none."""

    name: str
    special_use: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One recipient's copy on its way into the mail of an account.

    reverse_path: "" for the null reverse-path. forward_path: where aliases have led. detail: what stands there behind the "+"
    (RFC 5233), as it was written; "" for nothing, and where the whole local-part is an address of its own.
    folders: all that the account has, INBOX first.
    """

    id: QueueId
    account: AccountId
    reverse_path: str
    forward_path: str
    detail: str
    folders: tuple[Folder, ...]


@dataclass(frozen=True, slots=True)
class FolderChoice:
    """Where a copy goes. name: of a folder, as in `Delivery.folders`; where there is none of that name the copy goes into INBOX.

    why: one plain phrase, for `explain`. make_up_to: make the folder, with the levels above it, where it is missing and the
    account has no more folders than this then; 0: never. Strangers may have chosen the name, so somebody must bound them; to ask
    for a new one with control or invisible characters in its name is a failed call.
    """

    name: str
    why: str
    make_up_to: int = 0
