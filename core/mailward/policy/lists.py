"""Lists of a policy: is this value on the list? `author.domain.listed("partners")`

One entry a line in a file (`#` begins a comment), `values:` in the policy, or entries that commands keep for all policies. What
changes is read again; while the new content cannot be used the old one stays, without what expires, and the alarm says so.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import structlog

from mailward.model.errors import Problem, StorageError
from mailward.policy.entries import Entries, EntryError, ListType, normalised

MAX_FILE_OCTETS = 64 * 1024 * 1024
RETRY_S = 10.0
"""Kept lists that cannot be read are tried again so much later, though nothing seems to have changed."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KeptEntries:
    """What is kept of one list at one moment. type: that they were checked for, None while there are none.

    values: normalised, sorted. ends: when those of them expire that ever do (seconds since 1970).
    """

    type: ListType | None = None
    values: Sequence[str] = ()
    ends: Mapping[str, float] = field(default_factory=dict)

    @property
    def ends_at(self) -> float:
        """When the next of them expires, infinite for never."""
        return min(self.ends.values(), default=math.inf)

    def at(self, now: float) -> "KeptEntries":
        """What has not expired then."""
        left = {value: end for value, end in self.ends.items() if end > now}
        return KeptEntries(self.type, [one for one in self.values if one not in self.ends or one in left], left)


class KeptLists(Protocol):
    """The lists whose entries commands add and remove."""

    def mark(self) -> object:
        """Another one whenever something may have changed. Asked for each message, so it costs no more than some stat calls."""
        ...

    def read(self, name: str, now: float) -> KeptEntries:
        """The entries of a list that have not expired. now: seconds since 1970. Raises StorageError."""
        ...

    def changed_at(self, name: str, now: float) -> float:
        """When an entry came, went or expired last, in seconds since 1970; 0 for never. Raises StorageError."""
        ...


class _NothingKept:
    """Where there is no server."""

    def mark(self) -> object:
        return None

    def read(self, name: str, now: float) -> KeptEntries:
        return KeptEntries()

    def changed_at(self, name: str, now: float) -> float:
        return 0


NOTHING_KEPT: KeptLists = _NothingKept()


@dataclass(frozen=True, slots=True)
class ListSource:
    """Where a list comes from. values: (text, "file:line:column") written in the policy. file: None when there is none.

    shown_as: how people call the file. where: of the key that says where it comes from. is_kept: by commands.
    """

    name: str
    type: ListType
    values: tuple[tuple[str, str], ...]
    file: Path | None
    shown_as: str
    where: str
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class _Content:
    """written: in policy and file. octets: of the file. kept: by commands."""

    written: Sequence[str] = ()
    octets: bytes = b""
    kept: KeptEntries = field(default_factory=KeptEntries)

    @property
    def digest(self) -> bytes:
        """Of what can change, for the policy's hash."""
        return sha256(self.octets + "\n".join(self.kept.values).encode()).digest()


def read(source: ListSource, kept: KeptLists, now: float) -> tuple[_Content, list[Problem]]:
    """The content, and what is wrong with it. Raises StorageError."""
    lines, octets, problems = _lines(source)
    entries = []
    for text, where in lines:
        try:
            entries.append(normalised(source.type, text))
        except EntryError as error:
            problems.append(
                Problem(where, f"lists.{source.name}", f"'{text[:80]}' does not fit a list of type {source.type}: {error}")
            )
    if not source.is_kept:
        return _Content(entries, octets), problems
    found = kept.read(source.name, now)
    if found.type not in (None, source.type):
        text = f"the {len(found.values):,} entries in the database are of type {found.type}, here it is {source.type}"
        hint = f"Write type: {found.type}, or remove them: mailward list remove {source.name} --all"
        problems.append(Problem(source.where, f"lists.{source.name}", text, hint))
    return _Content(entries, octets, found), problems


def _lines(source: ListSource) -> tuple[list[tuple[str, str]], bytes, list[Problem]]:
    """What is written in policy and file with its places, the octets of the file, and why that cannot be read."""
    lines = list(source.values)
    if source.file is None:
        return lines, b"", []
    try:
        if source.file.stat().st_size > MAX_FILE_OCTETS:
            raise OSError(f"larger than {MAX_FILE_OCTETS} octets")
        octets = source.file.read_bytes()
        lines += ((text, f"{source.shown_as}:{number}:1") for number, text in file_lines(octets, source.type))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8"
        return lines, b"", [Problem(source.where, f"lists.{source.name}.file", f"cannot read {source.shown_as}: {reason}")]
    return lines, octets, []


