"""Hints between processes that an account's mail has changed, so that IDLE answers at once. Correctness never depends on them.

Each process that listens binds a datagram socket of its own in one folder; who commits sends the account's id to all of them.
A hint that does not fit into a full buffer is dropped, and listeners poll every `POLL_S` anyway.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from mailward.model.ids import AccountId

POLL_S = 30.0
_MOST_OCTETS = 256


class Hints:
    """One process's end. `publish` may be called from any thread, `listen` and `close` on the event loop."""

    def __init__(self, folder: Path) -> None:
        """folder: short, since the path of a socket is limited to about 100 octets (unix(7)); made when missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._receiver: socket.socket | None = None
        self._own = folder / f"{os.getpid()}.hints"

    def publish(self, account: AccountId) -> None:
        """Tell every listening process, this one included, that the account's mail has changed. Never blocks."""
        for name in os.listdir(self._folder):  # noqa: PTH208 - a name is all we need, and this is called for every delivery
            if name.endswith(".hints"):
                self._send(f"{self._folder}/{name}", account)

    def _send(self, path: str, account: AccountId) -> None:
        try:
            self._sender.sendto(account.encode(), path)
        except ConnectionRefusedError:  # its process is dead
            Path(path).unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError):
            return

    def listen(self, changed: Callable[[AccountId], None]) -> None:
        """Call `changed` on the running loop for every hint from now on."""
        with contextlib.suppress(FileNotFoundError):  # a dead process had our number
            self._own.unlink()
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        receiver.bind(str(self._own))
        self._receiver = receiver
        asyncio.get_running_loop().add_reader(receiver.fileno(), self._receive, receiver, changed)

    def _receive(self, receiver: socket.socket, changed: Callable[[AccountId], None]) -> None:
        accounts: set[AccountId] = set()
        with contextlib.suppress(BlockingIOError):
            while len(accounts) < 1000:
                accounts.add(AccountId(receiver.recv(_MOST_OCTETS).decode("ascii", "replace")))
        for account in accounts:
            changed(account)

    def close(self) -> None:
        """Stop listening and sending."""
        if self._receiver is not None:
            asyncio.get_running_loop().remove_reader(self._receiver.fileno())
            self._receiver.close()
            with contextlib.suppress(FileNotFoundError):
                self._own.unlink()
        self._sender.close()
