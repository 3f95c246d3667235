"""Just enough of an IMAP client that the server, not the client, is measured: it counts octets until the tagged line."""

import socket
import ssl

TAG = b"bench7 "


class ImapClient:
    """Logged in over STARTTLS; the server's certificate is whatever it is."""

    def __init__(self, port: int, user: str, password: str) -> None:
        plain = socket.create_connection(("127.0.0.1", port), 120)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: socket.socket = plain
        self._read_line()
        self.command("STARTTLS")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._socket = context.wrap_socket(plain)
        self.command(f'LOGIN {user} "{password}"')

    def command(self, text: str, *literals: bytes) -> None:
        """The command, with each literal behind it (LITERAL+), to its tagged OK. Raises SystemExit when it is another."""
        octets = b"".join(b" {%d+}\r\n%b" % (len(literal), literal) for literal in literals)
        self._socket.sendall(TAG + text.encode() + octets + b"\r\n")
        tail = b""
        while True:
            chunk = self._socket.recv(1 << 20)
            if not chunk:
                raise SystemExit("the server closed the connection")
            tail = (tail + chunk)[-4096:] if len(chunk) < 4096 else chunk[-4096:]
            line = tail[:-2].rpartition(b"\r\n")[2] if tail.endswith(b"\r\n") else b""
            if line.startswith(TAG):
                if not line.startswith(TAG + b"OK"):
                    raise SystemExit(f"{text[:60]}: the server says {line!r}")
                return

    def idle(self) -> None:
        """Begin to idle."""
        self._socket.sendall(TAG + b"IDLE\r\n")
        while not self._read_line().startswith(b"+"):
            pass

    def wait_for_exists(self) -> None:
        """Until an idling client hears of new mail."""
        while b"EXISTS" not in self._read_line():
            pass

    def _read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            octet = self._socket.recv(1)
            if not octet:
                raise SystemExit("the server closed the connection")
            line += octet
        return line

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