def file_lines(octets: bytes, type: ListType) -> list[tuple[int, str]]:
    """The entries in a file with the numbers of their lines. Raises UnicodeDecodeError."""
    found = []
    for number, line in enumerate(octets.decode("utf-8-sig").splitlines(), 1):
        text = line.partition("#")[0].strip() if type != "text" or line.lstrip().startswith("#") else line.strip()
        if text:
            found.append((number, text))
    return found


Signature = tuple[int, int, int] | None


def _signature(file: Path) -> Signature:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class Lists:
    """All lists of one policy, by name; `refresh` looks for what has changed. now: seconds since 1970."""

    def __init__(self, kept: KeptLists = NOTHING_KEPT, now: Callable[[], float] = time.time) -> None:
        self._kept = kept
        self._now = now
        self._mark = kept.mark()
        self._due_at = math.inf
        self._entries: dict[str, Entries] = {}
        self._files: dict[str, tuple[ListSource, Signature]] = {}
        self._of_commands: dict[str, ListSource] = {}
        self._digests: dict[str, bytes] = {}
        self._contents: dict[str, _Content] = {}  # of lists that commands keep

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._entries)

    @property
    def digest(self) -> bytes:
        """Changes whenever the content of a file, or of what commands keep, does."""
        return b"".join(self._digests[name] for name in sorted(self._digests))

    def add(self, source: ListSource) -> list[Problem]:
        """Read a list for the first time; it exists even when there are problems, so that rules about it can be checked."""
        signature = None if source.file is None else _signature(source.file)
        try:
            content, problems = read(source, self._kept, self._now())
        except StorageError as error:
            content, problems = _Content(), [Problem(source.where, f"lists.{source.name}", f"cannot be read: {error}")]
        for known in (self._files, self._of_commands, self._digests):  # of the preset's list of this name
            known.pop(source.name, None)
        if source.file is not None:
            self._files[source.name] = (source, signature)
        if source.is_kept:
            self._of_commands[source.name] = source
        self._use(source, content)
        return problems

    def refresh(self) -> bool:
        """Read again what has changed; True when something new is in force. Else a stat call a file, and two for the database."""
        now, changed = self._now(), False
        for name, (source, known) in self._files.items():
            signature = _signature(source.file) if source.file is not None else None
            if signature != known:
                self._files[name] = (source, signature)
                changed |= self._renew(source, now)
        if self._of_commands:
            mark = self._kept.mark()
            if mark != self._mark or now >= self._due_at:
                self._mark, self._due_at = mark, math.inf
                changed |= any([self._renew(source, now) for source in self._of_commands.values()])
        return changed

    def changed_since(self, moment: float) -> dict[str, datetime]:
        """The lists whose content is another one than at a moment (seconds since 1970), with the time of the last change.

        What stands in the policy itself changes with its file. Raises StorageError.
        """
        times = {name: self._kept.changed_at(name, self._now()) for name in self._of_commands}
        times |= {name: signature[0] / 1e9 for name, (_, signature) in self._files.items() if signature is not None}
        return {name: datetime.fromtimestamp(at, UTC) for name, at in sorted(times.items()) if at > moment}

    def listed(self, value: object, name: object) -> bool:
        """What a condition calls. A list of texts counts as listed when one of them is. Raises KeyError for an unknown list."""
        entries = self._entries[str(name)]
        if isinstance(value, (list, tuple)):
            return any(str(item) in entries for item in value)
        return str(value) in entries

    def _renew(self, source: ListSource, now: float) -> bool:
        """Is there something new? What cannot be used is said; what was in force stays, as long as it has not expired."""
        try:
            content, problems = read(source, self._kept, now)
            problem = problems[0].text if problems else ""
        except StorageError as error:
            problem = str(error)
        if problem:
            _log.error("policy list kept", list=source.name, problem=problem)
            if not source.is_kept:
                return False
            self._due_at = min(self._due_at, now + RETRY_S)
            former = self._contents[source.name]
            content = replace(former, kept=former.kept.at(now))
        return self._use(source, content)

    def _use(self, source: ListSource, content: _Content) -> bool:
        self._due_at = min(self._due_at, content.kept.ends_at)
        if source.is_kept:
            self._contents[source.name] = content
        digest = content.digest
        if self._digests.get(source.name) == digest:
            return False
        self._entries[source.name] = Entries(source.type, [*content.written, *content.kept.values])
        if source.file is not None or source.is_kept:
            self._digests[source.name] = digest
        return True
