"""An account's mail as a Maildir with the side files of Dovecot, which then serves it under the same UIDs.

A message is there under its final name or not at all, and its name stays: an export that was interrupted goes on where it
stopped, and one into the same folder later adds what is new and brings flags up to date. It deletes nothing there.
Where other mail is there it writes nothing: two people's mail would be one's. Whose it is tells a file of ours at the top, which
comes before all mail; without that UIDVALIDITY tells, which two accounts may have alike.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mailward.app.moving.out import ExportRefused, Outgoing, Progress, Written, outgoing
from mailward.formats.mailbox_names import INBOX, SEPARATOR
from mailward.formats.maildir import (
    KEYWORDS,
    MAX_LETTERS,
    ORIGIN,
    SUBSCRIPTIONS,
    UID_LIST,
    Numbered,
    Origin,
    UidList,
    base_of,
    keywords_text,
    letters_of,
    origin_text,
    read_origin,
    read_uid_list,
    uid_list_text,
)
from mailward.model.ids import AccountId
from mailward.protocol.imap.names import encode_name
from mailward.store.base import AccountStore, MailboxInfo


def export_maildir(store: AccountStore, folder: Path, progress: Progress, account: AccountId) -> Iterator[Written]:
    """Each mailbox in turn. account: whose the store is. Raises ExportRefused, OSError, StorageError."""
    infos = store.mailboxes()
    _refuse_other_mail(folder, account, infos)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(folder / ORIGIN, origin_text(Origin(account, {info.name: info.special_use for info in infos})))
    for info in infos:
        yield _export(store, info, folder / _folder_name(info.name), progress)
    subscribed = [_folder_name(info.name).removeprefix(".") or INBOX for info in infos if info.subscribed]
    _replace(folder / SUBSCRIPTIONS, "".join(f"{name}\n" for name in subscribed))
    os.sync()


def _refuse_other_mail(folder: Path, account: AccountId, infos: Sequence[MailboxInfo]) -> None:
    origin = read_origin(_text(folder / ORIGIN))
    if origin is not None and origin.account != account:
        raise ExportRefused(f"{folder} holds the mail of another account; nothing was written. Name another folder")
    for info in infos:
        why = _other_mail(folder / _folder_name(info.name), info.uidvalidity)
        if why:
            raise ExportRefused(
                f"{why}, and UIDVALIDITY of {info.name} is {info.uidvalidity} here: it is not the mailbox that was exported "
                "there before; nothing was written. Name another folder"
            )


def _other_mail(folder: Path, uidvalidity: int) -> str:
    """What there is of another mailbox than ours, "" for nothing. Before the list is written, our names tell our messages."""
    numbers = read_uid_list(_text(folder / UID_LIST))
    if numbers is not None:
        return "" if numbers.uidvalidity == uidvalidity else f"{folder / UID_LIST} says UIDVALIDITY {numbers.uidvalidity}"
    ours = re.compile(rf"[0-9]+\.V{uidvalidity}U[0-9]+\.mailward,")
    there = (path for part in ("cur", "new") for path in (folder / part).glob("[!.]*"))
    other = next((path for path in there if not ours.match(path.name)), None)
    return f"{other} was not written by such an export" if other else ""


def _text(path: Path) -> str:
    """Of a side file, "" where there is none."""
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""


def _folder_name(name: str) -> str:
    """Maildir++: "." before every level, "" for INBOX. A "." in a level would begin another."""
    if name == INBOX:
        return ""
    return "".join(f".{encode_name(level).decode('ascii').replace('.', '&AC4-')}" for level in name.split(SEPARATOR))


def _export(store: AccountStore, info: MailboxInfo, folder: Path, progress: Progress) -> Written:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    view = store.view(info.id)
    keywords = view.keywords
    done = Written(info.name)
    if len(keywords) > MAX_LETTERS:
        done.problems.append(f"{info.name}: a Maildir has no place for the keywords {' '.join(keywords[MAX_LETTERS:])}")
    there = {base_of(name): name for name in os.listdir(folder / "cur")}  # noqa: PTH208 - names are all we need
    numbers: dict[str, Numbered] = {}
    for message in outgoing(store, view, progress):
        if message.octets is None:
            done.problems.append(message.problem)
            continue
        base = _put(folder, view.mailbox.uidvalidity, message, message.octets, keywords, there)
        numbers[base] = Numbered(message.uid, message.pop3_uidl)
        done.messages += 1
    _replace(folder / KEYWORDS, keywords_text(keywords))
    guid = hashlib.blake2b(f"{info.name}\0{view.mailbox.uidvalidity}".encode(), digest_size=16).hexdigest()
    _replace(folder / UID_LIST, uid_list_text(UidList(view.mailbox.uidvalidity, view.mailbox.uidnext, numbers), guid))
    return done


def _put(folder: Path, uidvalidity: int, message: Outgoing, octets: bytes, keywords: Sequence[str], there: dict[str, str]) -> str:
    """Write the message unless it is there; its name without flags."""
    lines = octets.replace(b"\r\n", b"\n")
    if lines.replace(b"\n", b"\r\n") != octets:
        lines = octets  # a line end of its own kind in it would not come back
    at_s = int(message.at.timestamp())
    base = f"{at_s}.V{uidvalidity}U{message.uid}.mailward,S={len(lines)}"
    name = f"{base}:2,{letters_of(message.flags, keywords)}"
    if base in there:
        if there[base] != name:
            (folder / "cur" / there[base]).rename(folder / "cur" / name)
        return base
    draft = folder / "tmp" / base
    draft.write_bytes(lines)
    draft.chmod(0o600)
    os.utime(draft, (at_s, at_s))
    draft.rename(folder / "cur" / name)
    return base


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o600)
    draft.rename(path)
