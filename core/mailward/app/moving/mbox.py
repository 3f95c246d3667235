"""mbox files: one is a folder, named as the file, and of a directory all that lie in it are.

They have no lasting names for their messages, so a message is known again by its octets, and by how many alike were before it.
"""

import contextlib
import hashlib
import mmap
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mailward.app.moving.maildir import is_maildir
from mailward.app.moving.source import Folder, FolderError, Letter, Listing, Ref, SourceError, key_of, with_crlf
from mailward.app.moving.within import open_within
from mailward.formats.mailbox_names import INBOX
from mailward.formats.mbox import Kept, Quoting, kept_of, message_spans, postmark_before, unquoted
from mailward.formats.message import MessageView

_NO_MAIL = (".msf", ".dat", ".json", ".html", ".sqlite")
"""What a mail program keeps beside its mbox files."""


class MboxSource:
    """A file or a directory. mailbox: what the folder of a single file is called here, "" for its own name."""

    def __init__(self, path: Path, quoting: Quoting = "mboxrd", mailbox: str = "") -> None:
        """Raises SourceError when nothing is there, or a Maildir, whose files would each be taken for a folder."""
        self._path = path.resolve()
        self._quoting = quoting
        self._mailbox = mailbox
        if not path.exists():
            raise SourceError(f"{path} is not there")
        _refuse_maildir(self._path)

    def folders(self) -> list[Folder]:
        if not self._path.is_dir():
            return [Folder(str(self._path), self._mailbox or _name(self._path))]
        return [Folder(str(file), name) for file, name in self._below(self._path, "")]

    def _below(self, folder: Path, above: str) -> Iterator[tuple[Path, str]]:
        _refuse_maildir(folder)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(path, f"{above}{path.name.removesuffix('.sbd')}/")  # as Thunderbird names them
            elif entry.is_file(follow_symlinks=False) and path.suffix not in _NO_MAIL and not entry.name.startswith("."):
                yield path, f"{above}{_name(path)}"

    def listing(self, folder: Folder) -> Listing:
        alike: Counter[str] = Counter()
        refs: list[Ref] = []
        base = None
        expunged = 0
        with _mapped(self._path, folder.place) as octets:
            for begin, end in _spans(folder.place, octets):
                kept = self._kept(octets, begin, end)
                if kept.is_expunged:
                    expunged += 1
                    continue
                base = base or (None if refs else kept.base)
                digest = hashlib.sha256(kept.octets).hexdigest()
                alike[digest] += 1
                key = key_of("mbox", folder.name, digest, alike[digest])
                refs.append(Ref(key, f"{begin}-{end}", (kept.uid or 0) if base else 0, end - begin))
        refs.sort(key=lambda ref: (ref.uid == 0, ref.uid))
        uidvalidity, uidnext = (base[0], base[1] + 1) if base else (0, 0)
        return Listing(uidvalidity, uidnext, tuple(refs), expunged)

    def fetch(self, folder: Folder, refs: Sequence[Ref]) -> list[Letter]:
        with _mapped(self._path, folder.place) as octets:
            return [self._letter(octets, ref) for ref in refs]

    def _letter(self, octets: bytes | mmap.mmap, ref: Ref) -> Letter:
        begin, end = map(int, ref.place.split("-"))
        kept = self._kept(octets, begin, end)
        return Letter(ref, kept.octets, kept.flags, postmark_before(octets, begin) or _sent(kept.octets))

    def _kept(self, octets: bytes | mmap.mmap, begin: int, end: int) -> Kept:
        return kept_of(unquoted(with_crlf(octets[begin:end]), self._quoting))

    def close(self) -> None:
        return


def _refuse_maildir(folder: Path) -> None:
    if is_maildir(folder):
        raise SourceError(f"{folder} is a Maildir and holds no mbox files: mailward import maildir {shlex.quote(str(folder))}")


def _sent(octets: bytes) -> datetime:
    """The date of the Date field: newer Thunderbirds write "From " and nothing more."""
    date = MessageView(octets).date
    return date.at if date else datetime.fromtimestamp(0, UTC)


def _name(path: Path) -> str:
    name = path.name.removesuffix(".mbox")
    return INBOX if name.lower() == "inbox" else name


def _spans(place: str, octets: bytes | mmap.mmap) -> list[tuple[int, int]]:
    spans = message_spans(octets)
    if not spans and len(octets):
        raise FolderError(f"{place} is no mbox file: it does not begin with a line 'From ' and a message")
    return spans


@contextlib.contextmanager
def _mapped(root: Path, place: str) -> Iterator[bytes | mmap.mmap]:
    """A file's octets, read by demand."""
    try:
        with os.fdopen(open_within(root, Path(place)), "rb") as opened:
            size_octets = os.fstat(opened.fileno()).st_size
            octets = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) if size_octets else None
    except OSError as error:
        raise FolderError(f"cannot read {place}: {error.strerror}") from error
    with octets or contextlib.nullcontext(b"") as found:
        yield found
