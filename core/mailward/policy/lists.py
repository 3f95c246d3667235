"""Lists of a policy: is this value on the list? `author.domain.listed("partners")`

One entry a line in a file (`#` begins a comment), or `values:` in the policy. A file that changes is read again; while the new
content cannot be used the old one stays and the alarm says so.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import structlog

from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.model.address import Address
from mailward.model.errors import Problem

ListType = Literal["address", "domain", "network", "hash", "text"]
MAX_FILE_OCTETS = 64 * 1024 * 1024

_PLAIN_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]+")
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")
_log = structlog.get_logger()


class EntryError(ValueError):
    """An entry that does not fit the type of its list, in words for an admin."""


def _address(text: str) -> str:
    local_part, at, domain = text.rpartition("@")
    if not at or not local_part:
        raise EntryError("an address such as bob@example.org was expected")
    if not _PLAIN_LOCAL_PART.fullmatch(local_part):  # the form in which the fact has it, in quotes where they are needed
        try:
            return _composed(str(parse_mailbox(text))).lower()
        except AddressSyntaxError:
            return _composed(str(Address(local_part, _domain(domain)))).lower()
    return f"{_composed(local_part).lower()}@{_domain(domain)}"


def _composed(text: str) -> str:
    """In Unicode's normal form C: the same letters are the same text however they were typed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _text(text: str) -> str:
    return _composed(_composed(text).casefold())


def _domain(text: str) -> str:
    dot = "." if text.startswith(".") else ""
    try:
        return dot + normalise_domain(text.removeprefix("."))
    except AddressSyntaxError as error:
        raise EntryError(str(error)) from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise EntryError(f"a network such as 192.0.2.0/24 was expected: {error}") from None


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text.lower()):
        raise EntryError("an MD5, SHA-1, SHA-256 or SHA-512 in hexadecimal was expected")
    return text.lower()


_NORMALISE: Mapping[ListType, Callable[[str], str]] = {
    "address": _address,
    "domain": _domain,
    "network": _network,
    "hash": _hash,
    "text": _text,
}


class Entries:
    """The content of one list, made for fast questions. Raises nothing at a value that is no address, domain or network."""

    def __init__(self, type: ListType, entries: Iterable[str]) -> None:
        self.type = type
        self._exact = frozenset(entries)
        self._networks: dict[tuple[int, int], set[int]] = {}
        if type == "network":
            for entry in self._exact:
                network = ipaddress.ip_network(entry)
                bits = network.max_prefixlen - network.prefixlen
                self._networks.setdefault((network.version, bits), set()).add(int(network.network_address) >> bits)

    def __contains__(self, value: str) -> bool:
        if self.type == "network":
            return self._in_networks(value)
        if self.type == "text":
            return _text(value) in self._exact
        lowered = _composed(value).lower()
        if lowered in self._exact:
            return True
        return self.type == "domain" and self._in_parents(lowered)

    def _in_parents(self, domain: str) -> bool:
        dot = domain.find(".")
        while dot > 0:
            if domain[dot:] in self._exact:
                return True
            dot = domain.find(".", dot + 1)
        return False

    def _in_networks(self, value: str) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        number = int(address)
        return any(version == address.version and number >> bits in known for (version, bits), known in self._networks.items())


@dataclass(frozen=True, slots=True)
class ListSource:
    """Where a list comes from. values: (text, "file:line:column") written in the policy. file: None when there is none."""

    name: str
    type: ListType
    values: tuple[tuple[str, str], ...]
    file: Path | None
    shown_as: str
    where: str


def read(source: ListSource) -> tuple[Entries, bytes, list[Problem]]:
    """The content, the octets of its file (for the policy's hash), and what is wrong with it."""
    problems: list[Problem] = []
    octets = b""
    lines: list[tuple[str, str]] = list(source.values)
    if source.file is not None:
        try:
            if source.file.stat().st_size > MAX_FILE_OCTETS:
                raise OSError(f"larger than {MAX_FILE_OCTETS} octets")
            octets = source.file.read_bytes()
            for number, line in enumerate(octets.decode("utf-8-sig").splitlines(), 1):
                text = line.partition("#")[0].strip() if source.type != "text" or line.lstrip().startswith("#") else line.strip()
                if text:
                    lines.append((text, f"{source.shown_as}:{number}:1"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8"
            problems.append(Problem(source.where, f"lists.{source.name}.file", f"cannot read {source.shown_as}: {reason}"))
    entries = []
    for text, where in lines:
        try:
            entries.append(_NORMALISE[source.type](text))
        except EntryError as error:
            problems.append(
                Problem(where, f"lists.{source.name}", f"'{text[:80]}' does not fit a list of type {source.type}: {error}")
            )
    return Entries(source.type, entries), octets, problems


Signature = tuple[int, int, int] | None


def _signature(file: Path) -> Signature:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class Lists:
    """All lists of one policy, by name; `refresh` looks for changed files."""

    def __init__(self) -> None:
        self._entries: dict[str, Entries] = {}
        self._files: dict[str, tuple[ListSource, Signature]] = {}
        self._digests: dict[str, bytes] = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._entries)

    @property
    def digest(self) -> bytes:
        """Changes whenever a file's content does."""
        return b"".join(self._digests[name] for name in sorted(self._digests))

    def add(self, source: ListSource) -> list[Problem]:
        """Read a list for the first time; it exists even when there are problems, so that rules about it can be checked."""
        signature = None if source.file is None else _signature(source.file)
        self._entries[source.name], octets, problems = read(source)
        if source.file is not None:
            self._files[source.name] = (source, signature)
            self._digests[source.name] = sha256(octets).digest()
        return problems

    def refresh(self) -> bool:
        """Read again what has changed on disk; True when something new is in force. Else one stat call a file."""
        changed = False
        for name, (source, known) in self._files.items():
            signature = _signature(source.file) if source.file is not None else None
            if signature == known:
                continue
            self._files[name] = (source, signature)
            entries, octets, problems = read(source)
            if problems:
                _log.warning("policy list kept", list=name, file=source.shown_as, problem=problems[0].text)
                continue
            self._entries[name] = entries
            self._digests[name] = sha256(octets).digest()
            changed = True
        return changed

    def listed(self, value: object, name: object) -> bool:
        """What a condition calls. A list of texts counts as listed when one of them is. Raises KeyError for an unknown list."""
        entries = self._entries[str(name)]
        if isinstance(value, (list, tuple)):
            return any(str(item) in entries for item in value)
        return str(value) in entries
