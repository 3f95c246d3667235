"""A mail host on loopback that behaves, or misbehaves, as it is told at each step: real sockets, real TLS, a thread each.

answers: what it says instead of its usual reply, by step: CONNECT, EHLO, EHLO-TLS (after the handshake), HELO, STARTTLS, MAIL,
RCPT, "RCPT path", DATA, MESSAGE (the end of data; with LMTP for each recipient, or "MESSAGE path"), RSET, QUIT. Octets are said as they are; CLOSE hangs up; HANG says nothing
until the client has gone; a function is called with the peer and gives any of these.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

CLOSE = b"<close>"
HANG = b"<hang>"
OK = b"250 2.0.0 ok\r\n"
TLS_BLOB = b"<garbage instead of a handshake>"

Answer = bytes | Callable[["Peer"], bytes]


@dataclass(frozen=True)
class Taken:
    """One message the peer answered for. octets: dot-stuffing undone."""

    reverse_path: str
    forward_paths: tuple[str, ...]
    octets: bytes
    tls: bool
    at: float
    connection: int


class Peer:
    """offers: EHLO keywords. port: where it listens on `address`."""

    def __init__(
        self,
        answers: Mapping[str, Answer] | None = None,
        *,
        offers: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000"),
        certificate: tuple[Path, Path] | None = None,
        name: str = "mx.example.net",
        address: str = "127.0.0.1",
        port: int = 0,
        reads_mail_data: bool = True,
        is_lmtp: bool = False,
    ) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.offers = offers
        self.name = name
        self.reads_mail_data = reads_mail_data
        self.is_lmtp = is_lmtp
        self.taken: list[Taken] = []
        self.lines: list[str] = []
        self.first_octets_at: list[float] = []
        self.is_closed = False
        self.connections = 0
        self.open_now = 0
        self.most_open = 0
        self._tls = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self.changed = threading.Condition()
        self._clients: set[socket.socket] = set()
        self._listening = socket.create_server((address, port), backlog=256)
        self.address, self.port = self._listening.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    # For tests

    def wait(self, reached: Callable[[], bool], limit_s: float = 90.0) -> None:
        with self.changed:
            assert self.changed.wait_for(reached, limit_s), (self.lines[-20:], len(self.taken))

    def wait_for(self, count: int, limit_s: float = 90.0) -> list[Taken]:
        """The messages taken, once there are so many."""
        self.wait(lambda: len(self.taken) >= count, limit_s)
        return list(self.taken)

    def verbs(self) -> list[str]:
        return [line.split(" ")[0].upper() for line in self.lines]

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.hang_up()

    def hang_up(self) -> None:
        """End all connections."""
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    # The dialogue

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self.changed:
            self.connections += 1
            number = self.connections
            self.open_now += 1
            self.most_open = max(self.most_open, self.open_now)
            self._clients.add(client)
        try:
            _Dialogue(self, client, number).run()
        except (OSError, EOFError):
            pass
        finally:
            with self.changed:
                self.open_now -= 1
                self._clients.discard(client)
                self.changed.notify_all()
            client.close()


class _Dialogue:
    def __init__(self, peer: Peer, client: socket.socket, number: int) -> None:
        self.peer = peer
        self.sock: socket.socket = client
        self.number = number
        self.over_tls = False
        self.buffer = b""
        self.reverse_path = ""
        self.forward_paths: list[str] = []

    def run(self) -> None:
        self.say("CONNECT", f"220 {self.peer.name} ESMTP\r\n".encode())
        while True:
            line = self.read_until(b"\r\n").decode("utf-8")
            with self.peer.changed:
                self.peer.lines.append(line)
                self.peer.changed.notify_all()
            verb, _, rest = line.partition(" ")
            if verb == "QUIT":
                self.say("QUIT", b"221 2.0.0 bye\r\n")
                return
            getattr(self, f"do_{verb.lower()}")(rest)

    def do_ehlo(self, rest: str) -> None:
        offers = [*self.peer.offers, *(["STARTTLS"] if self.peer._tls and not self.over_tls else [])]
        lines = [self.peer.name, *offers]
        usual = "".join(f"250{' ' if n == len(lines) - 1 else '-'}{line}\r\n" for n, line in enumerate(lines)).encode()
        self.say("EHLO-TLS" if self.over_tls else "EHLO", usual)

    def do_helo(self, rest: str) -> None:
        self.say("HELO", f"250 {self.peer.name}\r\n".encode())

    def do_starttls(self, rest: str) -> None:
        said = self.say("STARTTLS", b"220 go ahead\r\n")
        if not said.startswith(b"220") or self.peer._tls is None:
            return
        if "TLS" in self.peer.answers:
            self.say("TLS", TLS_BLOB)
            return
        self.sock = self.peer._tls.wrap_socket(self.sock, server_side=True)
        self.over_tls, self.buffer = True, b""

    def do_mail(self, rest: str) -> None:
        self.reverse_path = rest[rest.index("<") + 1 : rest.index(">")]
        self.forward_paths = []
        self.say("MAIL", OK)

    def do_rcpt(self, rest: str) -> None:
        path = rest[rest.index("<") + 1 : rest.index(">")]
        if self.say(f"RCPT {path}" if f"RCPT {path}" in self.peer.answers else "RCPT", OK).startswith(b"25"):
            self.forward_paths.append(path)

    def do_data(self, rest: str) -> None:
        usual = b"354 go\r\n" if self.forward_paths else b"554 5.5.1 no valid recipients\r\n"
        if not self.say("DATA", usual).startswith(b"354"):
            return
        if not self.peer.reads_mail_data:
            self.peer.wait(lambda: self.peer.is_closed)
        self.peek()
        at = time.monotonic()
        with self.peer.changed:
            self.peer.first_octets_at.append(at)
        octets = self.read_until(b"\r\n.\r\n", start=b"\r\n")
        message = (octets + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
        taken = Taken(self.reverse_path, tuple(self.forward_paths), message, self.over_tls, at, self.number)
        self.end_message(taken)

    def do_bdat(self, rest: str) -> None:
        """The one chunk of a message."""
        count, last = rest.split(" ")
        assert last == "LAST"
        while len(self.buffer) < int(count):
            self.more()
        octets, self.buffer = self.buffer[: int(count)], self.buffer[int(count) :]
        at = time.monotonic()
        taken = Taken(self.reverse_path, tuple(self.forward_paths), octets, self.over_tls, at, self.number)
        self.end_message(taken)

    def end_message(self, taken: Taken) -> None:
        if not self.peer.is_lmtp:
            self.say("MESSAGE", b"250 2.0.0 taken\r\n", taken)
            return
        for path in taken.forward_paths:
            step = f"MESSAGE {path}" if f"MESSAGE {path}" in self.peer.answers else "MESSAGE"
            self.say(step, b"250 2.0.0 taken\r\n", replace(taken, forward_paths=(path,)))

    def do_lhlo(self, rest: str) -> None:
        self.do_ehlo(rest)

    def do_rset(self, rest: str) -> None:
        self.forward_paths = []
        self.say("RSET", OK)

    # Octets

    def say(self, step: str, usual: bytes, taken: Taken | None = None) -> bytes:
        answer = self.peer.answers.get(step, usual)
        octets = answer(self.peer) if callable(answer) else answer
        if taken is not None and octets.startswith(b"25"):
            with self.peer.changed:
                self.peer.taken.append(taken)
                self.peer.changed.notify_all()
        if octets == CLOSE:
            raise EOFError
        if octets == HANG:
            while self.sock.recv(65536):
                pass
            raise EOFError
        self.sock.sendall(octets)
        return octets

    def peek(self) -> bytes:
        if not self.buffer:
            self.more()
        return self.buffer

    def more(self) -> None:
        octets = self.sock.recv(262_144)
        if not octets:
            raise EOFError
        self.buffer += octets

    def read_until(self, end: bytes, start: bytes = b"") -> bytes:
        self.buffer = start + self.buffer
        searched = 0
        while (place := self.buffer.find(end, searched)) < 0:
            searched = max(0, len(self.buffer) - len(end))
            self.more()
        found, self.buffer = self.buffer[:place], self.buffer[place + len(end) :]
        return found


@contextlib.contextmanager
def peer(*args: Mapping[str, Answer], **kwargs: object) -> Iterator[Peer]:
    """A peer that is closed at the end; arguments as `Peer`."""
    made = Peer(*args, **kwargs)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()
