"""How many messages can be read by now? Over IMAP the last one is fetched, so that a count alone does not do."""

import re
import socket
import ssl
from pathlib import Path
from types import TracebackType

from support.server import PASSWORD


class ImapCount:
    """One client that has selected the INBOX of demo@example.test; called, it returns how many messages it can read there.

    tls: how STARTTLS is made, None for a server that has none.
    """

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        if tls is not None:
            self._command("STARTTLS")
            self._socket = tls.wrap_socket(self._socket, server_hostname="localhost")
            self._lines = self._socket.makefile("rb")
        self._command(f'LOGIN demo@example.test "{PASSWORD}"')
        self._count = _exists(self._command("SELECT INBOX"), 0)

    def __enter__(self) -> "ImapCount":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lines.close()
        self._socket.close()

    def __call__(self) -> int:
        told = _exists(self._command("NOOP"), self._count)
        while told > self._count:  # what comes during the FETCH is told in its response, and only there
            self._count = told
            told = _exists(self._command(f"FETCH {told} (BODY.PEEK[])"), told)
        return self._count

    def _command(self, text: str) -> bytes:
        """The whole response."""
        self._socket.sendall(f"t {text}\r\n".encode())
        response = b""
        while not (line := self._lines.readline()).startswith(b"t "):
            if not line:
                raise SystemExit("the IMAP server closed the connection")
            response += line
            if literal := re.search(rb"\{(\d+)\}\r\n$", line):
                response += self._lines.read(int(literal[1]))
        if not line.startswith(b"t OK"):
            raise SystemExit(f"the IMAP server says {line!r} to {text}")
        return response


def _exists(response: bytes, otherwise: int) -> int:
    found = re.findall(rb"^\* (\d+) EXISTS\r\n", response, re.MULTILINE)
    return int(found[-1]) if found else otherwise


def count_maildir(folder: Path) -> int:
    """Messages that are delivered into a Maildir; nobody reads it, so all are new."""
    new = folder / "new"
    return sum(1 for _ in new.iterdir()) if new.is_dir() else 0
