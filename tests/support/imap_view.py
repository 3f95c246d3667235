"""What one IMAP client knows of its selected mailbox, from untagged replies only (RFC 3501 sections 5.2 and 7.4)."""

import re
from dataclasses import dataclass, field

_FETCH = re.compile(rb"\* (\d+) FETCH \(")
_NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE)$")
_UID, _FLAGS, _TOKEN = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bFLAGS \(([^)]*)\)"), re.compile(rb"\r\nSubject: (\S+)\r\n")
_COUNTED = (b"\\Recent",)
"""Kept by each server process for itself, so no two sessions have to agree."""


class Violation(AssertionError):
    """The server said what the RFC forbids, or what contradicts what it said before."""


@dataclass(eq=False, slots=True)
class Message:
    """uid, flags: None until the client was told."""

    uid: int | None = None
    flags: frozenset[bytes] | None = None


@dataclass(slots=True)
class View:
    """messages: by sequence number, from 1 on. told: whose flags came since the last tagged reply; vanished: UIDs told expunged."""

    name: str
    uidvalidity: int = 0
    read_only: bool = False
    messages: list[Message] = field(default_factory=list)
    told: set[Message] = field(default_factory=set)
    vanished: set[int] = field(default_factory=set)

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
            elif not may_expunge:
                raise Violation(f"EXPUNGE in the answer of a command by number: {reply!r}")
            else:
                self._expunge(number)
        elif match := _FETCH.match(reply):
            return self._fetch(int(match[1]), reply)
        return None

    def _exists(self, number: int) -> None:
        if number < len(self.messages):
            raise Violation(f"EXISTS {number} where the client knows of {len(self.messages)}")
        self.messages += [Message() for _ in range(number - len(self.messages))]

    def _expunge(self, number: int) -> None:
        uid = self._at(number).uid
        del self.messages[number - 1]
        if uid is not None:
            self.vanished.add(uid)

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
