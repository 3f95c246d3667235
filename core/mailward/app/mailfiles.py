"""Which messages are in these files and folders? Message files, mbox files, Maildirs, and folders of all of these.

A Maildir is its `cur` and `new` and the Maildirs in it; of any other folder every file counts, hidden ones left out. Links are
not followed below what was named. Line ends become CRLF, as a message has them in SMTP.
"""

import contextlib
import mmap
import multiprocessing
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from mailward.formats.mbox import message_spans

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


@dataclass(frozen=True, slots=True)
class MailFile:
    """One message. octets: None when it could not be read, and then `problem` says why.

    where: its file. size_octets: how much of all that there is to read it stands for.
    """

    where: str
    size_octets: int
    octets: bytes | None
    problem: str = ""


def files_in(paths: Sequence[Path]) -> list[Path]:
    """All files to look into, in order. Raises OSError when one of `paths` is not there."""
    found: list[Path] = []
    for path in paths:
        found += _folder(path) if stat.S_ISDIR(path.stat().st_mode) else [path]
    return found


def _folder(folder: Path) -> list[Path]:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    if {"cur", "new"} <= {path.name for path in folders}:
        mail = [path for name in ("cur", "new") for path in _files(folder / name)]
        return mail + [file for path in folders if _is_maildir(path) for file in _folder(path)]
    return _files(folder) + [file for path in folders if not path.name.startswith(".") for file in _folder(path)]


def _is_maildir(folder: Path) -> bool:
    return (folder / "cur").is_dir() and (folder / "new").is_dir()


def _files(folder: Path) -> list[Path]:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")]


def messages_in(file: Path, most_octets: int) -> Iterator[MailFile]:
    """The message in a file, or all messages of an mbox file."""
    try:
        with file.open("rb") as opened:
            size_octets = os.fstat(opened.fileno()).st_size
            if size_octets == 0:
                yield MailFile(str(file), 0, None, "it is empty")
                return
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as octets:
                for begin, end in message_spans(octets) or [(0, size_octets)]:
                    yield _message(file, octets, begin, end, most_octets)
    except (OSError, ValueError) as error:
        yield MailFile(str(file), 0, None, getattr(error, "strerror", None) or str(error))


def _message(file: Path, octets: mmap.mmap, begin: int, end: int, most_octets: int) -> MailFile:
    size_octets = end - begin
    if size_octets > most_octets:
        return MailFile(str(file), size_octets, None, f"it has {size_octets} octets, more than this server takes")
    if _FIELD.match(octets, begin, end) is None:
        return MailFile(str(file), size_octets, None, "it does not begin with a header field")
    return MailFile(str(file), size_octets, octets[begin:end].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


class MailReader:
    """Reads in a process of its own, which keeps the rights of whoever began it when this one gives its rights up.

    So root can teach the server, which works as its own user, with mail that only root and its owner can read. Make it before
    giving up rights, and use it as a context manager. size_octets: how much there is to read.
    """

    def __init__(self, paths: Sequence[Path], most_octets: int) -> None:
        """Raises OSError when one of `paths` is not there or cannot be read."""
        files = files_in(paths)
        self.size_octets = sum(file.stat().st_size for file in files)
        context = multiprocessing.get_context("fork")
        self._end, far_end = context.Pipe(duplex=False)
        self._process = context.Process(target=_send, args=(files, most_octets, self._end, far_end))
        self._process.start()
        far_end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()  # which ends the other process: it may be root's, and then we could not
        self._process.join()

    def next(self) -> MailFile | None:
        """The next message, None after the last. Blocks."""
        try:
            found: MailFile = self._end.recv()
        except EOFError:
            return None
        return found


def _send(files: Sequence[Path], most_octets: int, other_end: Connection, end: Connection) -> None:
    other_end.close()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        for file in files:
            for message in messages_in(file, most_octets):
                end.send(message)
