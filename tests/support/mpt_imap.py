"""What IMAP servers answer in James' MPT scripts, taken apart so that codes and data can be compared and words for people are not."""

import io
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from mailward.store.mailboxes import DEFAULT_MAILBOXES
from support.imap_replies import Data, loosely
from support.mpt import Step

ANY = "\x01"
"""What stands in for anything, in what is wanted."""
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_TAGGED = re.compile(rb"(?:\S+ )?(OK|NO|BAD)\b *(.*)", re.DOTALL)
_TAGGED_PATTERN = re.compile(r"\w+ (?:OK|NO|BAD) (?:\\\[.*?\\\])?")
_SERVERS_OWN = re.compile(r"\[(?:HIGHESTMODSEQ|UIDVALIDITY|MAILBOXID)\]")
_EXHAUSTIVE = re.compile(r"(?:LIST|LSUB) .*|EXPUNGE|SEARCH|\d+ (?!FLAGS|UID|MODSEQ).*")
"""Of these a server says none beside those that are wanted."""
_NOT_THEIRS = {f"{word} {name.upper()}" for word in ("LIST", "LSUB") for name, *_ in DEFAULT_MAILBOXES if name != "INBOX"}

Facts = dict[str, list[Data]]
"""What was said, to each value it was said to be."""


class Voice:
    """One session of a client."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 90))
        self._file = self._socket.makefile("rb")
        assert self.reply().startswith(b"* OK ")

    def reply(self) -> bytes:
        return read_reply(self._file)

    def send(self, command: str) -> None:
        self._socket.sendall(command.encode("latin-1") + b"\r\n")

    def ok(self, command: str) -> None:
        self.send(f"set-up {command}")
        *_, tagged = self.answer([b"set-up OK"])
        assert tagged.startswith(b"set-up OK "), (command, tagged)

    def answer(self, wanted: Sequence[bytes]) -> list[bytes]:
        """All up to the last tagged one of those that are wanted, a continuation, or the end of the session."""
        tagged = max(1, sum(not reply.startswith(b"*") for reply in wanted))
        found: list[bytes] = []
        while tagged:
            reply = self.reply()
            if not reply:
                break
            found.append(reply)
            tagged -= not reply.startswith(b"* ") or reply.startswith(b"* BAD")
        return found

    def answer_as_written(self, step: Step) -> list[str]:
        """All up to a reply that begins as the step's last answer does, or the end of the session."""
        last = step.answers[-1].replace("\\", "").partition(" ")[0]
        found: list[str] = []
        while reply := self.reply():
            found.append(reply.decode("latin-1"))
            if found[-1].partition(" ")[0] == last or reply.startswith(b"* BYE"):
                break
        return found

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def read_reply(file: BinaryIO) -> bytes:
    """One whole reply without its CRLF; b"" at the end."""
    found = b""
    while True:
        found += file.readline()
        literal = _LITERAL.search(found)
        if literal is None:
            return found.removesuffix(b"\r\n")
        found += file.read(int(literal[1]))


def wanted_by(step: Step) -> list[bytes]:
    """The replies that its patterns are of, with ANY where a pattern leaves something open."""
    file = io.BytesIO("\r\n".join(map(_plain, step.answers)).encode("latin-1") + b"\r\n")
    return [*iter(lambda: read_reply(file), b"")]


def unmatched(step: Step, found: Sequence[str]) -> Iterator[str]:
    """Which of its patterns, as regular expressions of whole replies, are of none; of tagged ones the words for people are left out."""
    for pattern in step.answers:
        words = _TAGGED_PATTERN.match(pattern)
        whole = f"{words[0]}.*" if words else r"\+.*" if pattern.startswith(r"\+") else pattern
        if not any(re.fullmatch(whole, reply) for reply in found):
            yield f"{pattern!r} is wanted, not {found!r}"


def _plain(pattern: str) -> str:
    text = pattern.replace(r"(\[.+\] )?", "").replace(r"( \\\*)?", "").replace(r"\\\Seen", r"\\Seen")
    text = re.sub(r"\(\.\)\*|\.\*|\.\+", f" {ANY} ", text)
    text = re.sub(r"\\d\+|\[\^\"\]\*", ANY, text)
    text = re.sub(r"(?<!\\)\\r", "\r", text)
    text = re.sub(r"\\([^\w\s])", r"\1", text)
    return f"{text}]" if text.count("[") > text.count("]") else text


def differences(wanted: Sequence[bytes], found: Sequence[bytes]) -> Iterator[str]:
    """What of it was not answered, or was answered and not wanted."""
    ours, theirs = _facts(found), _facts(wanted)
    for what, values in theirs.items():
        rest = list(ours.get(what, []))
        for value in values:
            match = next((place for place, one in enumerate(rest) if _fits(what, value, one)), None)
            if match is None:
                yield f"{what} {value!r} is wanted, not {ours.get(what)!r}"
            else:
                del rest[match]
        if rest and what in ("EXPUNGE", "SEARCH"):
            yield f"{what} {rest!r} is not wanted"
    for what, values in ours.items():
        if what not in theirs and _EXHAUSTIVE.fullmatch(what) and what not in _NOT_THEIRS:
            yield f"{what} {values!r} is not wanted"


