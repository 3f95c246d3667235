"""What a real Dovecot says of messages: ENVELOPE, BODY, BODYSTRUCTURE and any section, to be compared with ours."""

import re
import socket
from collections.abc import Iterator, Sequence

from support.dovecot import PASSWORD, USER, Dovecot
from support.imap_data import Data, parse_one

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_NAME = re.compile(rb" ?([A-Z0-9.]+(?:\[[^\]]*\](?:<\d+>)?)?) ")
SECTIONS_AT_ONCE = 200
"""Dovecot takes lines of 64 KiB."""


class DovecotReader:
    """One IMAP session with a Dovecot that holds the messages of its newest batch."""

    def __init__(self, peer: Dovecot) -> None:
        self._socket = socket.create_connection(("127.0.0.1", peer.port), 30)
        self._socket.settimeout(60)
        self._file = self._socket.makefile("rb", buffering=1024 * 1024)
        self._tags = 0
        self._file.readline()
        self._command(b'LOGIN "%b" "%b"' % (USER.encode(), PASSWORD.encode()))

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def load(self, name: str, messages: Sequence[bytes]) -> None:
        """Put the messages into a new mailbox and select it."""
        mailbox = name.encode("ascii")
        self._command(b'CREATE "%b"' % mailbox)
        self._command(b'APPEND "%b"' % mailbox + b"".join(b" {%d+}\r\n%b" % (len(octets), octets) for octets in messages))
        self._command(b'SELECT "%b"' % mailbox)

    def overviews(self) -> Iterator[dict[bytes, Data]]:
        """Of each message in order: its octets as Dovecot keeps them, ENVELOPE, BODY and BODYSTRUCTURE."""
        for reply in self._command(b"FETCH 1:* (BODY.PEEK[] ENVELOPE BODY BODYSTRUCTURE)"):
            yield fetched(reply)

    def sections(self, number: int, wanted: Sequence[bytes]) -> dict[bytes, Data]:
        """BODY[...] of the message with this sequence number, by what stands between the brackets (and the partial)."""
        found: dict[bytes, Data] = {}
        for start in range(0, len(wanted), SECTIONS_AT_ONCE):
            items = b" ".join(b"BODY.PEEK" + each for each in wanted[start : start + SECTIONS_AT_ONCE])
            for reply in self._command(b"FETCH %d (%b)" % (number, items)):
                found |= {label.removeprefix(b"BODY"): value for label, value in fetched(reply).items()}
        return found

    def _command(self, command: bytes) -> list[bytes]:
        """The untagged FETCH replies; AssertionError unless the command is answered OK."""
        self._tags += 1
        tag = b"a%d " % self._tags
        self._socket.sendall(tag + command + b"\r\n")
        replies: list[bytes] = []
        while True:
            reply = self._reply()
            if reply.startswith(tag):
                assert reply.startswith(tag + b"OK"), (command[:2000], reply)
                return replies
            if b" FETCH (" in reply[:30]:
                replies.append(reply)

    def _reply(self) -> bytes:
        pieces = []
        while True:
            line = self._file.readline()
            assert line, "Dovecot has hung up"
            pieces.append(line)
            found = _LITERAL.search(line)
            if found is None:
                return b"".join(pieces)
            pieces.append(self._file.read(int(found.group(1))))


def fetched(reply: bytes) -> dict[bytes, Data]:
    """The items of one FETCH reply by their names."""
    position = reply.index(b"(") + 1
    found: dict[bytes, Data] = {}
    while (name := _NAME.match(reply, position)) is not None:
        values, position = parse_one(reply, name.end())
        found[name.group(1)] = values
    return found
