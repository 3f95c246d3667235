"""An account's mail as mbox files (mboxrd), one a mailbox, in folders as the mailboxes are in each other.

Flags, keywords and UIDs are in the fields of which `formats.mbox` tells. A file is there whole or not at all. One that is there
before is left as it is: an mbox file does not tell whose mail it holds, so nobody but its owner can say that it may go.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mailward.app.moving.out import ExportRefused, Progress, Written, outgoing
from mailward.formats.mailbox_names import SEPARATOR
from mailward.formats.mbox import Kept, written
from mailward.store.base import AccountStore, MailboxInfo

_RETURN_PATH = re.compile(rb"^Return-Path:[ \t]*<([!-;=?-~]*)>", re.MULTILINE | re.IGNORECASE)
_HEAD_OCTETS = 8192


def export_mbox(store: AccountStore, folder: Path, progress: Progress, *, replace: bool = False) -> Iterator[Written]:
    """Each mailbox in turn. replace: files of these names are written anew. Raises ExportRefused, OSError, StorageError."""
    infos = store.mailboxes()
    there = [path for info in infos if os.path.lexists(path := _path(folder, info.name))]
    if there and not replace:
        others = f" and {len(there) - 1} more of what would be written here" if there[1:] else ""
        is_there = "are there already" if others else "is there already"
        raise ExportRefused(
            f"{there[0]}{others} {is_there}; nothing was written. Name another folder, or write them anew with --replace"
        )
    for info in infos:
        yield _export(store, info, _path(folder, info.name), progress)
    os.sync()


def _path(folder: Path, name: str) -> Path:
    path = folder.joinpath(*name.split(SEPARATOR))
    return path.with_name(f"{path.name}.mbox")


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
