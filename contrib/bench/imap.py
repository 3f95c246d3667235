"""IMAP: the commands clients send most, beside Dovecot on mdbox, the same messages in both; without TLS on either side."""

import random
import socket
import time
from collections.abc import Callable

from measure import Report, Subject, compare

from support import dovecot as peer
from support.server import PASSWORD, Server, server

MESSAGES = 3000

FETCHES = (
    ("UID FETCH 1:* (FLAGS)", MESSAGES),
    ("UID FETCH 1:* (ENVELOPE BODYSTRUCTURE RFC822.SIZE)", MESSAGES),
    ("UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID References)])", MESSAGES),
    ("UID FETCH 1:* (BODY.PEEK[])", MESSAGES),
    ("UID SEARCH SUBJECT lighthouse", MESSAGES),
)


class Client:
    """Just enough of a client that the server, not the client, is measured: it counts octets until the tagged line."""

    def __init__(self, port: int, *, tls: Callable[[socket.socket], socket.socket] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._read_until(b"\r\n")
        if tls is not None:
            self.command("STARTTLS")
            self._socket = tls(self._socket)
        self.command(f'LOGIN demo@example.test "{PASSWORD}"')

    def command(self, text: str, literal: bytes | None = None) -> bytes:
        if literal is None:
            self._socket.sendall(f"t {text}\r\n".encode())
        else:
            self._socket.sendall(f"t {text} {{{len(literal)}+}}\r\n".encode() + literal + b"\r\n")
        return self._read_until(b"")

    def _read_until(self, end: bytes) -> bytes:
        tail = b""
        while True:
            chunk = self._socket.recv(1 << 20)
            if not chunk:
                raise SystemExit("the server closed the connection")
            tail = (tail + chunk)[-4096:]
            if end and tail.endswith(end):
                return tail
            line = tail[:-2].rpartition(b"\r\n")[2] if tail.endswith(b"\r\n") else b""
            if line.startswith(b"t "):
                if not line.startswith(b"t OK"):
                    raise SystemExit(f"the server says {line!r}")
                return tail

    def close(self) -> None:
        self._socket.close()


def message(number: int) -> bytes:
    """A mail of about 2 kB, different for every number."""
    chance = random.Random(number)
    words = ("harbour", "lantern", "orchard", "compass", "lighthouse", "meadow", "granite", "willow")
    text = "\r\n".join(" ".join(chance.choice(words) for _ in range(9)) for _ in range(26))
    return (
        f"Return-Path: <writer{number % 50}@example.net>\r\nReceived: from a.example.net by b.example.test; Mon, 2 Nov 2026 10:00:00 +0000\r\n"
        f"From: Writer {number} <writer{number % 50}@example.net>\r\nTo: Demo <demo@example.test>, other@example.org\r\n"
        f"Subject: {chance.choice(words)} {number}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@example.net>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def run(rounds: int, report: Report) -> None:
    with server() as mailward, peer.dovecot() as other:
        assert mailward.process is not None
        clients = {
            "mailward": ((mailward.process.pid,), _mailward(mailward)),
            "dovecot": ((other.pid,), Client(other.port)),
        }
        appended = {name: 0 for name in clients}

        def append(name: str, client: Client) -> dict[str, float]:
            begun = time.perf_counter()
            for _ in range(MESSAGES // rounds):
                client.command("APPEND INBOX", message(appended[name]))
                appended[name] += 1
            return {"messages": time.perf_counter() - begun}

        subjects = [Subject(n, p, lambda n=n, c=c: append(n, c)) for n, (p, c) in clients.items()]  # type: ignore[misc]
        compare(report, "APPEND, synced each, 1 session", subjects, rounds, MESSAGES // rounds)
        for _, client in clients.values():
            client.command("SELECT INBOX")
        for command, count in FETCHES:
            subjects = [Subject(n, p, lambda c=c: _timed(c, command)) for n, (p, c) in clients.items()]  # type: ignore[misc]  # noqa: B023
            for subject in subjects:
                subject.run()
            compare(report, command[:34], subjects, rounds, count)


def _mailward(target: Server) -> Client:
    context = target.tls()
    return Client(target.port("imap"), tls=lambda plain: context.wrap_socket(plain, server_hostname="localhost"))


def _timed(client: Client, command: str) -> dict[str, float]:
    begun = time.perf_counter()
    client.command(command)
    return {"messages": time.perf_counter() - begun}