def _facts(replies: Sequence[bytes]) -> Facts:
    found: Facts = {}
    for reply in replies:
        for what, value in _told(reply):
            if what != "RECENT":
                found.setdefault(what.upper(), []).append(value)
    numbers = [*range(1, 1000)]
    if "EXPUNGE" in found:  # in whichever order: as the messages were numbered before
        found["EXPUNGE"] = [str(numbers.pop(int(str(number)) - 1)) for number in found["EXPUNGE"]]
    return found


def _told(reply: bytes) -> Iterator[tuple[str, Data]]:
    """What one reply says, and of what."""
    if reply.startswith(b"+"):
        yield "+", []
        return
    if not reply.startswith(b"* "):
        match = _TAGGED.match(reply)
        yield "the end", match[1].decode() if match else ANY
        reply = b"* OK " + (match[2] if match else b"")
    word, *rest = loosely(reply)
    assert isinstance(word, str)
    match_kind = word.upper()
    if rest and (word.isdigit() or word == ANY):
        kind = str(rest[0]).upper()
        if kind == "FETCH":
            yield from ((f"{word} {item}", value) for item, value in _pairs(rest[1]))
        else:
            yield kind, word
    elif match_kind in ("OK", "NO", "BAD"):
        if rest and isinstance(rest[0], list):
            yield f"[{rest[0][1]}]", rest[0][2:]
    elif match_kind in ("LIST", "LSUB"):
        yield f"{word} {rest[2]}", [rest[1], *rest[0]]
    elif match_kind == "STATUS":
        yield from ((f"{word} {rest[0]} {item}", value) for item, value in _pairs(rest[1]))
    elif match_kind in ("MYRIGHTS", "ACL", "LISTRIGHTS"):
        yield f"{word} {rest[0]}", rest[1:]
    else:
        yield word, [] if match_kind == "BYE" else rest


def _pairs(data: Data) -> Iterator[tuple[Data, Data]]:
    """Names and values; where a name could stand, ANY is any number of both."""
    items = iter(data)
    return ((name, next(items, "")) for name in items if name != ANY)


def _fits(what: str, wanted: Data, there: Data) -> bool:
    if _SERVERS_OWN.fullmatch(what):
        return True
    if what in ("FLAGS", "[PERMANENTFLAGS]"):
        return _flags_fit(wanted[0], there[0])
    if what.endswith(" FLAGS") or what == "SEARCH":
        return {*_words(wanted)} == {*_words(there)}
    if what.startswith(("LIST ", "LSUB ")) or what in ("CAPABILITY", "ENABLED"):
        return {*_words(wanted)} <= {*_words(there)}
    if re.fullmatch(r"\d+ BODY(?:STRUCTURE)?", what):
        return _is_like(_even(wanted), _even(there))
    if what.startswith(("MYRIGHTS ", "ACL ")):
        return _rights(wanted) == _rights(there)
    return _is_like(wanted, there)


def _flags_fit(wanted: Data, there: Data) -> bool:
    """The same flags of the system, unless something is left open; with keywords that are wanted."""
    ours, theirs = {*_words(there)} - {"\\*"}, {*_words(wanted)} - {"\\*"}
    is_open = ANY in wanted
    return theirs <= ours and (is_open or all(flag in theirs for flag in ours if flag.startswith("\\")))


def _words(data: Data) -> Iterator[str]:
    """Without \\Recent: in James a mailbox that is selected again is the same session still (not so in RFC 3501 section 1.3)."""
    return (str(each).lower() for each in data if each != ANY and str(each).lower() != "\\recent")


def _rights(data: Data) -> dict[str, frozenset[str]]:
    """Without the obsolete ones, which a server may tell of or not (RFC 4314 section 2.1.1)."""
    words = ["", *data] if len(data) == 1 else data
    return {str(name).lower(): frozenset(str(letters)) - {*"cd"} for name, letters in zip(words[::2], words[1::2], strict=True)}


def _even(data: Data) -> Data:
    """Parameters in order of their names."""
    if not isinstance(data, list):
        return data
    if len(data) % 2 == 0 and all(isinstance(each, str) for each in data):
        return [
            word for pair in sorted((str(a).lower(), str(b)) for a, b in zip(data[::2], data[1::2], strict=True)) for word in pair
        ]
    return [_even(each) for each in data]


def _is_like(wanted: Data, there: Data) -> bool:
    if wanted == ANY:
        return True
    if isinstance(wanted, list) or isinstance(there, list):
        if not isinstance(wanted, list) or not isinstance(there, list):
            return False
        return wanted == [ANY] or (len(wanted) == len(there) and all(map(_is_like, wanted, there)))
    pattern = ".*".join(map(re.escape, re.split(f" *{ANY} *", wanted)))
    return re.fullmatch(pattern, there, re.IGNORECASE | re.DOTALL) is not None
