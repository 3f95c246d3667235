"""Hosts on loopback that never answer: connecting to them takes as long as the client waits."""

import contextlib
import socket
from collections.abc import Iterator

_FILLING = 8


@contextlib.contextmanager
def black_hole(address: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[str, int]]:
    """A listening socket that accepts nobody and whose queue is full, so that the kernel answers no further SYN."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind((address, port))
        listening.listen(0)
        for _ in range(_FILLING):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(listening.getsockname())
        yield listening.getsockname()
