"""Every listener of a whole server that takes mail, and how a client comes in by each."""

import base64
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.processes import free_port
from support.server import Server, server
from support.smtp_service import read_reply, say, trusting

LISTENERS = ("mx", "submission", "submissions", "lmtp", "lmtp-unix")


@dataclass(frozen=True)
class Doors:
    """A running server. lmtp_port, lmtp_path: where it speaks LMTP."""

    target: Server
    lmtp_port: int
    lmtp_path: Path

    def sender(self, listener: str) -> str:
        """Whose mail is taken there."""
        return self.target.demo if listener.startswith("submission") else "a@sender.invalid"

    def connect(self, listener: str) -> socket.socket:
        if listener == "lmtp-unix":
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(30)
            client.connect(str(self.lmtp_path))
            return client
        port = self.lmtp_port if listener == "lmtp" else self.target.port(listener)
        return socket.create_connection(("127.0.0.1", port), 30)

    @contextlib.contextmanager
    def entered(self, listener: str) -> Iterator[socket.socket]:
        """A client that has said hello and, on a submission listener, has logged in over TLS."""
        with self.connect(listener) as plain:
            client = trusting().wrap_socket(plain) if listener == "submissions" else plain
            read_reply(client)
            say(client, f"{'LHLO' if listener.startswith('lmtp') else 'EHLO'} c.example.net")
            if listener == "submission":
                say(client, "STARTTLS")
                client = trusting().wrap_socket(plain)
                say(client, "EHLO c.example.net")
            if listener.startswith("submission"):
                demo = self.target.demo
                secret = base64.b64encode(f"\0{demo}\0{self.target.password(demo)}".encode()).decode()
                assert say(client, f"AUTH PLAIN {secret}").startswith("235")
            try:
                yield client
            finally:
                client.close()

    def send(self, client: socket.socket, listener: str, subject: str) -> None:
        """One message, until it is in the mailbox."""
        sender = self.sender(listener)
        say(client, f"MAIL FROM:<{sender}>", f"RCPT TO:<{self.target.demo}>", "DATA")
        answer = say(client, f"From: {sender}\r\nSubject: {subject}\r\n\r\nhello\r\n.")
        assert answer.startswith("250 2.0.0"), answer
        self.target.wait_delivered(answer.split()[-1])

    def subjects(self) -> list[str]:
        """Of all mail in the mailbox."""
        heads = [octets.partition(b"\r\n\r\n")[0] for octets in self.target.messages()]
        return [head.partition(b"\r\nSubject: ")[2].partition(b"\r\n")[0].decode() for head in heads]


@contextlib.contextmanager
def doors(policy: str) -> Iterator[Doors]:
    with server(policy=policy, start=False) as target:
        port, path = free_port(), target.folder.parent / "lmtp.sock"
        lines = f'  lmtp: {{protocol: lmtp, port: {port}}}\n  lmtp-unix: {{protocol: lmtp, socket: {path}, mode: "0666"}}\n'
        target.configure("listeners:\n", f"listeners:\n{lines}")
        target.start()
        yield Doors(target, port, path)
