"""An account's mail as mbox files (mboxrd), one a mailbox, in folders as the mailboxes are in each other.

Flags, keywords and UIDs are in the fields of which `formats.mbox` tells. A file is there whole or not at all.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mailward.app.moving.out import Progress, Written, outgoing
from mailward.formats.mailbox_names import SEPARATOR
from mailward.formats.mbox import Kept, written
from mailward.store.base import AccountStore, MailboxInfo

_RETURN_PATH = re.compile(rb"^Return-Path:[ \t]*<([!-;=?-~]*)>", re.MULTILINE | re.IGNORECASE)
_HEAD_OCTETS = 8192


def export_mbox(store: AccountStore, folder: Path, progress: Progress) -> Iterator[Written]:
    """Each mailbox in turn. Raises OSError, StorageError."""
    for info in store.mailboxes():
        path = folder.joinpath(*info.name.split(SEPARATOR))
        yield _export(store, info, path.with_name(f"{path.name}.mbox"), progress)
    os.sync()


def _export(store: AccountStore, info: MailboxInfo, path: Path, progress: Progress) -> Written:
    view = store.view(info.id)
    done = Written(info.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as box:
        draft.chmod(0o600)
        for message in outgoing(store, view, progress):
            if message.octets is None:
                done.problems.append(message.problem)
                continue
            base = (view.mailbox.uidvalidity, view.mailbox.uidnext - 1) if not done.messages else None
            found = _RETURN_PATH.search(message.octets[:_HEAD_OCTETS])
            reverse_path = found[1].decode("ascii") if found else ""
            box.write(written(Kept(message.octets, message.flags, message.uid, base), reverse_path, message.at))
            done.messages += 1
    draft.rename(path)
    return done
