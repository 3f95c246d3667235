"""What one IMAP client knows of its selected mailbox, from untagged replies only (RFC 3501 sections 5.2 and 7.4, RFC 7162)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

_FETCH = re.compile(rb"\* (\d+) FETCH \(")
_NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE)$")
_VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?(\S+)$")
_HIGHEST = re.compile(rb"OK \[HIGHESTMODSEQ (\d+)\]")
_UID, _FLAGS, _MODSEQ = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bFLAGS \(([^)]*)\)"), re.compile(rb"\bMODSEQ \((\d+)\)")
_TOKEN = re.compile(rb"\r\nSubject: (\S+)\r\n")
_COUNTED = (b"\\Recent",)
"""Kept by each server process for itself, so no two sessions have to agree."""


def numbers(octets: bytes) -> list[int]:
    """A set such as 1:3,7 in the order of writing."""
    found: list[int] = []
    for part in octets.decode().split(","):
        low, _, high = part.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


class Violation(AssertionError):
    """The server said what the RFC forbids, or what contradicts what it said before."""


@dataclass(eq=False, slots=True)
class Message:
    """uid, flags: None until the client was told; modseq: the last it was told."""

    uid: int | None = None
    flags: frozenset[bytes] | None = None
    modseq: int = 0


@dataclass(frozen=True, slots=True)
class Cache:
    """What a client keeps of a mailbox that it leaves: the flags by UID as they were at a MODSEQ."""

    uidvalidity: int
    modseq: int
    flags: Mapping[int, frozenset[bytes]]


@dataclass(slots=True)
class View:
    """messages: by sequence number, from 1 on. told: whose flags came since the last tagged reply; vanished: UIDs told expunged.

    enabled: what the client has named to ENABLE. modseq: up to then it has heard everything (RFC 7162 section 6).
    """

    name: str
    enabled: Collection[str] = ()
    uidvalidity: int = 0
    modseq: int = 0
    messages: list[Message] = field(default_factory=list)
    told: set[Message] = field(default_factory=set)
    vanished: set[int] = field(default_factory=set)
    _reached: int = 0
    _is_said: bool = False

    @property
    def resyncs(self) -> bool:
        """Expunged messages are told by UID."""
        return "QRESYNC" in self.enabled

    @property
    def hears_modseq(self) -> bool:
        return self.resyncs or "CONDSTORE" in self.enabled

    @property
    def known(self) -> dict[int | None, frozenset[bytes] | None]:
        """Flags by UID."""
        return {message.uid: message.flags for message in self.messages}

    @property
    def first_unknown(self) -> int | None:
        """The first sequence number about which something is not known."""
        unknown = (number for number, one in enumerate(self.messages, 1) if one.uid is None or one.flags is None)
        return next(unknown, None)

    def hear(self, reply: bytes, *, may_expunge: bool) -> tuple[int, str] | None:
        """Take in one untagged reply. UID and subject, where it has both. may_expunge: the command allows numbers to change."""
        if match := _NUMBERED.match(reply):
            number = int(match[1])
            if match[2] == b"EXISTS":
                self._exists(number)
            elif not may_expunge or self.resyncs:
                raise Violation(f"EXPUNGE in the answer of a command by number, or where QRESYNC is enabled: {reply!r}")
            else:
                self._expunge(number)
        elif match := _VANISHED.match(reply):
            if not self.resyncs or not (may_expunge or match[1]):
                raise Violation(f"VANISHED in the answer of a command by number, or where QRESYNC is not enabled: {reply!r}")
            self._vanish(numbers(match[2]), is_earlier=bool(match[1]))
        elif match := _FETCH.match(reply):
            return self._fetch(int(match[1]), reply)
        else:
            self.reach(reply)
        return None

    def reach(self, reply: bytes) -> None:
        """A reply that may say up to which MODSEQ everything was told."""
        if match := _HIGHEST.search(reply):
            self._reached, self._is_said = int(match[1]), True

    def end_command(self) -> None:
        """Its tagged reply came: only now is everything told up to the MODSEQs that were heard."""
        self.modseq = self._reached if self._is_said else max(self._reached, self.modseq)
        self._reached, self._is_said = 0, False
        self.told.clear()

    def cache(self) -> Cache | None:
        """None where something was not asked for yet."""
        flags = {one.uid: one.flags for one in self.messages if one.uid is not None and one.flags is not None}
        return Cache(self.uidvalidity, self.modseq, flags) if len(flags) == len(self.messages) else None

    def resume(self, cache: Cache, *, told_new: bool) -> None:
        """SELECT has told what is not as in the cache. told_new: of messages that are not in it, too."""
        if cache.uidvalidity != self.uidvalidity:
            return
        heard = {one.uid: one for one in self.messages if one.uid is not None}
        kept = {uid: Message(uid, flags) for uid, flags in cache.flags.items() if uid not in self.vanished}
        resumed = sorted((kept | heard).items())
        missing = len(self.messages) - len(resumed)
        if missing < 0 or (missing and told_new):
            raise Violation(
                f"of {len(self.messages)} messages {[uid for uid, _ in resumed]} were told; in the cache: {[*cache.flags]}"
            )
        messages = [one for _, one in resumed] + [Message() for _ in range(missing)]
        for number, (before, after) in enumerate(zip(self.messages, messages, strict=True), 1):
            if before.uid is not None and before is not after:
                raise Violation(f"message {number} was told as UID {before.uid} and must be UID {after.uid}")
        self.messages = messages

    def _exists(self, number: int) -> None:
        if number < len(self.messages):
            raise Violation(f"EXISTS {number} where the client knows of {len(self.messages)}")
        self.messages += [Message() for _ in range(number - len(self.messages))]

    def _expunge(self, number: int) -> None:
        uid = self._at(number).uid
        del self.messages[number - 1]
        if uid is not None:
            self.vanished.add(uid)

    def _vanish(self, uids: list[int], *, is_earlier: bool) -> None:
        """One that is not known by its UID is an unknown one between those with lower and those with higher UIDs."""
        self.vanished.update(uids)
        for uid in () if is_earlier else uids:
            places = range(len(self.messages))
            low = max((place for place in places if (self.messages[place].uid or uid + 1) <= uid), default=-1)
            if low < 0 or self.messages[low].uid != uid:
                low += 1
                if low == len(self.messages) or self.messages[low].uid is not None:
                    raise Violation(f"VANISHED of UID {uid}, which is not there")
            del self.messages[low]

    def _fetch(self, number: int, reply: bytes) -> tuple[int, str] | None:
        message = self._at(number)
        if uid := _UID.search(reply):
            if message.uid not in (None, int(uid[1])):
                raise Violation(f"message {number} had the UID {message.uid}: {reply!r}")
            message.uid = int(uid[1])
            if message.uid in self.vanished:
                raise Violation(f"the UID was expunged before: {reply!r}")
        if flags := _FLAGS.search(reply):
            message.flags = frozenset(flags[1].split()) - frozenset(_COUNTED)
            self.told.add(message)
        if modseq := _MODSEQ.search(reply):
            if not self.hears_modseq or int(modseq[1]) < message.modseq:
                raise Violation(f"MODSEQ that nobody asked for, or lower than {message.modseq}: {reply!r}")
            message.modseq = int(modseq[1])
            if not self._is_said:
                self._reached = max(self._reached, message.modseq)
        token = _TOKEN.search(reply)
        return None if token is None or message.uid is None else (message.uid, token[1].decode())

    def _at(self, number: int) -> Message:
        if not 1 <= number <= len(self.messages):
            raise Violation(f"there is no message {number} of {len(self.messages)}")
        return self.messages[number - 1]

    def require_order(self) -> None:
        """UIDs ascend with the numbers (RFC 3501 section 2.3.1.1)."""
        uids = [message.uid for message in self.messages if message.uid is not None]
        if uids != sorted(set(uids)):
            raise Violation(f"UIDs do not ascend: {uids}")
