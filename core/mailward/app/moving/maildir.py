"""A Maildir with its folders, as Dovecot and Courier lay them out: ".Sent" and ".Archive.2024" in it, or folders in folders.

The names and side files are read by `formats.maildir`. Nothing in it is changed, and links are not followed.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mailward.app.moving.source import Folder, FolderError, Letter, Listing, Ref, SourceError, key_of, with_crlf
from mailward.app.moving.uidl_format import DOVECOT, UidlFormat
from mailward.app.moving.within import open_within
from mailward.formats.mailbox_names import INBOX, SEPARATOR
from mailward.formats.maildir import (
    KEYWORDS,
    ORIGIN,
    SUBSCRIPTIONS,
    UID_LIST,
    Numbered,
    UidList,
    base_of,
    delivered_at,
    flags_of,
    read_keywords,
    read_origin,
    read_uid_list,
)
from mailward.protocol.imap.names import NameRefused, decode_pattern

_COPIED_S = 86_400
"""A file so much younger than its name is a copy that did not keep its time."""


class MaildirSource:
    """Raises SourceError when there is no Maildir.

    uidl_format: of its POP3 server, for messages whose unique-id Dovecot has not saved; None for Dovecot's usual one.
    """

    def __init__(self, path: Path, uidl_format: UidlFormat | None = None) -> None:
        self._path = path.resolve()
        self._uidl_format = uidl_format or DOVECOT
        if not is_maildir(self._path):
            raise SourceError(f"{path} is no Maildir: it has no folders cur and new (links are not followed)")

    def folders(self) -> list[Folder]:
        """INBOX first."""
        subscribed = self._subscriptions()
        origin = read_origin(self._text(self._path / ORIGIN) or "")
        uses: Mapping[str, str] = origin.special_uses if origin else {}
        found = [Folder(str(self._path), INBOX, subscribed=True)]
        for path, levels in self._below(self._path):
            name = SEPARATOR.join(levels)
            known = None if subscribed is None else name in subscribed
            found.append(Folder(str(path), name, uses.get(name), known))
        return found

    def _below(self, folder: Path, above: tuple[str, ...] = ()) -> Iterator[tuple[Path, tuple[str, ...]]]:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if not entry.is_dir(follow_symlinks=False) or entry.name in ("cur", "new", "tmp"):
                continue
            path = Path(entry.path)
            levels = entry.name.split(".")[1:] if not above and entry.name.startswith(".") else [entry.name]
            names = (*above, *(_decoded(level) for level in levels))
            if is_maildir(path):
                yield path, names
            if not entry.name.startswith("."):
                yield from self._below(path, names)

    def _subscriptions(self) -> frozenset[str] | None:
        text = self._text(self._path / SUBSCRIPTIONS)
        if text is None:
            return None
        lines = text.splitlines()
        if lines[:1] and lines[0].startswith("V\t"):  # the newer form: levels between tabs
            return frozenset(SEPARATOR.join(_decoded(level) for level in line.split("\t")) for line in lines[1:] if line)
        return frozenset(SEPARATOR.join(_decoded(level) for level in line.replace("/", ".").split(".")) for line in lines)

    def listing(self, folder: Folder) -> Listing:
        path = Path(folder.place)
        names = _message_files(self._path, path)
        numbers = read_uid_list(self._text(path / UID_LIST) or "")
        known: Mapping[str, Numbered] = numbers.messages if numbers else {}
        refs = [
            Ref(key_of("maildir", folder.name, base), place, known[base].uid if base in known else 0, size_octets)
            for base, place, size_octets in names
        ]
        refs.sort(key=lambda ref: (ref.uid == 0, ref.uid))
        return Listing(numbers.uidvalidity if numbers else 0, numbers.uidnext if numbers else 0, tuple(refs))

    def fetch(self, folder: Folder, refs: Sequence[Ref]) -> list[Letter]:
        path = Path(folder.place)
        keywords = read_keywords(self._text(path / KEYWORDS) or "")
        numbers = read_uid_list(self._text(path / UID_LIST) or "")
        has_moved = any(not Path(ref.place).exists() for ref in refs)
        now = {base: place for base, place, _ in _message_files(self._path, path)} if has_moved else {}
        return [_letter(self._path, ref, now, keywords, self._uidl(ref, numbers)) for ref in refs]

    def _uidl(self, ref: Ref, numbers: UidList | None) -> str | None:
        base = base_of(Path(ref.place).name)
        known = numbers.messages.get(base) if numbers else None
        saved = known.pop3_uidl if known else None
        return saved or self._uidl_format.of(ref.uid, numbers.uidvalidity if numbers else 0, base)

    def _text(self, path: Path) -> str | None:
        try:
            with os.fdopen(open_within(self._path, path), encoding="utf-8", errors="surrogateescape") as opened:
                return opened.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error

    def close(self) -> None:
        return


def _letter(root: Path, ref: Ref, now: Mapping[str, str], keywords: Mapping[str, str], uidl: str | None) -> Letter:
    """now: base -> its file by now, since a file changes its name with its flags."""
    base = base_of(Path(ref.place).name)
    path = Path(now.get(base, ref.place))
    try:
        with os.fdopen(open_within(root, path), "rb") as opened:
            octets, mtime = opened.read(), os.fstat(opened.fileno()).st_mtime
    except OSError as error:
        return Letter(ref, None, problem=f"{path}: {error.strerror}")
    if not octets:
        return Letter(ref, None, problem=f"{path}: it is empty")
    named = delivered_at(path.name)
    at = named if named is not None and mtime > named + _COPIED_S else mtime
    flags = flags_of(path.name, keywords)
    return Letter(ref, with_crlf(octets), flags, datetime.fromtimestamp(max(0, at), UTC), uidl)


def _message_files(root: Path, folder: Path) -> list[tuple[str, str, int]]:
    """Base name, path and size of each; a message that has just been renamed shows once."""
    found: dict[str, tuple[str, str, int]] = {}
    for name in ("new", "cur"):
        try:
            descriptor = open_within(root, folder / name, is_folder=True)
        except OSError as error:
            raise FolderError(f"cannot read {error.filename}: {error.strerror}") from error
        entries = _plain_files(descriptor)
        for file, size_octets in entries:
            found[base_of(file)] = (base_of(file), str(folder / name / file), size_octets)
    return sorted(found.values(), key=lambda one: (delivered_at(one[0]) or 0, one[0]))


def _plain_files(descriptor: int) -> list[tuple[str, int]]:
    """Names and sizes in a folder, whose descriptor is closed."""
    found: list[tuple[str, int]] = []
    try:
        for entry in os.scandir(descriptor):
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                with contextlib.suppress(OSError):  # it has just got another name; if it is gone from here, it is found with that
                    found.append((entry.name, entry.stat(follow_symlinks=False).st_size))
    finally:
        os.close(descriptor)
    return found


def is_maildir(folder: Path) -> bool:
    """Has it the folders that every Maildir has, and none of them as a link?"""
    return all(inner.is_dir() and not inner.is_symlink() for inner in (folder / "cur", folder / "new"))


def _decoded(level: str) -> str:
    """A level of a folder's name, which is modified UTF-7 or, where it is not, UTF-8."""
    try:
        return decode_pattern(level.encode("ascii"))
    except (UnicodeEncodeError, NameRefused):
        return level
