"""Identifiers, as distinct types so that they cannot be mixed up.

A `QueueId` is made once, at the start of a mail transaction, and names that message everywhere afterwards: in the
reply, the log, the Received field, the queue, the decision record and the delivery key.
"""

import random
import threading
import time
from hashlib import blake2b
from typing import NewType

SessionId = NewType("SessionId", str)
QueueId = NewType("QueueId", str)
AccountId = NewType("AccountId", str)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no letters that people confuse when they read an id aloud."""

_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)

_lock = threading.Lock()
_last = 0


def _base32(number: int, width: int) -> str:
    """width: even."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(5 * (width - 2), -1, -10)])


def new_queue_id() -> QueueId:
    """A new id of 16 characters that sorts by time within a process.

    Eleven characters of microseconds since 1970, five of randomness (two processes may share a microsecond). Not a secret.
    """
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1000)
        stamp = _last
    return QueueId(_base32(stamp << 25 | random.getrandbits(25), 16))


def queue_id_for(text: str) -> QueueId:
    """The id of the one message that is ever made for this text."""
    return QueueId(_base32(int.from_bytes(blake2b(text.encode("utf-8"), digest_size=10).digest()), 16))


def new_session_id() -> SessionId:
    """A new id for one connection, ten random characters. Not a secret."""
    return SessionId(_base32(random.getrandbits(50), 10))
